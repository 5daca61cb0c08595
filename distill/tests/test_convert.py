import json
import re
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from distill.checkpoint import denoiser_of, read_checkpoint
from distill.convert import ConvertConfig, convert
from distill.denoiser_graph import DenoiserGraph
from distill.fold import fold
from distill.graph import FLOAT, value
from distill.parity import check_parity
from distill.safe_pickle import CheckpointError
from distill.vocabulary import Vocabulary

from .conftest import random_denoiser
from .published import (
    State,
    hugging_face,
    hugging_face_pickle,
    lightning,
    published_lambda_row,
    published_logits,
    published_state,
)

MASK = 50257

Writer = Callable[..., Path]
LAYOUTS: dict[str, tuple[bool, Writer]] = {
    "mdlm": (False, hugging_face),
    "mdlm, pickle": (False, hugging_face_pickle),
    "mdlm, lightning": (False, lightning),
    "sdtt teacher": (False, lambda state, folder: hugging_face(state, folder, "backbone.backbone.")),
    "di4c": (True, lightning),
}


def reveal_feeds(tokens: np.ndarray, rows: np.ndarray, latent: float | None) -> dict[str, np.ndarray]:
    feeds = {
        "tokens": tokens[None],
        "lengths": np.array([len(tokens)], np.int32),
        "rows": rows,
        "coins": np.random.default_rng(1).random(len(rows)),
        "temperature": np.ones(len(rows), np.float32),
        "top_p": np.ones(len(rows), np.float32),
        "top_k": np.zeros(len(rows), np.int32),
        "filtered": np.array(False),
        "alternatives": np.array(True),
    }
    return feeds if latent is None else {**feeds, "lambda": np.array([latent], np.float32)}


def check_reveals(state: State, graph: Path, mixture: bool, head: int = 64) -> None:
    """What a graph reveals is what the independent reading of the checkpoint says."""
    tokens = np.random.default_rng(0).integers(0, MASK, 24).astype(np.int32)
    rows = np.arange(0, 24, 3, dtype=np.int32)
    tokens[rows] = MASK
    latent = 0.37 if mixture else None
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = ["revealed", "probability", "alternative_tokens", "alternative_probabilities"]
    revealed, probability, likeliest, likelihood = session.run(names, reveal_feeds(tokens, rows, latent))
    logits = published_logits(state, torch.from_numpy(tokens).long(), latent, head)
    expected = logits[:, :MASK].softmax(-1)[torch.from_numpy(rows).long()].numpy()
    assert np.allclose(probability, expected[np.arange(len(rows)), revealed], rtol=5e-5)
    assert (likeliest[:, 0] == expected.argmax(-1)).all()
    assert np.allclose(likelihood, np.take_along_axis(expected, likeliest, 1), rtol=5e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_converted_checkpoint_reveals_what_an_independent_reading_of_it_says(layout: str, tmp_path: Path) -> None:
    mixture, write = LAYOUTS[layout]
    state = published_state(128, 2, mixture=mixture)
    source = write(state, tmp_path / "source")
    out = tmp_path / "model"
    convert(ConvertConfig(source=str(source), out=str(out), precision="float32", context=64))
    manifest = json.loads((out / "model.json").read_text())
    assert manifest["kind"] == ("mixture" if mixture else "product")
    assert manifest["steps"] == {"default": 16 if mixture else 64, "min": 1, "max": 1024}
    assert manifest["architecture"] == {"blocks": 2, "width": 128, "heads": 2, "tied_embedding": False}
    assert manifest["parity"]["float32"]["max_abs_logit_difference"] < 1e-3
    assert (source / manifest["provenance"]["file"]).exists() or source.name == manifest["provenance"]["file"]
    check_reveals(state, out / "denoiser.onnx", mixture)


@pytest.mark.parametrize("latent", [0.0, 0.37, 0.999])
def test_lambda_is_embedded_as_published(latent: float, tmp_path: Path) -> None:
    """By itself, as in a text it is one key of many."""
    state = published_state(64, 1, mixture=True, rows=30)
    model = denoiser_of(read_checkpoint(lightning(state, tmp_path / "source")))
    graph = DenoiserGraph(model.config, 8, "float32")
    graph.rename(graph.lambda_row(fold(model).latent), "row")
    onnx_model = graph.model("lambda", [value("lambda", FLOAT, ["B"])], [value("row", FLOAT, ["B", 1, 64])])
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])
    row = session.run(["row"], {"lambda": np.array([latent], np.float32)})[0][0, 0]
    assert np.abs(row - published_lambda_row(state, latent).numpy()).max() < 5e-5


