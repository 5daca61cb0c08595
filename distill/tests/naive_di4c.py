"""Di4C's loss written out with every log-probability at once, (K, rows, vocabulary): what the one in blocks must equal."""

import math

import torch
from torch import Tensor

from distill.denoiser import Denoiser
from distill.di4c import Di4cConfig, Replicas


def naive_loss(
    student: Denoiser, teacher: Denoiser, x_0: Tensor, t: float, replicas: Replicas, config: Di4cConfig
) -> Tensor:
    b, i, lambdas, batch = replicas.b, replicas.i, config.lambdas, len(x_0)

    def log_p_of(latent: Tensor, tokens: Tensor) -> Tensor:
        return student.log_probabilities(student.trunk(tokens, latent)[b, i]).double()

    log_p = torch.stack([log_p_of(replicas.latent[:, k], replicas.x_t[:, k]) for k in range(lambdas)])
    p_mean = log_p.exp().mean(0)
    p_teacher = teacher.log_probabilities(replicas.teacher).double().exp().mean(1).detach()

    def corr(text: Tensor) -> Tensor:
        at = log_p.gather(2, text.expand(lambdas, -1)[..., None])[..., 0]  # (K, rows)
        total = torch.zeros((), dtype=torch.double)
        for datapoint in range(batch):
            rows = at[:, b == datapoint]
            total = total - rows.sum(1).exp().mean().log() + rows.exp().mean(0).log().sum()
        return total / batch

    alpha = config.alpha / (1 + math.exp(-20 * (t - 0.5)))
    loss = alpha * corr(x_0[b, i]) + (p_teacher * (p_teacher.log() - p_mean.log())).sum() / batch
    if replicas.step is None:
        return loss + (p_teacher * (p_teacher.log() - log_p)).sum() / lambdas / batch
    laws = []
    for k in range(lambdas):
        x_s = replicas.x_t[:, k].clone()
        x_s[b, i] = replicas.step.x_s[:, k]
        law = log_p_of(replicas.latent[:, k], x_s).exp().detach()
        for row, token in enumerate(replicas.step.x_s[:, k].tolist()):
            if token != student.config.vocabulary:
                law[row] = 0
                law[row, token] = 1
        laws.append(law)
    target = torch.stack(laws).mean(0)
    consistency = torch.stack([corr(replicas.step.texts[:, k]) for k in range(lambdas)]).mean()
    return loss + consistency + (torch.xlogy(target, target) - target * p_mean.log()).sum() / batch
