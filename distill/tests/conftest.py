import numpy as np
import pytest
import torch

from distill.denoiser import Denoiser, DenoiserConfig
from distill.vocabulary import Vocabulary

torch.set_num_threads(1)


def random_denoiser(
    vocabulary: int, *, mixture: bool, tied: bool = True, blocks: int = 3, width: int = 32, seed: int = 0
) -> Denoiser:
    """Every weight random, adaLN's too, so that nothing is folded that is 0 or 1 by chance."""
    torch.manual_seed(seed)
    config = DenoiserConfig(vocabulary, width=width, blocks=blocks, heads=4, mixture=mixture, tied=tied)
    model = Denoiser(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "adaLN" in name or "norm" in name or "bias" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
        model.vocab_embed.embedding.normal_()
        model.output_layer.linear.weight.normal_()
    return model


def random_vocabulary(size: int) -> Vocabulary:
    ids = np.random.default_rng(size).choice(50256, size, replace=False)
    return Vocabulary(np.sort(ids).astype(np.int32))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
