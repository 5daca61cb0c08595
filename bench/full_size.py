"""
A model of the published size with random weights (170 million parameters, 1024 positions, the whole vocabulary), for benches.

    python bench/full_size.py FOLDER float32 int8      writes FOLDER/float32 and FOLDER/int8 to serve, and FOLDER/checkpoint.pt
"""

import sys
from dataclasses import asdict
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


def make(folder: Path, variants: list[str]) -> None:
    torch.manual_seed(0)
    model = Denoiser(CONFIG).eval()
    for precisions in variants:
        export(model, Vocabulary.all(), CONTEXT, folder / precisions, CARD, precisions.split(","))
    torch.save({"model": model.state_dict(), "config": asdict(CONFIG)}, folder / "checkpoint.pt")


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
