import itertools
import math

import pytest
import torch

import distill.head
from distill.di4c import Di4cConfig, correlation, di4c_loss, draw_replicas, draw_time, mean_law, terms_of
from distill.train_student import student_of

from .conftest import random_denoiser
from .naive_di4c import naive_loss

CONFIG = Di4cConfig(lambdas=4, grid=8)


def test_the_correlation_term_is_0_when_lambda_is_ignored(generator: torch.Generator) -> None:
    log_p = torch.randn(30, 1, 2, generator=generator).expand(-1, 6, -1)
    sequence = torch.arange(30) % 4
    assert correlation(log_p, sequence, 4).abs().max() < 1e-5


def correlation_of_pair(p: torch.Tensor, a: int, b: int) -> float:
    """p: (lambdas, 2, words)."""
    log_p = torch.stack([p[:, 0, a], p[:, 1, b]]).log()[..., None]  # (rows, lambdas, texts)
    return correlation(log_p, torch.zeros(2, dtype=torch.long), 1).item()


def test_the_correlation_term_is_joint_minus_product_by_enumeration(generator: torch.Generator) -> None:
    """Two positions, three words, five lambdas: the mixture's joint table and its marginals, written out."""
    p = torch.randn(5, 2, 3, generator=generator).softmax(-1)
    joint = torch.einsum("ka,kb->ab", p[:, 0], p[:, 1]) / 5
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    for a, b in itertools.product(range(3), repeat=2):
        expected = -math.log(joint[a, b]) + math.log(product[a, b])
        assert correlation_of_pair(p, a, b) == pytest.approx(expected, abs=1e-5)


def test_its_mean_over_the_joint_law_is_minus_the_total_correlation(generator: torch.Generator) -> None:
    p = (3 * torch.randn(5, 2, 3, generator=generator)).softmax(-1)
    joint = torch.einsum("ka,kb->ab", p[:, 0], p[:, 1]) / 5
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    total_correlation = (joint * (joint / product).log()).sum().item()
    mean = sum(joint[a, b].item() * correlation_of_pair(p, a, b) for a, b in itertools.product(range(3), repeat=2))
    assert mean == pytest.approx(-total_correlation, abs=1e-5)
    assert mean < -0.01


def test_one_teacher_step_reveals_each_masked_position_with_its_probability(generator: torch.Generator) -> None:
    teacher = random_denoiser(9, mixture=False)
    config = Di4cConfig(lambdas=400, grid=4)
    x_0 = torch.randint(0, 9, (1, 12), generator=generator)
    replicas = draw_replicas(student_of(teacher), teacher, x_0, 1.0, config, generator)
    assert replicas.step is not None
    revealed = replicas.step.x_s != 9
    assert revealed.float().mean().item() == pytest.approx(0.25, abs=0.03)  # (t - s) / t, 4800 draws: 4.8 sigma
    assert torch.equal(replicas.step.texts[revealed], replicas.step.x_s[revealed])
    expected = mean_law(teacher, replicas.teacher).exp().mean(0)
    drawn = replicas.step.x_s[revealed].bincount(minlength=9) / revealed.sum()
    assert (drawn - expected).abs().max() < 0.07


@pytest.mark.parametrize("t", [1 / 64, 0.5, 1.0])
@pytest.mark.parametrize("squared", [False, True])
def test_the_loss_in_blocks_and_its_gradients_are_those_of_the_naive_form(
    t: float, squared: bool, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(distill.head.BLOCK, "cpu", 7 * 4 * 20)  # blocks of seven rows
    teacher = random_denoiser(20, mixture=squared)
    student = student_of(random_denoiser(20, mixture=False, seed=1))
    x_0 = torch.randint(0, 20, (3, 12), generator=generator)
    replicas = draw_replicas(student, teacher, x_0, t, CONFIG, generator)
    assert len(replicas.b) > 7 or t < 0.1

    def gradients(loss: torch.Tensor) -> list[torch.Tensor]:
        return list(torch.autograd.grad(loss, list(student.parameters()), allow_unused=True, materialize_grads=True))

    blocks = terms_of(student, teacher, x_0, t, replicas, CONFIG).loss
    naive = naive_loss(student, teacher, x_0, t, replicas, CONFIG)
    assert blocks.item() == pytest.approx(naive.item(), rel=1e-5, abs=1e-6)
    for ours, theirs in zip(gradients(blocks), gradients(naive), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-5 * (1 + theirs.abs().max().item()))


def test_times_lie_on_the_grid_and_small_ones_come_as_often_as_asked(generator: torch.Generator) -> None:
    config = Di4cConfig(grid=1024, delta=0.02, small_share=0.3)
    times = [draw_time(config, generator) for _ in range(4000)]
    assert all(1 / 1024 <= t <= 1 and (t * 1024).is_integer() for t in times)
    assert sum(t < 0.02 for t in times) / 4000 == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("t", [1 / 64, 0.5, 1.0])
def test_a_student_that_is_its_teacher_has_no_marginal_loss_and_a_gradient(
    t: float, generator: torch.Generator
) -> None:
    teacher = random_denoiser(20, mixture=False)
    student = student_of(teacher)
    x_0 = torch.randint(0, 20, (2, 12), generator=generator)
    with torch.no_grad():
        # A silent lambda row: its keys are seen, but its values are 0, and attention to it is driven to 0.
        for parameter in student.latent_projection.parameters():
            parameter.zero_()
    terms = di4c_loss(student, teacher, x_0, t, CONFIG, generator)
    assert abs(terms.data_correlation) < 1e-4
    assert abs(terms.consistency_correlation) < 1e-4
    student = student_of(teacher)
    di4c_loss(student, teacher, x_0, t, CONFIG, generator).loss.backward()
    gradients = [parameter.grad for parameter in student.latent_projection.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
