"""
Runs a recipe from text to served models: data, teacher, SDTT rounds, Di4C student, evaluation, export, judge.

    python -m distill.recipe smoke --out=runs/smoke                        a minute: shows that everything works
    python -m distill.recipe quick --corpus=DIR --sources=tales --out=runs/tales     DIR/tales.txt, under ten minutes
    python -m distill.recipe cpu --corpus=DIR --out=runs/cpu               two cores, under two hours
    python -m distill.recipe gpu --corpus=DIR --out=runs/gpu --piece=8.5   one large GPU, about 20 minutes

A recipe is a file of distill/recipes/: a section a stage, its settings the stage's flags. Each stage is a command that is printed before it
runs; complete ones return at once, so the same command goes on where it stopped. With --piece it stops after so many minutes with exit status
75. The models lie in OUT/models.
"""

import json
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.config import parse_arguments
from distill.fit import UNFINISHED

RECIPES = Path(__file__).parent / "recipes"
TRAININGS = ("train", "train_sdtt", "train_student")

Flags = dict[str, Any]


@dataclass(slots=True)
class RecipeConfig:
    out: str
    corpus: str = ""  # instead of the recipe's
    sources: str = ""
    piece: float = 0.0  # minutes until the recipe stops to be started again; 0: never


def stages(recipe: dict[str, Flags], config: RecipeConfig) -> Iterator[tuple[str, Flags]]:
    """Module and flags of each stage, in order."""
    out = config.out
    data, teacher, student = f"{out}/data", f"{out}/teacher", f"{out}/student"
    own = {name: value for name, value in (("corpus", config.corpus), ("sources", config.sources)) if value}
    if not Path(data, "train.npy").exists():
        yield "data", {**recipe["data"], **own, "out": data}
    yield "train", {**recipe["train"], "data": data, "out": teacher}
    distilled = teacher
    if rounds := recipe["train_sdtt"]["rounds"]:
        yield "train_sdtt", {**recipe["train_sdtt"], "data": data, "teacher": teacher, "out": f"{out}/sdtt"}
        distilled = f"{out}/sdtt/round-{rounds}"
    yield "train_student", {**recipe["train_student"], "data": data, "teacher": distilled, "out": student}
    for name, run in (("teacher", teacher), ("student", student)):
        yield "evaluate", {**recipe["evaluate"], "run": run, "data": data}
        flags = {"run": run, "vocabulary": f"{data}/vocabulary.npy", "out": f"{out}/models/{name}"}
        yield "export_onnx", {**flags, "card": f"{out}/{name}.card.json", "context": recipe["data"]["context"]}
    models = f"{out}/models/student,{out}/models/teacher"
    yield "judge", {**recipe["judge"], "models": models, "prompts": f"{data}/valid.npy", "out": f"{out}/judge"}


def command(module: str, flags: Flags) -> list[str]:
    return ["python", "-m", f"distill.{module}", *(f"--{name}={value}" for name, value in flags.items())]


def write_cards(name: str, recipe: dict[str, Flags], config: RecipeConfig) -> None:
    """What the exporter writes into the manifests beside what it measures."""
    card = recipe["card"]
    words = shlex.join(["python", "-m", "distill.recipe", name, "--corpus=CORPUS", "--out=OUT"])
    for model, kind in (
        ("teacher", "masked-diffusion teacher (MDLM)"),
        ("student", "mixture student (Di4C) of `teacher`"),
    ):
        content = {
            "description": f"A small {kind} {card['subject']}.",
            "steps": {"default": card["steps"][model], "min": 1, "max": 1024},
            "teacher": "teacher" if model == "student" else None,
            "licence": card["licence"],
            "provenance": {"data": card["data"], "command": words, "recipe": recipe, "machine": card["machine"]},
        }
        Path(config.out, f"{model}.card.json").write_text(json.dumps(content, indent=2) + "\n")


def run(name: str, config: RecipeConfig) -> int:
    recipe = tomllib.loads((RECIPES / f"{name}.toml").read_text())
    if config.sources:
        recipe["card"] |= {"subject": f"of {config.sources}", "licence": "that of the training text", "data": []}
    Path(config.out).mkdir(parents=True, exist_ok=True)
    write_cards(name, recipe, config)
    start = time.monotonic()
    for module, flags in stages(recipe, config):
        if config.piece and module in TRAININGS:
            flags["piece"] = max(0.1, config.piece - (time.monotonic() - start) / 60)
        words = command(module, flags)
        print(f"\n$ {shlex.join(words)}", flush=True)
        status = subprocess.run([sys.executable, *words[1:]]).returncode
        if status:
            return status
    print(
        f"\nServe them: node dist/cli.js serve --model {config.out}/models/student --model {config.out}/models/teacher"
    )
    return 0


def main(arguments: list[str]) -> int:
    names = sorted(path.stem for path in RECIPES.glob("*.toml"))
    if not arguments or arguments[0] not in names:
        got = arguments[0] if arguments else "nothing"
        print(f"recipe: expected one of {', '.join(names)}, got {got}", file=sys.stderr)
        return 2
    status = run(arguments[0], parse_arguments(RecipeConfig, arguments[1:]))
    if status == UNFINISHED:
        print("The recipe is not complete: start it again with the same command.", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
