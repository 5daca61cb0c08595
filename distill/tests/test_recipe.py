import importlib
import json
import tomllib
from pathlib import Path

import pytest

from distill.config import parse_arguments
from distill.recipe import RECIPES, RecipeConfig, command, main, stages, write_cards

NAMES = sorted(path.stem for path in RECIPES.glob("*.toml"))
CONFIGS = {
    "data": "DataConfig",
    "train": "TrainConfig",
    "train_sdtt": "SdttConfig",
    "train_student": "StudentConfig",
    "evaluate": "EvaluateConfig",
    "export_onnx": "ExportConfig",
    "judge": "JudgeConfig",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_takes_the_flags_that_the_recipe_gives(name: str, tmp_path: Path) -> None:
    recipe = tomllib.loads((RECIPES / f"{name}.toml").read_text())
    modules = []
    for module, flags in stages(recipe, RecipeConfig(out=str(tmp_path), corpus="texts")):
        config = getattr(importlib.import_module(f"distill.{module}"), CONFIGS[module])
        parse_arguments(config, command(module, flags)[3:])
        modules.append(module)
    assert set(modules) | {"train_sdtt"} == set(CONFIGS)
    assert ("train_sdtt" in modules) == (recipe["train_sdtt"]["rounds"] > 0)
    write_cards(name, recipe, RecipeConfig(out=str(tmp_path)))
    assert json.loads((tmp_path / "student.card.json").read_text())["teacher"] == "teacher"


def test_stages_hand_on_what_the_ones_before_made() -> None:
    recipe = tomllib.loads((RECIPES / "gpu.toml").read_text())
    flags = dict(stages(recipe, RecipeConfig(out="runs/x", sources="tales")))
    assert flags["data"]["sources"] == "tales"
    assert flags["train_sdtt"]["teacher"] == flags["train"]["out"]
    assert flags["train_student"]["teacher"] == f"{flags['train_sdtt']['out']}/round-{recipe['train_sdtt']['rounds']}"
    assert flags["judge"]["models"] == "runs/x/models/student,runs/x/models/teacher"
    recipe["train_sdtt"]["rounds"] = 0
    flags = dict(stages(recipe, RecipeConfig(out="runs/x")))
    assert flags["train_student"]["teacher"] == flags["train"]["out"]


def test_an_unknown_recipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fast"]) == 2
    assert capsys.readouterr().err == f"recipe: expected one of {', '.join(NAMES)}, got fast\n"
