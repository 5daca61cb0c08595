"""
A model of the published size with random weights (170 million parameters, 1024 positions, the whole vocabulary), for benches.

    python bench/full_size.py FOLDER float32 small=int8      writes FOLDER/float32 and FOLDER/small to serve, of these precisions
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from distill.denoiser import Denoiser, DenoiserConfig
from distill.export_onnx import export
from distill.vocabulary import SIZE, Vocabulary

CONTEXT = 1024
CONFIG = DenoiserConfig(SIZE, width=768, blocks=12, heads=12, mixture=True, tied=False)
CARD = {
    "description": "Random weights in the shape of the published models, for benches.",
    "steps": {"default": 16, "min": 1, "max": 1024},
    "licence": "Apache-2.0",
    "provenance": {"weights": "random"},
}


def full_size_model() -> Denoiser:
    """Always the same."""
    torch.manual_seed(0)
    return Denoiser(CONFIG).eval()


def make(folder: Path, variants: list[str]) -> None:
    model = full_size_model()
    for variant in variants:
        name, _, precisions = variant.rpartition("=")
        export(model, Vocabulary.all(), CONTEXT, folder / (name or precisions), CARD, precisions.split(","))


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
