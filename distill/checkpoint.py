"""
Reads published checkpoints: MDLM, SDTT and Di4C, as Hugging Face folders (model.safetensors or pytorch_model.bin, config.json) or as
Lightning files (.ckpt).

Names and shapes must be those of the network, all of them. The weights taken are the raw ones, not their moving average: the ones that the
papers' code evaluates.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.denoiser import Denoiser, DenoiserConfig
from distill.safe_pickle import CheckpointError, RestrictedPickle, plain

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
PREFIXES = ("_orig_mod.", "backbone.")  # of torch.compile, and of the classes around the network
HEAD_WIDTH = 64  # of all published models


@dataclass(frozen=True, slots=True)
class Checkpoint:
    state: dict[str, Tensor]  # by the names of distill.denoiser
    settings: Any  # what the file says of itself, as plain containers


def read_checkpoint(path: Path) -> Checkpoint:
    """@raises CheckpointError: one line"""
    file = path
    if path.is_dir():
        file = next((path / name for name in WEIGHTS if (path / name).exists()), path / WEIGHTS[0])
    if not file.exists():
        raise CheckpointError(f"{path}: expected {' or '.join(WEIGHTS)} in it, found neither")
    try:
        loaded = load_file(file)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from None
    except Exception as error:  # what readers of broken files throw is of many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{file}: expected a checkpoint, got a file that cannot be read: {reason}") from None
    beside = file.with_name("config.json")
    settings = json.loads(beside.read_text()) if beside.exists() else plain(loaded.get("hyper_parameters", {}))
    state = loaded.get("state_dict", loaded)
    return Checkpoint({plain_name(name): tensor for name, tensor in state.items()}, settings)


def load_file(file: Path) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file as load_safetensors

        return load_safetensors(file)
    return torch.load(file, map_location="cpu", mmap=True, weights_only=False, pickle_module=RestrictedPickle("pickle"))


def plain_name(name: str) -> str:
    for prefix in PREFIXES:
        name = name.replace(prefix, "")
    return name


def setting(settings: Any, name: str) -> Any:
    """The first setting of that name at any depth; None where there is none."""
    if isinstance(settings, dict):
        if name in settings:
            found = settings[name]
            while isinstance(found, dict) and "_val" in found:  # a node of OmegaConf
                found = found["_val"]
            return found
        settings = list(settings.values())
    if isinstance(settings, list):
        return next((found for item in settings if (found := setting(item, name)) is not None), None)
    return None


def config_of(checkpoint: Checkpoint) -> DenoiserConfig:
    """The architecture, as the shapes tell it. @raises CheckpointError: one line"""
    if setting(checkpoint.settings, "time_conditioning"):
        raise CheckpointError(
            "time_conditioning: expected false, got true: its network changes with time, and a folded graph cannot"
        )
    state = checkpoint.state
    for name in ("vocab_embed.embedding", "sigma_map.mlp.2.weight"):
        if name not in state or state[name].ndim != 2:
            raise CheckpointError(f"{name}: expected a matrix, got {shape_of(state.get(name))}")
    rows, width = state["vocab_embed.embedding"].shape
    inverse = state.get("rotary_emb.inv_freq")
    blocks = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    return DenoiserConfig(
        vocabulary=rows - 1,
        width=width,
        blocks=len(blocks),
        heads=width // (HEAD_WIDTH if inverse is None else 2 * len(inverse)),
        condition=state["sigma_map.mlp.2.weight"].shape[0],
        mixture=any(name.startswith("latent_projection.") for name in state),
        tied=False,
    )


def denoiser_of(checkpoint: Checkpoint) -> Denoiser:
    """The network with the checkpoint's weights: every name and shape as expected. @raises CheckpointError: one line"""
    config = config_of(checkpoint)
    state = dict(checkpoint.state)
    inverse = state.pop("rotary_emb.inv_freq", None)
    head = config.width // config.heads
    expected_inverse = 1.0 / 10000 ** (np.arange(0, head, 2) / head)
    if inverse is not None and not np.allclose(inverse.numpy(), expected_inverse, rtol=1e-5):
        raise CheckpointError("rotary_emb.inv_freq: expected the frequencies of base 10000, got others")
    with torch.device("meta"):
        model = Denoiser(config)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in sorted(expected.keys() | state.keys()):
        got = shape_of(state.get(name))
        if name not in expected:
            raise CheckpointError(f"{name}: expected no such weight, got {got}")
        if got != list(expected[name]):
            raise CheckpointError(f"{name}: expected {list(expected[name])}, got {got}")
    model.load_state_dict(OrderedDict((name, tensor.float()) for name, tensor in state.items()), assign=True)
    return model.eval().requires_grad_(False)


def shape_of(tensor: Tensor | None) -> list[int] | str:
    return "nothing" if tensor is None else list(tensor.shape)