@pytest.mark.parametrize("write", [hugging_face, lightning])
def test_heads_are_as_many_as_the_settings_say(write: Writer, tmp_path: Path) -> None:
    state = published_state(128, 1, mixture=False, head=32)
    source = write(state, tmp_path / "source", n_heads=4)
    convert(ConvertConfig(source=str(source), out=str(tmp_path / "model"), precision="float32", context=64))
    check_reveals(state, tmp_path / "model" / "denoiser.onnx", mixture=False, head=32)


@pytest.mark.parametrize(
    ("precision", "devices"),
    [
        ("int8,float16", [["cpu"], ["cpu", "cuda"]]),
        ("float16,half", [["cpu"], ["cuda"]]),
        ("all", [["cpu"], ["cuda"], ["cpu"], ["cpu"]]),
    ],
)
def test_smaller_precisions_stay_close(
    precision: str, devices: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = hugging_face(published_state(128, 2, mixture=True), tmp_path / "source")
    convert(ConvertConfig(source=str(source), out=str(tmp_path / "model"), precision=precision, context=64))
    manifest = json.loads((tmp_path / "model" / "model.json").read_text())
    assert [variant["devices"] for variant in manifest["variants"]] == devices
    largest_kl = {"float32": 1e-9, "float16": 1e-5, "half": 1e-4, "int8": 1e-2}
    for name in ("float32", *(largest_kl if precision == "all" else precision.split(","))):
        assert manifest["parity"][name]["mean_kl"] < largest_kl[name]
    assert "top-1 agreement" in capsys.readouterr().out


@pytest.mark.parametrize("old", [True, False])
def test_weights_of_half_precision_and_files_of_the_old_format_are_read(old: bool, tmp_path: Path) -> None:
    state = published_state(64, 1, mixture=False, rows=30)
    halved = {name: torch.nn.Parameter(tensor.bfloat16()) for name, tensor in state.items()}
    torch.save(halved, tmp_path / "weights.bin", _use_new_zipfile_serialization=not old)
    read = denoiser_of(read_checkpoint(tmp_path / "weights.bin")).state_dict()
    assert all(torch.equal(read[name], state[name].bfloat16().float()) for name in read)


def refuse(path: Path) -> str:
    with pytest.raises(CheckpointError) as refusal:
        denoiser_of(read_checkpoint(path))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


NORM = "blocks.0.norm1.weight"


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("output_layer.linear.bias", None, "output_layer.linear.bias: expected [30], got nothing"),
        ("blocks.0.mlp.0.weight", torch.zeros(3, 64), "blocks.0.mlp.0.weight: expected [256, 64], got [3, 64]"),
        ("blocks.2.norm1.weight", torch.zeros(64), "blocks.1.adaLN_modulation.bias: expected [384], got nothing"),
        ("extra", torch.zeros(2), "extra: expected no such weight, got [2]"),
        ("latent_projection.0.bias", torch.zeros(512), "latent_projection.0.weight: expected [512, 128], got nothing"),
        (
            "rotary_emb.inv_freq",
            torch.ones(32),
            "rotary_emb.inv_freq: expected the frequencies of base 10000, got others",
        ),
        ("rotary_emb.inv_freq", torch.ones(30), "rotary_emb.inv_freq: expected [32], got [30]"),
        ("vocab_embed.embedding", None, "vocab_embed.embedding: expected a matrix, got nothing"),
        ("vocab_embed.embedding", torch.zeros(30, 48), "expected a width in multiples of 64, got 48"),
        ("sigma_map.mlp.2.weight", torch.zeros(128), "sigma_map.mlp.2.weight: expected a matrix, got [128]"),
        (NORM, torch.zeros(64, dtype=torch.int64), f"{NORM}: expected floating-point numbers, got torch.int64"),
        (NORM, torch.full((64,), torch.nan), f"{NORM}: expected finite numbers, got others"),
        (f"module._orig_mod.{NORM}", torch.zeros(64), f"module.{NORM}: expected no such weight, got [64]"),
        (f"_orig_mod.{NORM}", torch.zeros(64), f"{NORM}: expected once, got a second time as backbone.{NORM}"),
    ],
)
def test_a_bad_weight_is_one_line_that_names_it(
    name: str, tensor: torch.Tensor | None, message: str, tmp_path: Path
) -> None:
    new = {**published_state(64, 1, mixture=False, rows=30), name: tensor}
    refusal = refuse(hugging_face({key: value for key, value in new.items() if value is not None}, tmp_path / "source"))
    assert refusal.endswith(message)


