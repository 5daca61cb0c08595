"""
Di4C: distilling a teacher into a mixture student that learns how positions go together (Hayakawa et al., ICML 2025,
arXiv 2410.08709; the losses of section 3 with the control variate of section 4, as `di4c_loss` of the authors' code for text has them).

One time t a batch. For each datapoint x_0: x_t is x_0 masked, K lambdas are drawn, and each of the K replicas takes one
ancestral step of the teacher from x_t to x_s. With p_T the teacher's marginals at x_t, p_l the student's at (x_t, lambda_l),
p_mean their mean over the lambdas, and LME the log of the mean over the lambdas of exp:

    corr(x) = -LME_l sum_d log p_l(x_d)  +  sum_d LME_l log p_l(x_d)             0 for a student that ignores lambda
    data    = alpha_t corr(x_0) + sum_d KL(p_T || p_mean)
    distil  = mean_l sum_d KL(p_T || p_l)                                        when t < delta
    consist = mean_i corr(x_0^i) + sum_d KL(stop p_mean(x_s) || p_mean)          when t >= delta

x_0^i is drawn by replica i, from the student at x_s and lambda_i. The marginal terms tie averages over lambda to the teacher; only corr
teaches correlation. Sums run over the masked positions of x_t: everywhere else all laws agree.

A teacher that is a mixture itself (Di4C squared) stands with its mean over K lambdas.

Every term is a sum over rows but LME of the joint, which needs log p at a few tokens only. So the head runs in blocks of rows
(distill/head.py), and nothing of size K x rows x vocabulary is made.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.denoiser import Denoiser
from distill.head import draw, draw_tokens, in_blocks
from distill.loss import mask_tokens


@dataclass(frozen=True, slots=True)
class Di4cConfig:
    lambdas: int = 16  # K
    grid: int = 1024  # teacher steps from t = 1 to 0; times lie on it
    delta: float = 0.02  # below it, plain distillation
    small_share: float = 0.3  # of the batches with t < delta
    alpha: float = 0.1  # weight of corr on data, times sigmoid(20 (t - 1/2))


def draw_time(config: Di4cConfig, generator: torch.Generator) -> float:
    """t, snapped up to the grid."""
    small, u = torch.rand(2, generator=generator, device=generator.device).tolist()
    t = u * config.delta if small < config.small_share else config.delta + u * (1 - config.delta)
    return max(1, math.ceil(t * config.grid)) / config.grid


def log_mean_exp(x: Tensor, axis: int) -> Tensor:
    return x.logsumexp(axis) - math.log(x.shape[axis])


def correlation(log_p: Tensor, sequence: Tensor, batch: int) -> Tensor:
    """
    corr of each text: joint NLL of the mixture minus NLL of the product of its marginals, so never a matter of how good
    the marginals are.

    log_p: (rows, K, texts) log p_l(x_d); sequence: (rows,) the datapoint of each row. Returns (batch, texts).
    """
    joint = log_p.new_zeros(batch, *log_p.shape[1:]).index_add(0, sequence, log_p)  # sum over positions
    marginal = log_p.new_zeros(batch, log_p.shape[2]).index_add(0, sequence, log_mean_exp(log_p, 1))
    return marginal - log_mean_exp(joint, 1)


def hidden_at(model: Denoiser, tokens: Tensor, latent: Tensor | None, b: Tensor, i: Tensor) -> Tensor:
    """Hidden states of replicas at positions (b, i). tokens: (B, K, L); latent: (B, K); b, i: (rows,). (rows, K, width)."""
    hidden = model.trunk(tokens.flatten(0, 1), None if latent is None else latent.flatten())
    return hidden.view(*tokens.shape, -1)[b, :, i]


@dataclass(frozen=True, slots=True)
class TeacherStep:
    """What follows the teacher's step from t to s."""

    x_s: Tensor  # (rows, K) at the masked positions of x_t
    hidden: Tensor  # (rows, K, width) the student's hidden states at x_s
    texts: Tensor  # (rows, K) x_0^i


@dataclass(frozen=True, slots=True)
class Replicas:
    """What is drawn for one batch: everything of the loss that is random."""

    b: Tensor  # (rows,) datapoint and position of each masked position of x_t
    i: Tensor
    x_t: Tensor  # (B, K, L)
    latent: Tensor  # (B, K)
    teacher: Tensor  # (rows, 1 or K, width) the teacher's hidden states at x_t
    step: TeacherStep | None  # where t >= delta


