"""
Reads the pickles of published checkpoints without running what they hold.

A pickle may run code when it is read. Here it cannot: only the functions that rebuild tensors are called; objects of the packages that these
files are known to hold (settings, tokenizers) become inert stand-ins; anything else ends the reading with its name.
"""

import pickle
from types import ModuleType
from typing import Any


class CheckpointError(ValueError):
    """One line that names what is wrong with a file."""


class Inert:
    """Stands for an object of a pickle, and does nothing."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.content: Any = list(arguments)

    def __setstate__(self, state: Any) -> None:
        self.content = state

    def __setitem__(self, key: Any, item: Any) -> None:
        self.content.append((key, item))

    def append(self, item: Any) -> None:
        self.content.append(item)

    def __hash__(self) -> int:
        return id(self)


STORAGES = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Byte", "Bool")
CALLED = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("collections", "OrderedDict"),
    *(("torch", f"{kind}Storage") for kind in STORAGES),
    *(("builtins", kind) for kind in ("dict", "list", "set", "int", "float", "str", "bool")),
}
INERT = ("omegaconf", "transformers", "tokenizers", "lightning", "pytorch_lightning", "typing", "pathlib")


class RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in CALLED:
            return super().find_class(module, name)
        if module.split(".")[0] in INERT or (module, name) == ("collections", "defaultdict"):
            return Inert
        raise CheckpointError(f"expected weights and settings, got an object of {module}.{name}, which is not read")


class RestrictedPickle(ModuleType):
    """What torch.load takes in the place of the module `pickle`."""

    Unpickler = RestrictedUnpickler
    load = staticmethod(lambda file, **_: RestrictedUnpickler(file).load())


def plain(value: Any) -> Any:
    """Stand-ins and containers as plain containers."""
    if isinstance(value, Inert):
        return plain(value.content)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
