import json
import pickle
import resource
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from distill.checkpoint import denoiser_of, read_checkpoint
from distill.convert import ConvertConfig, convert
from distill.safe_pickle import CheckpointError

from .published import State, published_logits, published_state

MASK = 50257


def hugging_face(state: State, folder: Path, prefix: str = "backbone.", **settings: object) -> Path:
    folder.mkdir()
    save_file({prefix + name: tensor for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "mdlm", "time_conditioning": False, **settings}))
    return folder


def lightning(state: State, folder: Path, *, time_conditioning: bool = False) -> Path:
    """As Lightning writes it: compiled names, a moving average, settings as objects of OmegaConf."""
    folder.mkdir()
    package, module = types.ModuleType("omegaconf"), types.ModuleType("omegaconf.dictconfig")
    kind = type("DictConfig", (), {"__module__": "omegaconf.dictconfig"})
    module.DictConfig = kind  # type: ignore[attr-defined]
    sys.modules |= {"omegaconf": package, "omegaconf.dictconfig": module}
    try:
        leaf, root = kind(), kind()
        leaf.__dict__.update(_val=time_conditioning)
        root.__dict__.update(_content={"time_conditioning": leaf})
        saved = {
            "state_dict": {f"backbone._orig_mod.{name}": tensor for name, tensor in state.items()},
            "ema": {"decay": 0.9999, "num_updates": 7, "shadow_params": [torch.zeros(3)]},
            "hyper_parameters": {"config": root},
            "pytorch-lightning_version": "2.2.1",
        }
        torch.save(saved, folder / "last.ckpt")
    finally:
        del sys.modules["omegaconf"], sys.modules["omegaconf.dictconfig"]
    return folder / "last.ckpt"