@torch.no_grad()
def draw_replicas(
    student: Denoiser, teacher: Denoiser, x_0: Tensor, t: float, config: Di4cConfig, generator: torch.Generator
) -> Replicas:
    batch, lambdas, mask = len(x_0), config.lambdas, student.config.vocabulary

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=x_0.device)

    masked = mask_tokens(x_0, x_0.new_full((batch,), t, dtype=torch.float32), mask, generator)
    b, i = (masked == mask).nonzero(as_tuple=True)
    x_t, latent = masked[:, None].expand(-1, lambdas, -1), uniform(batch, lambdas)
    if teacher.config.mixture:
        hidden = hidden_at(teacher, x_t, uniform(batch, lambdas), b, i)
    else:
        hidden = hidden_at(teacher, x_t[:, :1], None, b, i)
    if t < config.delta:
        return Replicas(b, i, x_t, latent, hidden, None)

    s = max(0.0, t - min(1 / config.grid, t / 2))
    row, replica = (uniform(len(b), lambdas) < (t - s) / t).nonzero(as_tuple=True)  # what the teacher's step reveals
    x_s = x_t.clone()
    x_s[b[row], replica, i[row]] = draw_of(teacher, hidden[row], generator)
    was_training = student.training
    after = hidden_at(student.eval(), x_s, latent, b, i)
    student.train(was_training)
    known = x_s[b, :, i]
    texts = torch.where(known == mask, draw_tokens(student, after, generator), known)
    return Replicas(b, i, x_t, latent, hidden, TeacherStep(known, after, texts))


def mean_law(model: Denoiser, hidden: Tensor) -> Tensor:
    """log of the mean law over replicas. (rows, K, width) to (rows, vocabulary)."""
    return log_mean_exp(model.log_probabilities(hidden), 1)


def draw_of(model: Denoiser, hidden: Tensor, generator: torch.Generator) -> Tensor:
    """One token of the mean law for each row: (rows, K, width) to (rows,)."""
    return in_blocks(lambda block: (draw(mean_law(model, block), generator),), model, hidden)[0]


@dataclass(slots=True)
class Di4cTerms:
    """Parts of the loss, summed over positions and averaged over datapoints."""

    loss: Tensor
    data_correlation: float
    consistency_correlation: float  # 0 where t < delta
    marginal: float


def di4c_loss(
    student: Denoiser, teacher: Denoiser, x_0: Tensor, t: float, config: Di4cConfig, generator: torch.Generator
) -> Di4cTerms:
    """x_0: (B, L) clean tokens; t a time on the grid."""
    return terms_of(student, teacher, x_0, t, draw_replicas(student, teacher, x_0, t, config, generator), config)


def terms_of(
    student: Denoiser, teacher: Denoiser, x_0: Tensor, t: float, replicas: Replicas, config: Di4cConfig
) -> Di4cTerms:
    b, i, batch, step = replicas.b, replicas.i, len(x_0), replicas.step
    texts = x_0[b, i][:, None]
    blocks = [hidden_at(student, replicas.x_t, replicas.latent, b, i), texts, replicas.teacher]
    if step:
        blocks = [blocks[0], torch.cat([texts, step.texts], 1), replicas.teacher, step.hidden, step.x_s]

    def by_row(hidden: Tensor, texts: Tensor, of_teacher: Tensor, *after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_p = student.log_probabilities(hidden)  # (rows, K, V)
        log_mean = log_mean_exp(log_p, 1)
        with torch.no_grad():
            log_teacher = mean_law(teacher, of_teacher)
            target = mean_law_after(student, *after) if after else None
        at_texts = log_p.gather(2, texts[:, None].expand(-1, log_p.shape[1], -1))  # (rows, K, texts)
        marginal = kl(log_teacher, log_mean)
        if target is None:
            other = kl(log_teacher[:, None], log_p).mean(1)
        else:
            other = F.kl_div(log_mean, target, reduction="none").sum(-1)
        return at_texts, marginal, other

    at_texts, marginal, other = in_blocks(by_row, student, *blocks)
    corr = correlation(at_texts, b, batch).mean(0)  # (texts,): x_0 first
    data, consistency = corr[0], corr[1:].mean() if len(corr) > 1 else corr.new_zeros(())
    alpha = config.alpha / (1 + math.exp(-20 * (t - 0.5)))
    loss = alpha * data + consistency + (marginal.sum() + other.sum()) / batch
    return Di4cTerms(loss, data.item(), consistency.item(), marginal.sum().item() / batch)


def mean_law_after(student: Denoiser, hidden: Tensor, x_s: Tensor) -> Tensor:
    """p_mean(x_s): mean over replicas of the student's law, or of the token that the teacher's step revealed. (rows, V)."""
    law = student.log_probabilities(hidden).exp()
    revealed = x_s != student.config.vocabulary
    law[revealed] = F.one_hot(x_s[revealed], law.shape[-1]).to(law)
    return law.mean(1)


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) over the last axis."""
    return F.kl_div(log_q, log_p.expand_as(log_q), reduction="none", log_target=True).sum(-1)
