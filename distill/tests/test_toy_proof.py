from pathlib import Path

import pytest
import torch

from distill.denoiser import Denoiser
from distill.toy_proof import STEPS, WORDS, distance, law, plot, train_pair

from .conftest import random_denoiser

FLOOR = 1 - 1 / WORDS  # of a product model in one step


@pytest.fixture(scope="module")
def trained() -> tuple[Denoiser, Denoiser]:
    return train_pair(seed=0)


def test_a_product_model_stays_at_its_floor_and_a_mixture_goes_below_a_third_of_it(
    trained: tuple[Denoiser, Denoiser],
) -> None:
    teacher, student = trained
    assert distance(law(teacher, 1)) == pytest.approx(FLOOR, abs=0.01)
    assert distance(law(student, 1)) < FLOOR / 3


def test_the_error_of_a_product_model_falls_as_one_over_the_steps(trained: tuple[Denoiser, Denoiser]) -> None:
    teacher = trained[0]
    for steps in (2, 4):
        assert distance(law(teacher, steps)) == pytest.approx(FLOOR / steps, rel=0.1)


@pytest.mark.parametrize("mixture", [False, True])
def test_the_exact_law_is_that_of_sampling(mixture: bool, generator: torch.Generator) -> None:
    """The chain itself, 20,000 times in two steps, against the law that is summed."""
    model = random_denoiser(WORDS, mixture=mixture, blocks=1)
    count = 20_000
    texts = torch.full((count, 2), WORDS)
    steps = torch.randint(2, (count, 2), generator=generator)
    for step in range(2):
        latent = torch.rand(count, generator=generator) if mixture else None
        with torch.no_grad():
            p = model.log_probabilities(model.trunk(texts, latent)).exp()
        drawn = torch.multinomial(p.flatten(0, 1), 1, generator=generator).view(count, 2)
        texts = torch.where(steps == step, drawn, texts)
    counted = (texts[:, 0] * WORDS + texts[:, 1]).bincount(minlength=WORDS**2) / count
    exact = law(model, 2).flatten()
    assert exact.sum().item() == pytest.approx(1, abs=1e-4)
    assert (counted - exact).abs().sum().item() / 2 < 0.03  # 36 cells: 0.012 expected by chance


def test_the_picture_is_written(tmp_path: Path) -> None:
    figures = dict.fromkeys(STEPS, 0.1)
    plot(figures, figures, str(tmp_path / "toy.png"))
    assert (tmp_path / "toy.png").stat().st_size > 5000
