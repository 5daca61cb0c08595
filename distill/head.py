"""
The head, a block of rows at a time: it maps hidden states to log-probabilities over the vocabulary, which are what takes memory in
distillation. Here no more than one block of them lives at a time; the backward pass computes it again.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from distill.denoiser import Denoiser

# Log-probabilities in a block: what stays in a CPU's cache, and what keeps a GPU busy.
BLOCK = {"cpu": 1 << 21, "cuda": 1 << 27}

Function = Callable[..., tuple[Tensor, ...]]


def in_blocks(function: Function, model: Denoiser, *rows: Tensor) -> tuple[Tensor, ...]:
    """
    function(*rows) for tensors whose first axis is rows, computed block by block. Each of its results has the rows of the block
    first, and comes whole. The first tensor is hidden states (rows, ..., width) whose log-probabilities function computes.
    """
    hidden = rows[0]
    each = hidden[:1].numel() // hidden.shape[-1] * model.config.vocabulary
    size = max(1, BLOCK[hidden.device.type] // max(1, each))
    blocks = zip(*(tensor.split(size) for tensor in rows), strict=True)
    results = [checkpoint(function, *block, use_reentrant=False) for block in blocks]
    return tuple(torch.cat(parts) for parts in zip(*results, strict=True))


def draw(log_p: Tensor, generator: torch.Generator) -> Tensor:
    """One token a row: (..., vocabulary) to (...)."""
    flat = log_p.flatten(0, -2).exp()
    return torch.multinomial(flat, 1, generator=generator).view(log_p.shape[:-1])


@torch.no_grad()
def draw_tokens(model: Denoiser, hidden: Tensor, generator: torch.Generator) -> Tensor:
    """One token for each hidden state: (rows, ..., width) to (rows, ...)."""
    (tokens,) = in_blocks(lambda block: (draw(model.log_probabilities(block), generator),), model, hidden)
    return tokens
