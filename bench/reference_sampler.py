"""
The papers' sampler in PyTorch, as their code has it: logits of every position over the whole vocabulary in every step, one float64 categorical
draw over token-or-mask for each, the mask's share included. An independent yardstick for bench/reference-sampler.js, which drives it.

    python bench/reference_sampler.py THREADS      reads lines `BATCH LENGTH STEPS`, answers each with the seconds that it took
"""

import sys
import time
from itertools import pairwise
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.full_size import full_size_model
from distill.denoiser import Denoiser


@torch.inference_mode()
def sample(model: Denoiser, batch: int, length: int, steps: int) -> torch.Tensor:
    """Ancestral sampling from all masks: (batch, length)."""
    mask = model.config.vocabulary
    tokens = torch.full((batch, length), mask)
    times = torch.linspace(1, 1e-5, steps + 1, dtype=torch.float64)
    for t, s in pairwise(times):
        logits = model.logits(model.trunk(tokens, torch.rand(batch)))  # (batch, length, vocabulary + 1)
        logits[..., mask] = -1e6
        p = logits.softmax(-1).double()
        q = p * (t - s)
        q[..., mask] = s
        gumbel = 1e-10 - (torch.rand_like(q) + 1e-10).log()
        drawn = (q / gumbel).argmax(-1)
        tokens = torch.where(tokens == mask, drawn, tokens)
    return tokens


def run() -> None:
    model = full_size_model()
    print("ready", flush=True)
    for line in sys.stdin:
        batch, length, steps = map(int, line.split())
        start = time.perf_counter()
        sample(model, batch, length, steps)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    run()
