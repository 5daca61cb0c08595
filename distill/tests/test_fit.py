import json
from pathlib import Path

import numpy as np
import pytest
import torch

import distill.fit
from distill.denoiser import Denoiser
from distill.fit import UNFINISHED, FitConfig, fit, learning_rate_at
from distill.loss import antithetic_times, diffusion_loss
from distill.rows import Rows
from distill.vocabulary import Vocabulary

from .conftest import random_denoiser


class Interrupted(Exception):
    pass


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = np.random.default_rng(0).integers(0, 20, (10, 12)).astype(np.uint16)
    np.save(tmp_path / "train.npy", rows)
    Vocabulary(np.arange(20, dtype=np.int32)).save(tmp_path / "vocabulary.npy")
    return tmp_path


def run(data: Path, name: str, fail_at: int = -1, **settings: float) -> Denoiser:
    model = random_denoiser(20, mixture=False, blocks=1)
    rows = Rows(data, Vocabulary.load(data / "vocabulary.npy"), seed=0)
    calls = 0

    def loss(x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == fail_at:
            raise Interrupted
        return diffusion_loss(model, x_0, antithetic_times(len(x_0), generator), generator)

    config = FitConfig(data=str(data), out=str(data / name), **{"steps": 6, "batch": 4, **settings})  # type: ignore[arg-type]
    fit(model, rows, loss, config)
    return model


def test_a_run_that_was_interrupted_ends_with_the_same_weights(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(data, "whole")
    monkeypatch.setattr(distill.fit, "SAVE_SECONDS", 0.0)
    with pytest.raises(Interrupted):
        run(data, "broken", fail_at=4)
    resumed = run(data, "broken")
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert len((data / "broken" / "log.csv").read_text().splitlines()) == 6


def test_a_piece_ends_with_a_status_that_says_go_on(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(data, "piece", piece=1e-9)
    assert stopped.value.code == UNFINISHED
    assert "start it again" in capsys.readouterr().err


def test_a_complete_run_is_left_as_it_is(data: Path) -> None:
    first, again = run(data, "done"), run(data, "done", fail_at=1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_run_folder_tells_what_was_done(data: Path) -> None:
    run(data, "told")
    out = data / "told"
    assert json.loads((out / "config.json").read_text())["steps"] == 6
    assert len((out / "log.csv").read_text().splitlines()) == 6
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_each_row_comes_once_an_epoch(data: Path) -> None:
    rows = Rows(data, Vocabulary.load(data / "vocabulary.npy"), seed=1)
    epoch = torch.cat([rows.batch(step, 5) for step in range(2)])
    assert sorted(map(tuple, epoch.tolist())) == sorted(map(tuple, rows.rows.tolist()))
    assert torch.equal(rows.batch(7, 3), rows.batch(7, 3))
    assert not torch.equal(rows.batch(0, 10), rows.batch(1, 10))


def test_the_learning_rate_rises_then_falls_to_a_tenth() -> None:
    config = FitConfig(data="", out="", learning_rate=1.0, warm_up=0.1)
    assert learning_rate_at(0.05, config) == pytest.approx(0.5, abs=0.01)
    assert learning_rate_at(0.1, config) > 0.95
    assert learning_rate_at(1.0, config) == pytest.approx(0.1)
