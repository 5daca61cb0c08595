"""
Di4C's point, in seconds, on a law that can be written out: pairs of words that always agree, each of M words as likely.

    python -m distill.toy_proof --out=docs/toy-proof.png

A product model that draws both positions in one step hits every pair alike: its total-variation distance to the data is 1 - 1/M, however
well it is trained. With N steps both positions fall into the same step with probability 1/N, so the distance is (1 - 1/M)/N: the
1/N error of product models (theorem 1 of the paper). A mixture needs one step, when it has learnt the correlation.

Distances are exact: the law of the trained networks is summed over all pairs, and over a fine grid of lambda.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor

from distill.config import parse_arguments
from distill.denoiser import Denoiser, DenoiserConfig
from distill.di4c import Di4cConfig, di4c_loss, draw_time
from distill.loss import antithetic_times, diffusion_loss
from distill.train_student import student_of

WORDS = 6  # M
STEPS = (1, 2, 4, 8, 16)
GRID = 1024  # of lambda


@dataclass(slots=True)
class ToyProofConfig:
    out: str
    seed: int = 0


def pairs(count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(WORDS, (count, 1), generator=generator).expand(-1, 2).contiguous()


def optimise(model: Denoiser, steps: int, rate: float, loss_of: Callable[[], Tensor]) -> None:
    optimizer = torch.optim.Adam(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()
        schedule.step()


def train_pair(seed: int) -> tuple[Denoiser, Denoiser]:
    """A teacher, and its mixture student by Di4C's losses."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    teacher = Denoiser(DenoiserConfig(WORDS, width=32, blocks=1, heads=2))
    optimise(
        teacher,
        300,
        3e-3,
        lambda: diffusion_loss(teacher, pairs(64, generator), antithetic_times(64, generator), generator),
    )
    student = student_of(teacher.eval())
    config = Di4cConfig(lambdas=16, grid=4, small_share=0.1, alpha=1.0)
    optimise(
        student,
        500,
        3e-3,
        lambda: di4c_loss(student, teacher, pairs(32, generator), draw_time(config, generator), config, generator).loss,
    )
    return teacher, student.eval()


@torch.no_grad()
def law(model: Denoiser, steps: int) -> Tensor:
    """The exact law of a pair written in N steps: (M, M). Each position's step is uniform, and independent of the other's."""
    both = laws(model, torch.full((1, 2), WORDS))[0]  # (lambdas, 2, M)
    together = torch.einsum("ka,kb->ab", both[:, 0], both[:, 1]) / len(both)
    first = both.mean(0)
    in_turn = (one_by_one(model, first[0], 0) + one_by_one(model, first[1], 1)) / 2
    return together / steps + in_turn * (1 - 1 / steps)


def one_by_one(model: Denoiser, first: Tensor, position: int) -> Tensor:
    """The law when `position` is revealed in an earlier step than the other one: (M, M), axes in order of position."""
    known = torch.full((WORDS, 2), WORDS)
    known[:, position] = torch.arange(WORDS)
    second = laws(model, known)[:, :, 1 - position].mean(1)  # every step draws its own lambda
    joint = first[:, None] * second
    return joint if position == 0 else joint.T


def laws(model: Denoiser, tokens: Tensor) -> Tensor:
    """p of each text under each lambda of the grid: (texts, 2) to (texts, lambdas, 2, M)."""
    grid = (torch.arange(GRID) + 0.5) / GRID if model.config.mixture else None
    count = GRID if model.config.mixture else 1
    latent = None if grid is None else grid.repeat(len(tokens))
    hidden = model.trunk(tokens.repeat_interleave(count, 0), latent)
    return model.log_probabilities(hidden).exp().view(len(tokens), count, 2, WORDS)


def distance(p: Tensor) -> float:
    """Total variation to the data."""
    return ((p - torch.eye(WORDS) / WORDS).abs().sum() / 2).item()


def plot(teacher: dict[int, float], student: dict[int, float], path: str) -> None:
    floor = 1 - 1 / WORDS
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(STEPS, [floor / n for n in STEPS], "--", color="#888", label="product models at best: (1 - 1/M)/N")
    axes.plot(list(teacher), list(teacher.values()), "o-", color="#4a6fa5", label="teacher (product), exact law")
    axes.plot(list(student), list(student.values()), "o-", color="#c2570c", label="Di4C student (mixture), exact law")
    axes.set(xlabel="steps N", ylabel="total-variation distance to the data", xscale="log", yscale="log")
    axes.set_xticks(STEPS, [str(n) for n in STEPS])
    axes.minorticks_off()
    axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main(config: ToyProofConfig) -> None:
    teacher, student = ({n: distance(law(model, n)) for n in STEPS} for model in train_pair(config.seed))
    for n in STEPS:
        print(
            f"{n:2d} steps: product at best {(1 - 1 / WORDS) / n:.3f}, teacher {teacher[n]:.3f}, student {student[n]:.3f}"
        )
    plot(teacher, student, config.out)


if __name__ == "__main__":
    main(parse_arguments(ToyProofConfig))
