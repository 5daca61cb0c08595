"""
Published checkpoints with random weights, in every layout, and an independent reading of them: plain functions, nothing folded or fused, the
lambda token last and without rotary, as the papers' code has it.
"""

import json
import math
import sys
import types
import typing
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]
CONDITION = 128


def published_state(
    width: int, blocks: int, *, mixture: bool, rows: int = 50258, head: int = 64, seed: int = 0
) -> State:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float | None = None) -> Tensor:
        return torch.randn(shape, generator=generator) * (scale or shape[-1] ** -0.5)

    state = {
        "vocab_embed.embedding": normal(rows, width, scale=1.0),
        "sigma_map.mlp.0.weight": normal(CONDITION, 256),
        "sigma_map.mlp.0.bias": normal(CONDITION),
        "sigma_map.mlp.2.weight": normal(CONDITION, CONDITION),
        "sigma_map.mlp.2.bias": normal(CONDITION),
        "rotary_emb.inv_freq": 1.0 / 10000 ** (torch.arange(0, head, 2) / head),
        "output_layer.norm_final.weight": 1 + normal(width, scale=0.2),
        "output_layer.linear.weight": normal(rows, width),
        "output_layer.linear.bias": normal(rows),
        "output_layer.adaLN_modulation.weight": normal(2 * width, CONDITION),
        "output_layer.adaLN_modulation.bias": normal(2 * width, scale=0.2),
    }
    for i in range(blocks):
        state |= {
            f"blocks.{i}.norm1.weight": 1 + normal(width, scale=0.2),
            f"blocks.{i}.norm2.weight": 1 + normal(width, scale=0.2),
            f"blocks.{i}.attn_qkv.weight": normal(3 * width, width),
            f"blocks.{i}.attn_out.weight": normal(width, width),
            f"blocks.{i}.mlp.0.weight": normal(4 * width, width),
            f"blocks.{i}.mlp.0.bias": normal(4 * width, scale=0.2),
            f"blocks.{i}.mlp.2.weight": normal(width, 4 * width),
            f"blocks.{i}.mlp.2.bias": normal(width, scale=0.2),
            f"blocks.{i}.adaLN_modulation.weight": normal(6 * width, CONDITION),
            f"blocks.{i}.adaLN_modulation.bias": normal(6 * width, scale=0.2),
        }
    if mixture:
        state |= {
            "latent_projection.0.weight": normal(512, 128),
            "latent_projection.0.bias": normal(512, scale=0.2),
            "latent_projection.2.weight": normal(width, 512),
            "latent_projection.2.bias": normal(width, scale=0.2),
        }
    return state


def published_lambda_row(state: State, latent: float) -> Tensor:
    waves = torch.exp(-torch.arange(64) * (math.log(10000) / 63)) * 1000 * latent
    x = torch.cat([waves.sin(), waves.cos()])
    x = x @ state["latent_projection.0.weight"].T + state["latent_projection.0.bias"]
    x = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))  # GELU, exact
    return x @ state["latent_projection.2.weight"].T + state["latent_projection.2.bias"]


