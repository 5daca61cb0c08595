"""
The masked-diffusion training loss of MDLM (arXiv 2406.07524, eq. 11) under the log-linear schedule, where a position is
masked at time t with probability t:

    L = E_t (1/t) sum over masked positions of -log p(x_i | x_t)

Times are antithetic: one uniform offset and an even grid over the batch, which lowers the variance.
"""

import torch
from torch import Tensor

from distill.denoiser import Denoiser

SMALLEST_TIME = 1e-3


def antithetic_times(count: int, generator: torch.Generator | None = None) -> Tensor:
    """`count` times in [SMALLEST_TIME, 1), one in each of as many equal parts."""
    device = generator.device if generator else None
    offset = torch.rand(1, generator=generator, device=device)
    grid = (torch.arange(count, device=device) + offset) / count
    return SMALLEST_TIME + (1 - SMALLEST_TIME) * grid


def mask_tokens(tokens: Tensor, times: Tensor, mask: int, generator: torch.Generator | None = None) -> Tensor:
    """x_t given x_0: each position is masked with probability t. tokens (B, L), times (B,)."""
    draws = torch.rand(tokens.shape, generator=generator, device=tokens.device)
    return torch.where(draws < times[:, None], mask, tokens)


def diffusion_loss(model: Denoiser, tokens: Tensor, times: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """
    The bound on the negative log-likelihood, nats a token. The head runs at masked rows only. A token that is the mask itself is one
    that the model does not know: it stays masked and does not count.
    """
    mask = model.config.vocabulary
    latent_tokens = mask_tokens(tokens, times, mask, generator)
    latent = None
    if model.config.mixture:
        latent = torch.rand(len(tokens), generator=generator, device=tokens.device)
    hidden = model.trunk(latent_tokens, latent)
    known = tokens != mask
    batch, position = ((latent_tokens == mask) & known).nonzero(as_tuple=True)
    log_p = model.log_probabilities(hidden[batch, position])
    nll = -log_p.gather(-1, tokens[batch, position][:, None]).squeeze(-1)
    return (nll / times[batch]).sum() / known.sum()
