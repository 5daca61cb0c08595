"""
SDTT: self-distillation through time (Deschenaux and Gulcehre, arXiv 2410.21035). A round teaches a student to do in one step of
2 dt what its teacher does in two of dt; rounds repeated halve the steps again and again.

For x_t, the teacher takes two ancestral steps of dt. The target of a masked position is the teacher's law at the moment when it
reveals the position; of one that is still masked, its law in the last step. The loss is KL(student || target), the reference's
"kl-bwd", mean over masked positions.

Which positions a step reveals does not depend on the network, so the head runs once a row: at the hidden state of the step that
reveals it.
"""

import torch
from torch import Tensor

from distill.denoiser import Denoiser
from distill.head import draw_tokens, in_blocks
from distill.loss import antithetic_times, mask_tokens


@torch.no_grad()
def target_hidden(
    teacher: Denoiser, x_t: Tensor, times: Tensor, dt: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Masked positions (b, i) of x_t (B, L), and the teacher's hidden state whose law is their target: (rows, width)."""
    mask = teacher.config.vocabulary
    b, i = (x_t == mask).nonzero(as_tuple=True)
    first = teacher.trunk(x_t)[b, i]
    reveals = torch.rand(len(b), generator=generator, device=x_t.device) * times[b] < dt  # probability dt / t
    x = x_t.clone()
    x[b[reveals], i[reveals]] = draw_tokens(teacher, first[reveals], generator)
    second = teacher.trunk(x)[b, i]
    return b, i, torch.where(reveals[:, None], first, second)


def sdtt_loss(student: Denoiser, teacher: Denoiser, x_0: Tensor, dt: float, generator: torch.Generator) -> Tensor:
    """x_0: (B, L) clean tokens; dt: the teacher's step. Nats a masked position."""
    times = antithetic_times(len(x_0), generator)
    x_t = mask_tokens(x_0, times, student.config.vocabulary, generator)
    b, i, target = target_hidden(teacher, x_t, times, dt, generator)

    def divergence(hidden: Tensor, target: Tensor) -> tuple[Tensor]:
        log_p = student.log_probabilities(hidden)
        with torch.no_grad():
            log_target = teacher.log_probabilities(target)
        return ((log_p.exp() * (log_p - log_target)).sum(-1),)

    return in_blocks(divergence, student, student.trunk(x_t)[b, i], target)[0].sum() / max(1, len(b))
