"""All figures of a set of texts."""

import math
import sys
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from distill.diversity import distinct, entropy, self_bleu
from distill.judge_config import JudgeConfig
from distill.judge_model import Judge
from distill.judge_texts import Prompt, TextSet
from distill.score import interval, perplexity, token_nll


def measure(
    one: TextSet, judge: Judge, tokenizer: Tokenizer, prompts: list[Prompt], config: JudgeConfig
) -> dict[str, Any]:
    """Scores the texts, which keep their own figures, and sums them up."""
    score(one, judge, prompts)
    scored = [text for text in one.texts if text.nll is not None]
    if not scored:
        sys.exit(f"{one.model}, {one.steps} steps: all {len(one.texts)} texts are empty")
    # Texts that go on from one prompt are not independent.
    groups = np.array([text.prompt for text in scored]) if config.prefix else None
    ids = [tokenizer.encode(text.text).ids for text in scored]
    apart = [text.prompt if config.continuations > 1 else 0 for text in scored]
    among = [[tokens for tokens, p in zip(ids, apart, strict=True) if p == prompt] for prompt in sorted(set(apart))]
    bleu = [value for texts in among if not math.isnan(value := self_bleu(texts))]
    return {
        "model": one.model,
        "steps": one.steps,
        "passes": mean_passes(one),
        "device": one.device,
        "samples": len(scored),
        "empty": len(one.texts) - len(scored),
        "ended": sum(text.finish_reason == "stop" for text in scored),
        "mean_tokens": round(float(np.mean([len(tokens) for tokens in ids])), 1),
        "perplexity": rounded(*perplexity(np.array([text.nll for text in scored]), groups)),
        "entropy": rounded(*interval(np.array([entropy(tokens) for tokens in ids]), groups)),
        "distinct": [round(distinct(ids, n), 4) for n in (1, 2, 3)],
        "self_bleu": round(sum(bleu) / len(bleu), 2) if bleu else None,
    }


def mean_passes(one: TextSet) -> float | None:
    passes = [text.passes for text in one.texts if text.passes is not None]
    return round(float(np.mean(passes)), 2) if passes else None


def score(one: TextSet, judge: Judge, prompts: list[Prompt]) -> None:
    """The judge reads prompt and text as one; what counts are tokens that hold a part of the text."""
    encoded = []
    for text in one.texts:
        prompt = prompts[text.prompt].text
        encoded.append(judge.encode(prompt + text.text, len(prompt)))
    longest = max(len(tokens) for tokens, _ in encoded)
    room = getattr(judge.model.config, "max_position_embeddings", longest)
    if longest > room:
        sys.exit(f"--judge: expected a context of at least {longest} tokens, got {room}")
    steps = "" if one.steps is None else f", {one.steps} steps"
    found = token_nll(judge.model, [tokens for tokens, _ in encoded], progress=f"judging {one.model}{steps}")
    for text, nll, (_, before) in zip(one.texts, found, encoded, strict=True):
        own = nll[max(0, before - 1) :]  # the first token has no NLL, so nll[i] is that of token i + 1
        text.judge_tokens = len(own)
        text.nll = float(own.mean()) if len(own) else None


def rounded(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": round(value, 3), "low": round(low, 3), "high": round(high, 3)}
