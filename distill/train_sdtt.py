"""
Distils a teacher into a product student of fewer steps, round by round (distill/sdtt.py).

    python -m distill.train_sdtt --data=data/ --teacher=runs/teacher --out=runs/sdtt --rounds=3 --minutes=5

Each round is a run of its own, runs/sdtt/round-1 and so on, starts as the one before and halves its steps. The last one is the result.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from distill.config import parse_arguments
from distill.denoiser import Denoiser
from distill.export_onnx import load_model
from distill.fit import FitConfig, device_at_hand, fit
from distill.rows import Rows
from distill.sdtt import sdtt_loss
from distill.vocabulary import Vocabulary


@dataclass(slots=True, kw_only=True)
class SdttConfig(FitConfig):
    teacher: str
    rounds: int = 3
    teacher_steps: int = 256  # of the first round's teacher; the reference starts at 1024 and takes 7 rounds
    minutes: float = 5.0  # a round
    learning_rate: float = 3e-4
    warm_up: float = 0.05
    average: float = 0.99


def train(config: SdttConfig) -> None:
    data = Path(config.data)
    vocabulary = Vocabulary.load(data / "vocabulary.npy")
    teacher = load_model(Path(config.teacher) / "checkpoint.pt")[0]
    for number in range(1, config.rounds + 1):
        teacher.to(device_at_hand()).eval()
        dt = 2 ** (number - 1) / config.teacher_steps
        teacher = run_round(teacher, dt, data, vocabulary, replace(config, out=f"{config.out}/round-{number}"))
        print(f"round {number}: a step of the student is worth {2**number} of {config.teacher_steps}")


def run_round(teacher: Denoiser, dt: float, data: Path, vocabulary: Vocabulary, config: SdttConfig) -> Denoiser:
    """One round; returns the student."""
    student = copy.deepcopy(teacher)

    def loss(x_0: Tensor, generator: torch.Generator) -> Tensor:
        return sdtt_loss(student, teacher, x_0, dt, generator)

    fit(student, Rows(data, vocabulary, config.seed), loss, config)
    return student


if __name__ == "__main__":
    train(parse_arguments(SdttConfig))
