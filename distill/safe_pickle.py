"""
Reads the pickles of published checkpoints without running what they hold.

A pickle may run code when it is read. torch.load(weights_only=True) rebuilds tensors and plain containers and calls nothing else. Objects of the
packages that these files are known to hold (settings, tokenizers) become inert stand-ins, so none of these packages need be there; anything else
ends the reading with its name.
"""

import re
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

PACKAGES = ("omegaconf", "transformers", "tokenizers", "lightning", "pytorch_lightning", "typing", "pathlib")
TYPES = {"collections.defaultdict", *(f"builtins.{kind}" for kind in ("dict", "list", "int", "float", "str", "bool"))}


class CheckpointError(ValueError):
    """One line that names what is wrong with a file."""


class Inert:
    """Stands for an object of a pickle, and does nothing. Settings say of themselves which class they are of: types are stood for too."""

    state: Any = None

    def __new__(cls, *arguments: Any) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


def load_pickle(file: Path) -> Any:
    """@raises CheckpointError: naming what it holds beside tensors, containers and settings"""
    # Before PyTorch 1.6 a checkpoint was no archive. The published ones are newer; an old one is read where it holds tensors alone.
    archive = zipfile.is_zipfile(file)
    names = get_unsafe_globals_in_checkpoint(file) if archive else []
    for name in sorted(names):
        if name.split(".")[0] not in PACKAGES and name not in TYPES:
            raise refusal(name)
    try:
        with safe_globals([(Inert, name) for name in names]):
            return torch.load(file, map_location="cpu", mmap=archive, weights_only=True)
    except UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+) ", str(error))
        raise refusal(found[1]) if found else CheckpointError("expected a checkpoint, got a broken pickle") from None


def refusal(name: str) -> CheckpointError:
    return CheckpointError(f"expected weights and settings, got an object of {name}, which is not read")


def plain(value: Any) -> Any:
    """Settings as plain containers. Of the stand-ins, a node of OmegaConf has its content; the others tell nothing."""
    if isinstance(value, Inert):
        # Not the whole state: a node also knows its parent, and a walk over both would not end.
        state = value.state if isinstance(value.state, dict) else {}
        return plain(state["_content"] if "_content" in state else state.get("_val"))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
