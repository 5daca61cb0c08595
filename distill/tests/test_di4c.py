import itertools
import math

import pytest
import torch

from distill.di4c import Di4cConfig, at_tokens, correlation, di4c_loss, draw_time, teacher_step
from distill.train_student import student_of

from .conftest import random_denoiser

CONFIG = Di4cConfig(lambdas=4, grid=8)


def test_the_correlation_term_is_0_when_lambda_is_ignored(generator: torch.Generator) -> None:
    log_p = torch.randn(1, 30, generator=generator).expand(6, -1)
    sequence = torch.arange(30) % 4
    assert correlation(log_p, sequence, 4).abs().max() < 1e-5


def test_the_correlation_term_is_joint_minus_product_by_enumeration(generator: torch.Generator) -> None:
    """Two positions, three words, five lambdas: the mixture's joint table and its marginals, written out."""
    p = torch.randn(5, 2, 3, generator=generator).softmax(-1)
    joint = torch.einsum("ka,kb->ab", p[:, 0], p[:, 1]) / 5
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    for a, b in itertools.product(range(3), repeat=2):
        log_p = torch.stack([p[:, 0, a], p[:, 1, b]], 1).log()
        expected = -math.log(joint[a, b]) + math.log(product[a, b])
        assert correlation(log_p, torch.zeros(2, dtype=torch.long), 1).item() == pytest.approx(expected, abs=1e-5)


def test_its_mean_over_the_joint_law_is_minus_the_total_correlation(generator: torch.Generator) -> None:
    p = (3 * torch.randn(5, 2, 3, generator=generator)).softmax(-1)
    joint = torch.einsum("ka,kb->ab", p[:, 0], p[:, 1]) / 5
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    total_correlation = (joint * (joint / product).log()).sum().item()
    mean = sum(
        joint[a, b].item()
        * correlation(torch.stack([p[:, 0, a], p[:, 1, b]], 1).log(), torch.zeros(2, dtype=torch.long), 1).item()
        for a, b in itertools.product(range(3), repeat=2)
    )
    assert mean == pytest.approx(-total_correlation, abs=1e-5)
    assert mean < -0.01


def test_one_teacher_step_reveals_each_masked_position_with_its_probability(generator: torch.Generator) -> None:
    x_t = torch.full((500, 1, 40), 9)
    x_t[:, :, :10] = 3
    b, i = torch.zeros(30, dtype=torch.long), torch.arange(10, 40)
    log_p = torch.full((30, 9), -20.0)
    log_p[:, 5] = 0
    x_s = teacher_step(log_p.log_softmax(-1), x_t, b, i, 0.25, generator)
    assert (x_s[:, :, :10] == 3).all()
    assert set(x_s[:, :, 10:].unique().tolist()) == {5, 9}
    assert (x_s[:, :, 10:] == 5).float().mean().item() == pytest.approx(0.25, abs=0.015)


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


def test_training_lowers_the_loss_and_finds_correlation() -> None:
    """Pairs that always agree: words 2k and 2k + 1 never mix. A product cannot know it in one step; a mixture can."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    teacher = random_denoiser(4, mixture=False, blocks=1)
    from distill.loss import antithetic_times, diffusion_loss

    def data(count: int) -> torch.Tensor:
        return torch.randint(0, 4, (count, 1), generator=generator).expand(-1, 2).contiguous()

    optimizer = torch.optim.Adam(teacher.parameters(), 3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        diffusion_loss(teacher, data(64), antithetic_times(64, generator), generator).backward()
        optimizer.step()
    student = student_of(teacher.eval())
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    config = Di4cConfig(lambdas=16, grid=4, delta=0.02, small_share=0.0, alpha=1.0)
    for _ in range(300):
        optimizer.zero_grad()
        di4c_loss(student, teacher, data(32), 1.0, config, generator).loss.backward()
        optimizer.step()
    masked, latent = torch.full((256, 2), 4), torch.rand(256)
    log_p = student.log_probabilities(student.trunk(masked, latent))  # one step from all masked
    agree = log_p.exp().prod(1).mean(0).sum().item()  # probability that both words are the same
    assert agree > 0.5, f"a product would agree in a quarter of its texts, this one in {agree:.2f}"


def test_at_tokens_picks_the_words() -> None:
    log_p = torch.arange(24.0).view(2, 3, 4)
    assert at_tokens(log_p, torch.tensor([[0, 1, 2], [3, 2, 1]])).tolist() == [[0, 5, 10], [15, 18, 21]]
