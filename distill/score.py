"""
Perplexity of texts under an autoregressive model, with intervals.

A text's NLL is the mean over its tokens of -log p(token | all tokens before it), from the second token on: nothing is put before the text, so
nothing predicts its first token. The perplexity of a set of texts is exp(mean over texts of their NLL), as in the papers' evaluation: every
text weighs the same, however long it is.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

BATCH_TOKENS = 1024  # a batch's logits are this many rows of the judge's vocabulary: 200 MB at 49,152


@torch.inference_mode()
def token_nll(model: Any, sequences: list[list[int]], progress: str = "") -> list[np.ndarray]:
    """-log p of each token but the first, nats, one array a sequence. `model` is any causal model of transformers."""
    found: list[np.ndarray] = [np.empty(0)] * len(sequences)
    with tqdm(total=len(sequences), desc=progress, disable=not progress, unit=" texts") as bar:
        for batch in batches(sequences):
            for i, nll in zip(batch, batch_nll(model, [sequences[i] for i in batch]), strict=True):
                found[i] = nll
            bar.update(len(batch))
    return found


def batches(sequences: list[list[int]]) -> list[list[int]]:
    """Indices of the sequences that have something to score, those of like length together so that little is padding."""
    made: list[list[int]] = []
    for i in sorted(range(len(sequences)), key=lambda i: -len(sequences[i])):
        if len(sequences[i]) < 2:
            continue
        if not made or len(sequences[made[-1][0]]) * (len(made[-1]) + 1) > BATCH_TOKENS:
            made.append([])
        made[-1].append(i)
    return made


def batch_nll(model: Any, sequences: list[list[int]]) -> list[np.ndarray]:
    # Padding is on the right: in a causal model no real token sees it, and positions count from the first token.
    tokens = pad_sequence([torch.tensor(ids) for ids in sequences], batch_first=True).to(model.device)  # (B, L)
    lengths = torch.tensor([len(ids) for ids in sequences], device=model.device)
    real = torch.arange(tokens.shape[1], device=model.device) < lengths[:, None]
    logits: Tensor = model(input_ids=tokens, attention_mask=real.long(), use_cache=False).logits[:, :-1]  # (B, L-1, V)
    # In float32 whatever the model computes with: bfloat16 has two digits.
    nll = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    rows = nll.view(len(sequences), -1).double().cpu().numpy()
    return [row[: len(ids) - 1] for row, ids in zip(rows, sequences, strict=True)]


def interval(values: np.ndarray, groups: np.ndarray | None = None, draws: int = 10_000) -> tuple[float, float, float]:
    """Mean and its 95 % interval, by bootstrap over the values, or over whole groups of values that go together."""
    index = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(index, weights=values), np.bincount(index)
    chosen = np.random.default_rng(0).integers(len(sums), size=(draws, len(sums)))
    low, high = np.quantile(sums[chosen].sum(1) / counts[chosen].sum(1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def perplexity(nll: np.ndarray, groups: np.ndarray | None = None) -> tuple[float, float, float]:
    """From one NLL a text: the perplexity and its 95 % interval."""
    value, low, high = np.exp(interval(nll, groups))
    return float(value), float(low), float(high)
