"""Settings are dataclasses; every field is a flag: --name=value."""

import sys
from dataclasses import MISSING, fields
from typing import Any, TypeVar

Config = TypeVar("Config")


def parse_arguments(config: type[Config], arguments: list[str] | None = None) -> Config:
    """The dataclass from `--field=value` arguments. An unknown or missing flag, or a wrong value, is one clear line."""
    known = {field.name: field for field in fields(config)}  # type: ignore[arg-type]
    values = {}
    for argument in sys.argv[1:] if arguments is None else arguments:
        name, _, text = argument.removeprefix("--").partition("=")
        if name == "help" or name not in known:
            problem = "" if name == "help" else f"{argument}: unknown flag\n"
            sys.exit(problem + usage(config))
        kind: Any = str if known[name].default is MISSING else type(known[name].default)
        try:
            values[name] = text.lower() in ("1", "true", "yes") if kind is bool else kind(text)
        except ValueError:
            sys.exit(f"--{name}: expected {kind.__name__}, got {text!r}")
    for name, field in known.items():
        if name not in values and field.default is MISSING:
            sys.exit(f"--{name}: missing\n" + usage(config))
    return config(**values)


def usage(config: type) -> str:
    flags = (f"--{field.name}={'...' if field.default is MISSING else field.default}" for field in fields(config))
    return "flags: " + " ".join(flags)
