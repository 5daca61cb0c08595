import math

import torch

from distill.loss import SMALLEST_TIME, antithetic_times, diffusion_loss, mask_tokens

from .conftest import random_denoiser


def test_times_are_antithetic_one_in_each_equal_part(generator: torch.Generator) -> None:
    times = antithetic_times(8, generator)
    parts = ((times - SMALLEST_TIME) / (1 - SMALLEST_TIME) * 8).floor()
    assert parts.tolist() == list(range(8))
    assert torch.allclose(times.diff(), torch.full((7,), (1 - SMALLEST_TIME) / 8))


def test_a_position_is_masked_with_probability_t(generator: torch.Generator) -> None:
    tokens = torch.zeros(2, 20000, dtype=torch.long)
    masked = mask_tokens(tokens, torch.tensor([0.2, 0.7]), 9, generator)
    assert set(masked.unique().tolist()) == {0, 9}
    assert torch.allclose((masked == 9).float().mean(1), torch.tensor([0.2, 0.7]), atol=0.02)


def test_the_loss_is_the_masked_negative_log_likelihood_over_t(generator: torch.Generator) -> None:
    model = random_denoiser(20, mixture=False)
    tokens = torch.randint(0, 20, (3, 12), generator=generator)
    times = torch.tensor([0.3, 0.6, 0.9])
    loss = diffusion_loss(model, tokens, times, torch.Generator().manual_seed(5))
    masked = mask_tokens(tokens, times, 20, torch.Generator().manual_seed(5))
    by_hand = 0.0
    for b in range(3):
        logits = model.logits(model.trunk(masked))[b]
        for i in range(12):
            if masked[b, i] == 20:
                real = logits[i, :20]  # SUBS: the mask has no probability
                by_hand += (real.logsumexp(0) - real[tokens[b, i]]).item() / times[b].item()
    assert math.isclose(loss.item(), by_hand / 36, rel_tol=1e-4)


def test_a_token_that_is_not_known_stays_masked_and_does_not_count() -> None:
    model = random_denoiser(20, mixture=False)
    tokens = torch.arange(12)[None] % 20
    tokens[0, 5] = 20
    times = torch.tensor([1.0])  # all is masked, so the network sees the same either way
    losses = [
        diffusion_loss(model, torch.cat([tokens[:, :5], torch.full((1, 1), x), tokens[:, 6:]], 1), times)
        for x in (3, 20)
    ]
    log_p = model.log_probabilities(model.trunk(torch.full((1, 12), 20)))[0, 5, 3].item()
    assert math.isclose(12 * losses[0].item(), 11 * losses[1].item() - log_p, rel_tol=1e-4)


def test_the_mask_has_no_probability() -> None:
    model = random_denoiser(20, mixture=True)
    log_p = model.log_probabilities(model.trunk(torch.full((1, 5), 20), torch.rand(1)))
    assert log_p.shape == (1, 5, 20)
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(1, 5), atol=1e-5)
