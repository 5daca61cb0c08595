import pytest
import torch

import distill.head
from distill.loss import antithetic_times, mask_tokens
from distill.sdtt import sdtt_loss, target_hidden

from .conftest import random_denoiser


def test_targets_are_taken_where_the_teacher_reveals(generator: torch.Generator) -> None:
    """Positions revealed by the first of the two steps have its law, all others the law after it."""
    teacher = random_denoiser(20, mixture=False)
    x_t, times = torch.full((300, 8), 20), torch.full((300,), 0.5)
    b, i, hidden = target_hidden(teacher, x_t, times, 0.125, generator)
    assert len(b) == 2400
    first = teacher.trunk(x_t)[b, i]
    of_first_step = (hidden == first).all(1)
    alone = of_first_step.view(300, 8).all(1)  # nothing revealed leaves the second pass as the first
    share = of_first_step.view(300, 8)[~alone].float().sum() / 2400
    assert share.item() == pytest.approx(0.25, abs=0.045)  # dt / t
    assert alone.float().mean().item() == pytest.approx(0.75**8, abs=0.06)


def test_the_loss_is_the_kl_from_student_to_target(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(distill.head.BLOCK, "cpu", 5 * 20)
    teacher, student = random_denoiser(20, mixture=False), random_denoiser(20, mixture=False, seed=1)
    x_0 = torch.randint(0, 20, (4, 12), generator=generator)
    loss = sdtt_loss(student, teacher, x_0, 0.1, torch.Generator().manual_seed(3))
    again = torch.Generator().manual_seed(3)
    times = antithetic_times(4, again)
    x_t = mask_tokens(x_0, times, 20, again)
    b, i, hidden = target_hidden(teacher, x_t, times, 0.1, again)
    target = teacher.log_probabilities(hidden).exp()
    p = student.log_probabilities(student.trunk(x_t)[b, i]).exp()
    expected = (p * (p / target).log()).sum() / len(b)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    ours, theirs = (torch.autograd.grad(x, student.output_layer.linear.bias)[0] for x in (loss, expected))
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_student_that_is_its_teacher_and_sees_no_step_loses_nothing(generator: torch.Generator) -> None:
    teacher = random_denoiser(20, mixture=False)
    x_0 = torch.randint(0, 20, (4, 12), generator=generator)
    assert sdtt_loss(teacher, teacher, x_0, 0.0, generator).abs().item() < 1e-6
    assert sdtt_loss(teacher, teacher, x_0, 0.5, generator).item() > 1e-3
