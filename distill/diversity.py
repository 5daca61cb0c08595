"""
How varied texts are: what a low perplexity may have been bought with.

Texts are lists of tokens. Entropy and distinct-n are high for varied texts, self-BLEU is low.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Tokens = Sequence[int]
Ngram = tuple[int, ...]


def ngrams(tokens: Tokens, n: int) -> Counter[Ngram]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def entropy(tokens: Tokens) -> float:
    """Of the tokens of one text, nats: [1, 1, 2, 2] -> log 2. At most the log of the length."""
    return -sum(c / len(tokens) * math.log(c / len(tokens)) for c in Counter(tokens).values())


def distinct(texts: Sequence[Tokens], n: int) -> float:
    """Different n-grams of all texts together, as a share of all: [[1, 2], [1, 3]], 1 -> 3 / 4 (Li et al., 2016)."""
    counts = sum((ngrams(text, n) for text in texts), Counter[Ngram]())
    return len(counts) / max(1, counts.total())


@dataclass(slots=True)
class Highest:
    """How often an n-gram occurs in the text that has most of it, and in the next one."""

    first: int = 0
    owner: int = -1
    second: int = 0

    def without(self, text: int) -> int:
        return self.second if text == self.owner else self.first


def self_bleu(texts: Sequence[Tokens]) -> float:
    """
    Mean BLEU-4 of each text against all the others, times 100 (Zhu et al., 2018, Texygen).

    BLEU as nltk's sentence_bleu with smoothing method 1: a precision whose numerator is 0 gets 0.1 instead; a text that shares no token
    with the others has 0.
    """
    if len(texts) < 2:
        return math.nan
    precisions = [[0.0] * len(texts) for _ in range(4)]
    for n in range(1, 5):
        counts = [ngrams(text, n) for text in texts]
        # The clip of a count is its maximum over the other texts: two numbers an n-gram spare a pass over all pairs.
        highest: dict[Ngram, Highest] = {}
        for i, count in enumerate(counts):
            for gram, c in count.items():
                best = highest.setdefault(gram, Highest())
                if c > best.first:
                    best.first, best.owner, best.second = c, i, best.first
                elif c > best.second:
                    best.second = c
        for i, count in enumerate(counts):
            matches = sum(min(c, highest[gram].without(i)) for gram, c in count.items())
            precisions[n - 1][i] = (matches or (0.1 if n > 1 else 0)) / max(1, count.total())
    scores = []
    for i, text in enumerate(texts):
        logs = [math.log(p[i]) if p[i] else -math.inf for p in precisions]
        scores.append(brevity(text, texts, i) * math.exp(sum(logs) / 4))
    return 100 * sum(scores) / len(scores)


def brevity(text: Tokens, texts: Sequence[Tokens], i: int) -> float:
    """1 for a text at least as long as the other that is nearest in length (the shorter one of two), less for a shorter one."""
    length = len(text)
    nearest = min((abs(len(o) - length), len(o)) for j, o in enumerate(texts) if j != i)[1]
    return 1.0 if length >= nearest else math.exp(1 - nearest / length)
