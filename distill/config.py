"""Settings are dataclasses; every field is a flag: --name=value."""

import sys
from dataclasses import MISSING, fields
from typing import Any, TypeVar

Config = TypeVar("Config")
TRUTH = {"true": True, "false": False}


def parse_arguments(config: type[Config], arguments: list[str] | None = None) -> Config:
    """The dataclass from `--field=value` arguments. An unknown or missing flag, or a wrong value, is one clear line."""
    known = {field.name: field for field in fields(config)}  # type: ignore[arg-type]
    values = {}
    for argument in sys.argv[1:] if arguments is None else arguments:
        name, _, text = argument.removeprefix("--").partition("=")
        if name == "help":
            print(usage(config))
            sys.exit()
        if name not in known:
            sys.exit(f"{argument}: expected one of {', '.join(f'--{flag}' for flag in known)}")
        kind: Any = str if known[name].default is MISSING else type(known[name].default)
        try:
            values[name] = TRUTH[text.lower()] if kind is bool else kind(text)
        except (ValueError, KeyError):
            sys.exit(f"--{name}: expected {kind.__name__}, got {text!r}")
    for name, field in known.items():
        if name not in values and field.default is MISSING:
            sys.exit(f"--{name}: expected a value, got none; --help tells all")
    return config(**values)


def usage(config: type) -> str:
    """What the command is, and its flags with their defaults, one a line."""
    about = (sys.modules["__main__"].__doc__ or "").strip()
    flags = [
        f"  --{field.name}={'...  (needed)' if field.default is MISSING else field.default}" for field in fields(config)
    ]
    return "\n".join([about, "", "flags:", *flags])
