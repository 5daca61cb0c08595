"""
Trains a teacher (MDLM, arXiv 2406.07524).

    python -m distill.train --data=data/ --out=runs/teacher --minutes=35
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from distill.config import parse_arguments
from distill.denoiser import Denoiser, DenoiserConfig
from distill.fit import FitConfig, fit
from distill.loss import antithetic_times, diffusion_loss
from distill.rows import Rows
from distill.vocabulary import Vocabulary


@dataclass(slots=True, kw_only=True)
class TrainConfig(FitConfig):
    width: int = 256
    blocks: int = 8
    heads: int = 4


def train(config: TrainConfig) -> None:
    torch.manual_seed(config.seed)
    vocabulary = Vocabulary.load(Path(config.data) / "vocabulary.npy")
    model = Denoiser(DenoiserConfig(len(vocabulary), width=config.width, blocks=config.blocks, heads=config.heads))

    def loss(x_0: Tensor, generator: torch.Generator) -> Tensor:
        return diffusion_loss(model, x_0, antithetic_times(len(x_0), generator), generator)

    progress = fit(model, Rows(Path(config.data), vocabulary, config.seed), loss, config)
    print(f"{progress.steps:,} steps, {progress.tokens:,} tokens, {progress.seconds:,.0f} s")


if __name__ == "__main__":
    train(parse_arguments(TrainConfig))
