"""
The denoiser of MDLM (arXiv 2406.07524) and Di4C (arXiv 2410.08709): a bidirectional transformer that maps latent tokens,
and for a mixture model a latent lambda in [0, 1), to the distribution of the clean tokens.

Time conditioning is off, as in all published text models: adaLN sees sigma = 0. Parameter names are the published ones.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FREQUENCIES = 256  # of the sigma embedding
LAMBDA_DIM = 128  # of the lambda embedding
LAMBDA_SCALE = 1000.0


@dataclass(frozen=True, slots=True)
class DenoiserConfig:
    vocabulary: int  # without the mask, whose id is `vocabulary`
    width: int = 256
    blocks: int = 8
    heads: int = 4
    condition: int = 128
    dropout: float = 0.0
    mixture: bool = False
    tied: bool = True  # head and embedding share their matrix


def rotary_tables(length: int, head: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """cos and sin of the rotary angles, base 10000: (length, head / 2) each."""
    inverse = 1.0 / 10000 ** (torch.arange(0, head, 2, device=device) / head)
    angles = torch.outer(torch.arange(length, device=device, dtype=torch.float32), inverse)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates x (B, H, L, head) by the angles (L, head / 2), halves against each other (NeoX)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class SigmaMap(nn.Module):
    """Embedding of the noise level, which is always 0 here (cosines first)."""

    def __init__(self, condition: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, condition), nn.SiLU(), nn.Linear(condition, condition))

    def forward(self) -> Tensor:
        half = FREQUENCIES // 2
        embedding = torch.cat([torch.ones(half), torch.zeros(half)])  # cos 0, sin 0
        return self.mlp(embedding.to(next(self.parameters())))


def lambda_embedding(latent: Tensor) -> Tensor:
    """sin and cos of 1000 lambda w_k (sines first), float32: (B,) to (B, 128)."""
    half = LAMBDA_DIM // 2
    steps = torch.arange(half, device=latent.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(10000.0) * steps / (half - 1))
    arguments = LAMBDA_SCALE * latent.float()[:, None] * frequencies
    return torch.cat([arguments.sin(), arguments.cos()], dim=-1)


class Norm(nn.Module):
    """Layer normalisation in float32 with a weight and no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), self.weight.shape, self.weight, None, 1e-5)


class Block(nn.Module):
    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.dropout = config.dropout
        self.norm1 = Norm(width)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.norm2 = Norm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.adaLN_modulation = nn.Linear(config.condition, 6 * width)
        nn.init.zeros_(self.adaLN_modulation.weight)
        nn.init.zeros_(self.adaLN_modulation.bias)
        # Gates start open: sigma never changes, so there is nothing to learn before they open.
        with torch.no_grad():
            for gate in (2, 5):
                self.adaLN_modulation.bias[gate * width : (gate + 1) * width] = 1.0

    def forward(self, x: Tensor, condition: Tensor, cos: Tensor, sin: Tensor, keys: Tensor | None) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(condition).chunk(6, dim=-1)
        batch, length, width = x.shape
        h = self.norm1(x) * (1 + scale1) + shift1
        qkv = self.attn_qkv(h).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, L, head) each
        q, k = rotate(q, cos.to(q), sin.to(q)), rotate(k, cos.to(k), sin.to(k))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        attended = attended.transpose(1, 2).reshape(batch, length, width)
        x = x + gate1 * self.drop(self.attn_out(attended))
        h = self.norm2(x) * (1 + scale2) + shift2
        return x + gate2 * self.drop(self.mlp(h))

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class OutputLayer(nn.Module):
    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.norm_final = Norm(config.width)
        self.linear = nn.Linear(config.width, config.vocabulary + 1)
        self.adaLN_modulation = nn.Linear(config.condition, 2 * config.width)
        nn.init.zeros_(self.adaLN_modulation.weight)
        nn.init.zeros_(self.adaLN_modulation.bias)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=-1)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)


class Embedding(nn.Module):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(vocabulary, width) * 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.embedding)


class Denoiser(nn.Module):
    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.vocab_embed = Embedding(config.vocabulary + 1, config.width)
        self.sigma_map = SigmaMap(config.condition)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.output_layer = OutputLayer(config)
        if config.tied:
            self.output_layer.linear.weight = self.vocab_embed.embedding
        if config.mixture:
            self.latent_projection = nn.Sequential(
                nn.Linear(LAMBDA_DIM, 4 * LAMBDA_DIM), nn.GELU(), nn.Linear(4 * LAMBDA_DIM, config.width)
            )

    def trunk(self, tokens: Tensor, latent: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """
        Hidden states of the token rows before the output layer.

        tokens: (B, L) ids; latent: (B,) lambda of a mixture model; lengths: (B,) real lengths, keys past them are not seen.
        Returns (B, L, width).
        """
        x = self.vocab_embed(tokens)
        _, length, width = x.shape
        cos, sin = rotary_tables(length, width // self.config.heads, x.device)
        keys = None
        if lengths is not None:
            keys = (torch.arange(length, device=x.device) < lengths[:, None])[:, None, None, :]
        if self.config.mixture:
            assert latent is not None, "a mixture model needs lambda"
            row = self.latent_projection(lambda_embedding(latent))
            x = torch.cat([row[:, None].to(x), x], dim=1)
            # The lambda row has no rotary, which is the angle 0.
            cos = torch.cat([torch.ones_like(cos[:1]), cos])
            sin = torch.cat([torch.zeros_like(sin[:1]), sin])
            if keys is not None:
                keys = F.pad(keys, (1, 0), value=True)
        condition = F.silu(self.sigma_map())
        for block in self.blocks:
            x = block(x, condition, cos, sin, keys)
        return x[:, 1:] if self.config.mixture else x

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., width) to (..., vocabulary + 1): the mask's logit last."""
        return self.output_layer(hidden, F.silu(self.sigma_map()))

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """SUBS (MDLM, section 3.2.3): the mask has probability zero. (..., width) to (..., vocabulary), float32."""
        return self.logits(hidden)[..., : self.config.vocabulary].float().log_softmax(-1)
