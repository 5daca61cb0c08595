"""
Distils a teacher into a mixture student with Di4C (distill/di4c.py).

    python -m distill.train_student --data=data/ --teacher=runs/teacher --out=runs/student --minutes=18

The student starts as the teacher with a fresh lambda projection; as a copy of it where the teacher is a mixture itself (Di4C squared).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from distill.config import parse_arguments
from distill.denoiser import Denoiser, DenoiserConfig
from distill.di4c import Di4cConfig, di4c_loss, draw_time
from distill.export_onnx import load_model
from distill.fit import FitConfig, device_at_hand, fit
from distill.rows import Rows
from distill.vocabulary import Vocabulary


@dataclass(slots=True, kw_only=True)
class StudentConfig(FitConfig):
    teacher: str
    minutes: float = 16.0
    batch: int = 1
    learning_rate: float = 5e-4
    warm_up: float = 0.05
    average: float = 0.99
    # Di4C. Times lie on a coarse grid and data weigh ten times as much as in the paper, because a short training
    # has no time for a fine one.
    lambdas: int = 8
    grid: int = 32
    delta: float = 0.02
    small_share: float = 0.1
    alpha: float = 1.0


def student_of(teacher: Denoiser) -> Denoiser:
    student = Denoiser(DenoiserConfig(**{**asdict(teacher.config), "mixture": True}))
    missing, unexpected = student.load_state_dict(teacher.state_dict(), strict=False)
    assert not unexpected and all(name.startswith("latent_projection.") for name in missing)
    return student


def train(config: StudentConfig) -> None:
    torch.manual_seed(config.seed)
    data = Path(config.data)
    vocabulary = Vocabulary.load(data / "vocabulary.npy")
    teacher = load_model(Path(config.teacher) / "checkpoint.pt")[0].to(device_at_hand())
    student = student_of(teacher)
    settings = Di4cConfig(config.lambdas, config.grid, config.delta, config.small_share, config.alpha)

    def loss(x_0: Tensor, generator: torch.Generator) -> Tensor:
        terms = di4c_loss(student, teacher, x_0, draw_time(settings, generator), settings, generator)
        return terms.loss / x_0.shape[1]  # nats a token, as the teacher's

    progress = fit(student, Rows(data, vocabulary, config.seed + 1), loss, config)
    print(f"{progress.steps:,} steps, {progress.tokens:,} tokens, {progress.seconds:,.0f} s")


if __name__ == "__main__":
    train(parse_arguments(StudentConfig))