def test_a_network_without_blocks_is_refused(tmp_path: Path) -> None:
    state = published_state(64, 0, mixture=False, rows=30)
    assert refuse(hugging_face(state, tmp_path / "source")) == f"{NORM}: expected a vector, got nothing"


@pytest.mark.parametrize("heads", [0, 3])
def test_heads_that_do_not_divide_the_width_are_refused(heads: int, tmp_path: Path) -> None:
    source = hugging_face(published_state(64, 1, mixture=False, rows=30), tmp_path / "source", n_heads=heads)
    assert refuse(source).endswith(f"got {heads}")


@pytest.mark.parametrize("write", [hugging_face, lightning])
def test_a_network_that_changes_with_time_is_refused(write: Writer, tmp_path: Path) -> None:
    source = write(published_state(64, 1, mixture=False, rows=30), tmp_path / "source", time_conditioning=True)
    assert refuse(source).startswith("time_conditioning: expected false, got true")


def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    assert refuse(tmp_path / "none").endswith("none: expected a file or a folder, found neither")
    assert refuse(tmp_path).endswith("expected model.safetensors or pytorch_model.bin in it, found neither")

    def written(name: str, content: object) -> str:
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            torch.save(content, tmp_path / name)
        return refuse(tmp_path / name)

    assert "got a file that cannot be read" in written("a.safetensors", b"no weights")
    assert "expected a checkpoint, got a broken pickle" in written("a.bin", b"no weights")
    assert "expected weights by their names, got an object of list" in written("b.bin", [1, 2])
    assert "state_dict: expected weights by their names, got an object of int" in written("c.ckpt", {"state_dict": 3})
    assert "norm: expected floating-point numbers, got str" in written("d.ckpt", {"norm": "x"})
    whole = tmp_path.joinpath("b.bin").read_bytes()
    assert "got a file that cannot be read" in written("e.bin", whole[: len(whole) // 2])
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "f.bin")
    assert "got a torchscript checkpoint" in refuse(tmp_path / "f.bin")
    (tmp_path / "config.json").write_text("{")
    assert "got a file that cannot be read" in written("g.bin", {})


@pytest.mark.parametrize("old", [True, False])
def test_a_pickle_that_would_run_code_is_refused_by_name(old: bool, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    saved = {"state_dict": {}, "hyper_parameters": Evil()}
    torch.save(saved, tmp_path / "evil.ckpt", _use_new_zipfile_serialization=not old)
    assert re.search(
        r"expected weights and settings, got an object of (builtins\.)?exec,", refuse(tmp_path / "evil.ckpt")
    )
    assert not (tmp_path / "ran").exists()


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    source = hugging_face(published_state(64, 1, mixture=False, rows=30), tmp_path / "source")
    with pytest.raises(CheckpointError, match=r"expected 50258 rows \(GPT-2 and a mask\), got 30"):
        convert(ConvertConfig(source=str(source), out=str(tmp_path / "model")))


@pytest.mark.parametrize("change", [0, float("nan")])
def test_a_graph_that_differs_is_not_exported(change: float) -> None:
    model = random_denoiser(30, mixture=False)
    model.output_layer.linear.bias.data += change
    with pytest.raises(SystemExit, match=r"the graph and PyTorch differ by \S+ in a logit; expected at most 0"):
        check_parity(model, Vocabulary(np.arange(30, dtype=np.int32)), 24, ["float32"], largest=0)


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "distill.convert", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--source=nowhere", "--out=model"], "nowhere: expected a file or a folder, found neither"),
        (["--source=nowhere", "--out=model", "--precision=int4"], "--precision: expected all, or some of"),
    ],
)
def test_the_command_fails_in_one_line(flags: list[str], message: str) -> None:
    done = run(*flags)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_published_size_converts_in_minutes_and_4_gib(tmp_path: Path) -> None:
    state = published_state(768, 12, mixture=True)
    assert sum(tensor.numel() for name, tensor in state.items() if "inv_freq" not in name) == 170_087_250
    source = hugging_face(state, tmp_path / "source")
    del state
    out = tmp_path / "model"
    start = time.monotonic()
    done = run(f"--source={source}", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 180
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 << 20  # KiB
    manifest = json.loads((out / "model.json").read_text())
    assert manifest["parameters"] == 170_087_250
    assert manifest["context_length"] == 1024
    assert manifest["parity"]["float32"]["max_abs_logit_difference"] < 1e-3
