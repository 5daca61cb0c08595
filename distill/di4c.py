"""
Di4C: distilling a teacher into a mixture student that learns how positions go together (Hayakawa et al., ICML 2025,
arXiv 2410.08709), in its plain form.

One time t a batch. For each datapoint x_0: x_t is x_0 masked, K lambdas are drawn, and each of the K replicas takes one
ancestral step of the teacher from x_t to x_s. With p_T the teacher's marginals at x_t, p_l the student's at (x_t, lambda_l),
p_mean their mean over the lambdas, and LME the log of the mean over the lambdas of exp:

    corr(x) = -LME_l sum_d log p_l(x_d)  +  sum_d LME_l log p_l(x_d)             0 for a student that ignores lambda
    data    = alpha_t corr(x_0) + sum_d KL(p_T || p_mean)
    distil  = mean_l sum_d KL(p_T || p_l)                                        when t < delta
    consist = mean_i corr(x_0^i) + sum_d KL(stop p_mean(x_s) || p_mean)          when t >= delta

x_0^i is drawn by replica i, from the student at x_s and lambda_i. The marginal terms tie averages over lambda to the teacher; only corr teaches correlation. Sums run over the masked positions
of x_t: everywhere else all laws agree.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.denoiser import Denoiser
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
    small, u = torch.rand(2, generator=generator).tolist()
    t = u * config.delta if small < config.small_share else config.delta + u * (1 - config.delta)
    return max(1, math.ceil(t * config.grid)) / config.grid


def correlation(log_p: Tensor, sequence: Tensor, batch: int) -> Tensor:
    """
    corr(x) of each datapoint: joint NLL of the mixture minus NLL of the product of its marginals, so never a matter of how good
    the marginals are.

    log_p: (K, rows) log p_l(x_d); sequence: (rows,) the datapoint of each row. Returns (batch,).
    """
    lambdas = len(log_p)
    joint = log_p.new_zeros(lambdas, batch).index_add(1, sequence, log_p)  # sum over positions
    marginal = log_mean_exp(log_p)  # (rows,)
    return -log_mean_exp(joint) + marginal.new_zeros(batch).index_add(0, sequence, marginal)


def log_mean_exp(x: Tensor) -> Tensor:
    return x.logsumexp(0) - math.log(len(x))


def sample(log_p: Tensor, generator: torch.Generator) -> Tensor:
    """One token a row: (..., vocabulary) to (...)."""
    flat = log_p.flatten(0, -2).exp()
    return torch.multinomial(flat, 1, generator=generator).view(log_p.shape[:-1])


def log_p_at(model: Denoiser, tokens: Tensor, latent: Tensor | None, b: Tensor, i: Tensor) -> Tensor:
    """log p at positions (b, i) of each replica. tokens: (K, B, L); latent: (K, B); b, i: (rows,). (K, rows, vocabulary)."""
    hidden = model.trunk(tokens.flatten(0, 1), None if latent is None else latent.flatten())
    return model.log_probabilities(hidden.view(*tokens.shape, -1)[:, b, i])


def teacher_step(log_p: Tensor, x_t: Tensor, b: Tensor, i: Tensor, reveal: float, generator: torch.Generator) -> Tensor:
    """x_s of each replica: every masked position becomes a token of the teacher's with probability (t - s)/t. (K, B, L)."""
    lambdas = len(x_t)
    tokens = torch.stack([sample(log_p, generator) for _ in range(lambdas)])  # (K, rows)
    stays = torch.rand(tokens.shape, generator=generator) >= reveal
    x_s = x_t.clone()
    x_s[:, b, i] = torch.where(stays, x_s[:, b, i], tokens)
    return x_s


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) over the last axis."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)


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
    batch, mask, lambdas = len(x_0), student.config.vocabulary, config.lambdas
    masked = mask_tokens(x_0, torch.full((batch,), t), mask, generator)
    b, i = (masked == mask).nonzero(as_tuple=True)
    x_t = masked.expand(lambdas, -1, -1)
    latent = torch.rand(lambdas, batch, generator=generator)

    with torch.no_grad():
        log_teacher = log_p_at(teacher, masked[None], None, b, i)[0]  # (rows, V)
    log_p = log_p_at(student, x_t, latent, b, i)  # (K, rows, V)
    log_mean = log_mean_exp(log_p)
    data_corr = correlation(at_tokens(log_p, x_0[b, i].expand(lambdas, -1)), b, batch).mean()
    alpha = config.alpha / (1 + math.exp(-20 * (t - 0.5)))
    marginal = kl(log_teacher, log_mean).sum() / batch
    loss = alpha * data_corr + marginal

    if t < config.delta:
        return Di4cTerms(loss + kl(log_teacher, log_p).sum() / lambdas / batch, data_corr.item(), 0.0, marginal.item())

    with torch.no_grad():
        s = max(0.0, t - min(1 / config.grid, t / 2))
        x_s = teacher_step(log_teacher, x_t, b, i, (t - s) / t, generator)
        log_s = log_p_at(student, x_s, latent, b, i)
        known = x_s[:, b, i] != mask  # (K, rows)
        drawn = torch.where(known, x_s[:, b, i], sample(log_s, generator))  # x_0^i at the masked positions
        one_hot = F.one_hot(drawn, student.config.vocabulary).float()
        target = torch.where(known[..., None], one_hot, log_s.exp()).mean(0)
    # Text i is scored under every lambda l: log p_l(x_0^i), one i at a time.
    consistent = torch.stack(
        [correlation(at_tokens(log_p, drawn[k].expand(lambdas, -1)), b, batch).mean() for k in range(lambdas)]
    ).mean()
    agreement = F.kl_div(log_mean, target, reduction="none").sum() / batch
    return Di4cTerms(loss + consistent + agreement, data_corr.item(), consistent.item(), marginal.item())


def at_tokens(log_p: Tensor, tokens: Tensor) -> Tensor:
    """log p of given tokens: (K, rows, vocabulary), (K, rows) to (K, rows)."""
    return log_p.gather(-1, tokens[..., None]).squeeze(-1)