LAYOUTS: dict[str, tuple[bool, Callable[[State, Path], Path]]] = {
    "mdlm": (False, hugging_face),
    "sdtt teacher": (False, lambda state, folder: hugging_face(state, folder, "backbone.backbone.")),
    "mdlm lightning": (False, lightning),
    "di4c": (True, lightning),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_converted_checkpoint_reveals_what_an_independent_reading_of_it_says(layout: str, tmp_path: Path) -> None:
    mixture, write = LAYOUTS[layout]
    state = published_state(128, 2, mixture=mixture)
    source = write(state, tmp_path / "source")
    out = tmp_path / "model"
    convert(ConvertConfig(source=str(source), out=str(out), precision="float32", context=64))
    manifest = json.loads((out / "model.json").read_text())
    assert manifest["kind"] == ("mixture" if mixture else "product")
    assert manifest["architecture"] == {"blocks": 2, "width": 128, "heads": 2, "tied_embedding": False}
    assert manifest["parity"]["float32"]["max_abs_logit_difference"] < 1e-3

    draw = np.random.default_rng(0)
    tokens = draw.integers(0, 50257, 24).astype(np.int32)
    rows = np.arange(0, 24, 3, dtype=np.int32)
    tokens[rows] = MASK
    feeds = {
        "tokens": tokens[None],
        "lengths": np.array([24], np.int32),
        "rows": rows,
        "coins": draw.random(len(rows)),
        "temperature": np.ones(len(rows), np.float32),
        "top_p": np.ones(len(rows), np.float32),
        "top_k": np.zeros(len(rows), np.int32),
        "filtered": np.array(False),
        "alternatives": np.array(True),
    }
    if mixture:
        feeds["lambda"] = np.array([0.37], np.float32)
    session = onnxruntime.InferenceSession(out / "denoiser.onnx", providers=["CPUExecutionProvider"])
    revealed, probability, likeliest = session.run(["revealed", "probability", "alternative_tokens"], feeds)
    expected = published_logits(state, torch.from_numpy(tokens).long(), 0.37 if mixture else None)[:, :MASK].softmax(-1)
    at_rows = expected[torch.from_numpy(rows).long()]
    assert np.allclose(probability, at_rows.numpy()[np.arange(len(rows)), revealed], rtol=1e-3)
    assert (likeliest[:, 0] == at_rows.argmax(-1).numpy()).all()


def test_smaller_precisions_stay_close(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = hugging_face(published_state(128, 2, mixture=True), tmp_path / "source")
    convert(ConvertConfig(source=str(source), out=str(tmp_path / "model"), precision="int8,float16", context=64))
    manifest = json.loads((tmp_path / "model" / "model.json").read_text())
    assert [variant["devices"] for variant in manifest["variants"]] == [["cpu"], ["cpu", "cuda"]]
    assert manifest["parity"]["float16"]["mean_kl"] < 1e-5
    assert manifest["parity"]["int8"]["mean_kl"] < 1e-2
    assert "top-1 agreement" in capsys.readouterr().out


def refuse(path: Path) -> str:
    with pytest.raises(CheckpointError) as refusal:
        denoiser_of(read_checkpoint(path))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_bad_file_is_one_line_that_names_what_is_wrong(tmp_path: Path) -> None:
    state = published_state(64, 1, mixture=False, rows=30)

    def changed(name: str, **changes: torch.Tensor | None) -> Path:
        new = {**state, **{key.replace("__", "."): tensor for key, tensor in changes.items()}}
        return hugging_face({key: tensor for key, tensor in new.items() if tensor is not None}, tmp_path / name)

    assert (
        refuse(changed("a", output_layer__linear__bias=None)) == "output_layer.linear.bias: expected [30], got nothing"
    )
    wrong = changed("b", blocks__0__mlp__0__weight=torch.zeros(3, 64))
    assert refuse(wrong) == "blocks.0.mlp.0.weight: expected [256, 64], got [3, 64]"
    assert refuse(changed("c", extra=torch.zeros(2))) == "extra: expected no such weight, got [2]"
    half = changed("d", latent_projection__0__bias=torch.zeros(512))
    assert refuse(half) == "latent_projection.0.weight: expected [512, 128], got nothing"
    wrong = changed("e", rotary_emb__inv_freq=torch.ones(32))
    assert refuse(wrong) == "rotary_emb.inv_freq: expected the frequencies of base 10000, got others"
    assert "vocab_embed.embedding: expected a matrix, got nothing" in refuse(changed("f", vocab_embed__embedding=None))
    folder = tmp_path / "empty"
    folder.mkdir()
    assert refuse(folder).endswith("expected model.safetensors or pytorch_model.bin in it, found neither")
    (folder / "model.safetensors").write_bytes(b"no weights")
    assert "expected a checkpoint, got a file that cannot be read" in refuse(folder)


@pytest.mark.parametrize("write", [hugging_face, lightning])
def test_a_network_that_changes_with_time_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    source = write(published_state(64, 1, mixture=False, rows=30), tmp_path / "source", time_conditioning=True)
    assert refuse(source).startswith("time_conditioning: expected false, got true")


def test_a_pickle_that_would_run_code_is_refused_by_name(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {}, "hyper_parameters": Evil()}, tmp_path / "evil.ckpt", pickle_module=pickle)
    assert "builtins.getattr" in refuse(tmp_path / "evil.ckpt") or "is not read" in refuse(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()


def test_the_published_size_converts_in_minutes_and_4_gib(tmp_path: Path) -> None:
    state = published_state(768, 12, mixture=True)
    assert sum(tensor.numel() for name, tensor in state.items() if "inv_freq" not in name) == 170_087_250
    source = hugging_face(state, tmp_path / "source")
    del state
    out = tmp_path / "model"
    flags = [f"--source={source}", f"--out={out}", "--context=1024"]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "distill.convert", *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 180
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 << 20  # KiB
    manifest = json.loads((out / "model.json").read_text())
    assert manifest["parameters"] == 170_087_250
    assert manifest["parity"]["float32"]["max_abs_logit_difference"] < 1e-3
    print(done.stdout)
