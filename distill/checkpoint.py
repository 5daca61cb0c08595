"""
Reads published checkpoints: MDLM, SDTT and Di4C, as Hugging Face folders (model.safetensors or pytorch_model.bin, config.json) or as
Lightning files (.ckpt).

Names and shapes must be those of the network, all of them. The weights taken are the raw ones, not their moving average: the ones that the
papers' code evaluates.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.denoiser import Denoiser, DenoiserConfig
from distill.safe_pickle import CheckpointError, load_pickle, plain

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
PREFIXES = ("_orig_mod.", "backbone.")  # of torch.compile, and of the classes around the network
HEAD_WIDTH = 64  # of all published models
INVERSE = "rotary_emb.inv_freq"  # a buffer, which the formula gives


@dataclass(frozen=True, slots=True)
class Checkpoint:
    file: Path  # with the weights
    state: dict[str, Tensor]  # by the names of distill.denoiser
    settings: Any  # what the files say of themselves, as plain containers


def read_checkpoint(path: Path) -> Checkpoint:
    """@raises CheckpointError: one line"""
    file = weights_file(path)
    try:
        loaded = load_file(file)
        beside = file.with_name("config.json")
        settings = [plain(loaded.get("hyper_parameters"))]
        if beside.exists():
            settings.append(json.loads(beside.read_text()))
        return Checkpoint(file, plain_state(loaded.get("state_dict", loaded)), settings)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from None
    except Exception as error:  # what readers of broken files throw is of many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{file}: expected a checkpoint, got a file that cannot be read: {reason}") from None


def weights_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise CheckpointError(f"{path}: expected a file or a folder, found neither")
    for name in WEIGHTS:
        if (path / name).exists():
            return path / name
    raise CheckpointError(f"{path}: expected {' or '.join(WEIGHTS)} in it, found neither")


def load_file(file: Path) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file as load_safetensors

        return load_safetensors(file)
    loaded = load_pickle(file)
    if not isinstance(loaded, dict):
        raise CheckpointError(f"expected weights by their names, got an object of {type(loaded).__name__}")
    return loaded


def plain_state(state: Any) -> dict[str, Tensor]:
    if not isinstance(state, dict):
        raise CheckpointError(f"state_dict: expected weights by their names, got an object of {type(state).__name__}")
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = str(key)
        for prefix in PREFIXES:
            name = name.replace(prefix, "")
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise CheckpointError(f"{name}: expected floating-point numbers, got {kind}")
        if name in found:
            raise CheckpointError(f"{name}: expected once, got a second time as {key}")
        found[name] = tensor.detach()
    return found


def named(settings: Any, name: str) -> Iterator[Any]:
    """The settings of that name, at any depth."""
    if isinstance(settings, dict):
        if name in settings:
            yield settings[name]
        settings = list(settings.values())
    if isinstance(settings, list):
        for item in settings:
            yield from named(item, name)


def config_of(checkpoint: Checkpoint) -> DenoiserConfig:
    """The architecture as the shapes tell it, and the number of heads, which they do not. @raises CheckpointError: one line"""
    if any(value is True for value in named(checkpoint.settings, "time_conditioning")):
        raise CheckpointError(
            "time_conditioning: expected false, got true: its network changes with time, and a folded graph cannot"
        )
    state = checkpoint.state
    for name in ("vocab_embed.embedding", "sigma_map.mlp.2.weight"):
        if name not in state or state[name].ndim != 2:
            raise CheckpointError(f"{name}: expected a matrix, got {shape_of(state.get(name))}")
    rows, width = state["vocab_embed.embedding"].shape
    heads = next((value for value in named(checkpoint.settings, "n_heads") if type(value) is int), None)
    if heads is None:
        if width % HEAD_WIDTH or not width:
            raise CheckpointError(f"vocab_embed.embedding: expected a width in multiples of {HEAD_WIDTH}, got {width}")
        heads = width // HEAD_WIDTH
    elif heads < 1 or width % (2 * heads):
        raise CheckpointError(
            f"n_heads: expected a number that halves of heads of a width of {width} allow, got {heads}"
        )
    blocks = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    if not blocks:
        raise CheckpointError("blocks.0.norm1.weight: expected a vector, got nothing")
    return DenoiserConfig(
        vocabulary=rows - 1,
        width=width,
        blocks=len(blocks),
        heads=heads,
        condition=state["sigma_map.mlp.2.weight"].shape[0],
        mixture=any(name.startswith("latent_projection.") for name in state),
        tied=False,
    )


def denoiser_of(checkpoint: Checkpoint) -> Denoiser:
    """The network with the checkpoint's weights: every name and shape as expected. @raises CheckpointError: one line"""
    config = config_of(checkpoint)
    state = dict(checkpoint.state)
    check_frequencies(state.pop(INVERSE, None), config.width // config.heads)
    with torch.device("meta"):
        model = Denoiser(config)
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in sorted(expected.keys() | state.keys()):
        got = shape_of(state.get(name))
        if name not in expected:
            raise CheckpointError(f"{name}: expected no such weight, got {got}")
        if got != expected[name]:
            raise CheckpointError(f"{name}: expected {expected[name]}, got {got}")
        if not state[name].isfinite().all():
            raise CheckpointError(f"{name}: expected finite numbers, got others")
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return model.eval().requires_grad_(False)


def check_frequencies(inverse: Tensor | None, head: int) -> None:
    if inverse is None:
        return
    expected = 1.0 / 10000 ** (torch.arange(0, head, 2) / head)
    if inverse.shape != expected.shape:
        raise CheckpointError(f"{INVERSE}: expected {list(expected.shape)}, got {shape_of(inverse)}")
    # One part in a hundred: half precision keeps no more.
    if not torch.allclose(inverse.float(), expected, rtol=1e-5 if inverse.dtype == torch.float32 else 1e-2, atol=0):
        raise CheckpointError(f"{INVERSE}: expected the frequencies of base 10000, got others")


def shape_of(tensor: Tensor | None) -> list[int] | str:
    return "nothing" if tensor is None else list(tensor.shape)
