from dataclasses import dataclass

import pytest

from distill.config import parse_arguments


@dataclass(slots=True)
class Example:
    out: str
    steps: int = 3
    rate: float = 0.5
    write: bool = False


def test_flags_are_the_fields() -> None:
    assert parse_arguments(Example, ["--out=x"]) == Example("x")
    assert parse_arguments(Example, ["--out=a=b", "--steps=4", "--rate=1e-3", "--write=True"]) == Example(
        "a=b", 4, 1e-3, True
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out=x", "--step=4"], "--step=4: expected one of --out, --steps, --rate, --write"),
        (["--out=x", "--steps=four"], "--steps: expected int, got 'four'"),
        (["--out=x", "--write=maybe"], "--write: expected bool, got 'maybe'"),
        ([], "--out: expected a value, got none; --help tells all"),
    ],
)
def test_a_wrong_flag_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as refusal:
        parse_arguments(Example, arguments)
    assert refusal.value.code == message


def test_help_tells_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(Example, ["--help"])
    assert ended.value.code is None
    printed = capsys.readouterr().out.splitlines()
    assert printed[-4:] == ["  --out=...  (needed)", "  --steps=3", "  --rate=0.5", "  --write=False"]
