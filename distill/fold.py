"""
Folding adaLN at export. Sigma is always 0, so the condition c and with it every shift, scale and gate is a constant:

    (norm(x) w)(1 + scale) + shift  =  LayerNormalization(x) with scale w (1 + scale) and bias shift
    gate (W h)                      =  (diag(gate) W) h
    gate (W h + b)                  =  (diag(gate) W) h + gate b

Computed in float64, a matrix at a time, and kept in float32. The head's mask row is dropped, which is SUBS: what is left is normalised by the softmax alone.
"""

from dataclasses import dataclass

import numpy as np

from distill.denoiser import FREQUENCIES, Denoiser

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class FoldedBlock:
    norm1: tuple[Array, Array]  # scale, bias (width)
    qkv: Array  # (width, 3 width), for x @ W
    out: Array  # (width, width)
    norm2: tuple[Array, Array]
    mlp1: tuple[Array, Array]  # (width, 4 width), (4 width)
    mlp2: tuple[Array, Array]  # (4 width, width), (width)


@dataclass(frozen=True, slots=True)
class FoldedDenoiser:
    embedding: Array  # (vocabulary + 1, width), the mask's row last
    blocks: list[FoldedBlock]
    norm: tuple[Array, Array]
    head: Array | None  # (width, vocabulary); None: the embedding's matrix, transposed
    head_bias: Array  # (vocabulary)
    latent: list[tuple[Array, Array]]  # the two layers of the lambda projection; empty for a product model


def fold(model: Denoiser) -> FoldedDenoiser:
    state = {name: tensor.detach().cpu().float().numpy() for name, tensor in model.state_dict().items()}
    config = model.config

    def linear(name: str, x: Array) -> Array:
        return state[f"{name}.weight"].astype(np.float64) @ x + state[f"{name}.bias"]

    sigma = np.concatenate([np.ones(FREQUENCIES // 2), np.zeros(FREQUENCIES // 2)])
    condition = silu(linear("sigma_map.mlp.2", silu(linear("sigma_map.mlp.0", sigma))))

    def fold_block(i: int) -> FoldedBlock:
        at = f"blocks.{i}"
        shift1, scale1, gate1, shift2, scale2, gate2 = np.split(linear(f"{at}.adaLN_modulation", condition), 6)
        return FoldedBlock(
            norm1=(single(state[f"{at}.norm1.weight"] * (1 + scale1)), single(shift1)),
            qkv=state[f"{at}.attn_qkv.weight"].T,
            out=single(gate1[:, None] * state[f"{at}.attn_out.weight"]).T,
            norm2=(single(state[f"{at}.norm2.weight"] * (1 + scale2)), single(shift2)),
            mlp1=(state[f"{at}.mlp.0.weight"].T, state[f"{at}.mlp.0.bias"]),
            mlp2=(single(gate2[:, None] * state[f"{at}.mlp.2.weight"]).T, single(gate2 * state[f"{at}.mlp.2.bias"])),
        )

    shift, scale = np.split(linear("output_layer.adaLN_modulation", condition), 2)
    names = ("latent_projection.0", "latent_projection.2") if config.mixture else ()
    return FoldedDenoiser(
        embedding=state["vocab_embed.embedding"],
        blocks=[fold_block(i) for i in range(config.blocks)],
        norm=(single(state["output_layer.norm_final.weight"] * (1 + scale)), single(shift)),
        head=None if config.tied else state["output_layer.linear.weight"][: config.vocabulary].T,
        head_bias=state["output_layer.linear.bias"][: config.vocabulary],
        latent=[(state[f"{name}.weight"].T, state[f"{name}.bias"]) for name in names],
    )


def single(x: Array) -> Array:
    return x.astype(np.float32)


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))