def published_logits(state: State, tokens: Tensor, latent: float | None, head: int = 64) -> Tensor:
    """tokens: (L,). Logits (L, rows) of one text, the mask's last."""
    length = len(tokens)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", torch.zeros(()))

    def norm(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * state[f"{name}.weight"]

    frequencies = torch.cat([torch.cos(torch.zeros(128)), torch.sin(torch.zeros(128))])  # sigma is 0
    condition = linear("sigma_map.mlp.2", F.silu(linear("sigma_map.mlp.0", frequencies)))
    condition = condition * torch.sigmoid(condition)
    x = state["vocab_embed.embedding"][tokens]
    if latent is not None:
        x = torch.cat([x, published_lambda_row(state, latent)[None]])

    angles = torch.arange(length)[:, None] * state["rotary_emb.inv_freq"]  # (L, head / 2)

    def rotate(y: Tensor) -> Tensor:
        """(L [+ 1], heads, head): the first L rows, each half against the other."""
        a, b = y[:length, :, : head // 2], y[:length, :, head // 2 :]
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]
        return torch.cat([torch.cat([a * cos - b * sin, a * sin + b * cos], -1), y[length:]])

    for i in range(sum(name.endswith("norm1.weight") for name in state)):
        modulation = linear(f"blocks.{i}.adaLN_modulation", condition).chunk(6)
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation
        qkv = linear(f"blocks.{i}.attn_qkv", norm(f"blocks.{i}.norm1", x) * (1 + scale1) + shift1)
        q, k, v = (part.unflatten(-1, (-1, head)) for part in qkv.chunk(3, -1))
        scores = torch.einsum("ihd,jhd->hij", rotate(q), rotate(k)) / math.sqrt(head)
        attended = torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).flatten(1)
        x = x + gate1 * linear(f"blocks.{i}.attn_out", attended)
        h = linear(f"blocks.{i}.mlp.0", norm(f"blocks.{i}.norm2", x) * (1 + scale2) + shift2)
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))  # GELU, tanh
        x = x + gate2 * linear(f"blocks.{i}.mlp.2", h)
    shift, scale = linear("output_layer.adaLN_modulation", condition).chunk(2)
    return linear("output_layer.linear", norm("output_layer.norm_final", x) * (1 + scale) + shift)[:length]


def hugging_face(state: State, folder: Path, prefix: str = "backbone.", **settings: object) -> Path:
    folder.mkdir()
    save_file({prefix + name: tensor for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "mdlm", "time_conditioning": False, **settings}))
    return folder


def hugging_face_pickle(state: State, folder: Path) -> Path:
    folder.mkdir()
    torch.save({f"backbone.{name}": tensor for name, tensor in state.items()}, folder / "pytorch_model.bin")
    return folder


def lightning(state: State, folder: Path, **settings: object) -> Path:
    """
    As Lightning writes it: compiled names, a moving average, and as settings objects of OmegaConf and a tokenizer. Nodes know their parent and
    classes, which are pickled too.
    """
    folder.mkdir()
    packages = ("omegaconf", "omegaconf.dictconfig", "omegaconf.nodes", "omegaconf.base", "transformers")
    modules = {name: types.ModuleType(name) for name in packages}

    def kind(module: str, name: str) -> typing.Any:
        made = type(name, (), {"__module__": module})
        setattr(modules[module], name, made)
        return made

    dict_config = kind("omegaconf.dictconfig", "DictConfig")
    any_node = kind("omegaconf.nodes", "AnyNode")
    metadata = kind("omegaconf.base", "ContainerMetadata")
    tokenizer = kind("transformers", "GPT2TokenizerFast")

    def node(value: object, parent: object) -> object:
        made = (dict_config if isinstance(value, dict) else any_node)()
        about = metadata()
        about.__dict__.update(ref_type=typing.Any, object_type=dict, key_type=str, resolver_cache=defaultdict(dict))
        made.__dict__.update(_parent=parent, _metadata=about)
        if isinstance(value, dict):
            made.__dict__["_content"] = {key: node(item, made) for key, item in value.items()}
        else:
            made.__dict__["_val"] = value
        return made

    config = node({"T": 0, "time_conditioning": False, "model": {"length": 1024}, **settings}, None)
    saved = {
        "state_dict": {f"backbone._orig_mod.{name}": tensor for name, tensor in state.items()},
        "ema": {"decay": 0.9999, "num_updates": 7, "shadow_params": [torch.zeros(3)]},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"betas": (0.9, 0.999)}]}],
        "hyper_parameters": {"config": config, "tokenizer": tokenizer()},
        "pytorch-lightning_version": "2.2.1",
    }
    sys.modules |= modules
    try:
        torch.save(saved, folder / "last.ckpt")
    finally:
        for name in packages:
            del sys.modules[name]
    return folder / "last.ckpt"
