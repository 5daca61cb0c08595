"""
Exports a checkpoint as a model folder that the server loads.

    python -m distill.export_onnx --run=runs/student --vocabulary=data/vocabulary.npy --out=models/student \\
        --card=distill/cards/student.json

writes denoiser.onnx, denoiser.onnx.data and model.json, after checking that the folded graph gives the logits of the unfolded
PyTorch model to 1e-4, both in float32.
"""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from distill.config import parse_arguments
from distill.denoiser import Denoiser, DenoiserConfig
from distill.denoiser_graph import build
from distill.fold import fold
from distill.vocabulary import END_OF_TEXT, MASK, SIZE, Vocabulary

LARGEST_DIFFERENCE = 1e-4  # of a logit
INLINE_BYTES = 1 << 20  # smaller models are one file

Feeds = dict[str, np.ndarray]


@dataclass(slots=True)
class ExportConfig:
    run: str
    vocabulary: str
    out: str
    card: str  # JSON: description, licence, provenance, steps, teacher
    context: int = 256


def load_model(checkpoint: Path) -> tuple[Denoiser, dict[str, Any]]:
    """The model and what else the checkpoint holds."""
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
    model = Denoiser(DenoiserConfig(**saved["config"]))
    model.load_state_dict(saved["model"])
    return model.eval(), saved


def random_feeds(config: DenoiserConfig, vocabulary: Vocabulary, context: int, batch: int = 3, seed: int = 0) -> Feeds:
    """Half masked sequences of several lengths, and every masked position as a row."""
    draw = np.random.default_rng(seed)
    lengths = np.linspace(context, max(2, context // 3), batch).astype(np.int32)
    tokens = draw.choice(vocabulary.token_ids, (batch, context)).astype(np.int32)
    masked = draw.random((batch, context)) < 0.5
    masked[:, 0] = True
    tokens[masked] = MASK
    inside = np.arange(context) < lengths[:, None]
    rows = np.flatnonzero(masked & inside).astype(np.int32)
    feeds: Feeds = {
        "tokens": tokens,
        "lengths": lengths,
        "rows": rows,
        "coins": draw.random(len(rows)),
        "temperature": np.ones(len(rows), np.float32),
        "top_p": np.ones(len(rows), np.float32),
        "top_k": np.zeros(len(rows), np.int32),
        "filtered": np.array(False),
        "alternatives": np.array(False),
    }
    if config.mixture:
        feeds["lambda"] = draw.random(batch, dtype=np.float32)
    return feeds


@torch.no_grad()
def reference_logits(model: Denoiser, vocabulary: Vocabulary, feeds: Feeds) -> np.ndarray:
    """The unfolded model's logits at the rows of a feed: (R, vocabulary)."""
    tokens = torch.from_numpy(vocabulary.token_index[feeds["tokens"]]).long()
    latent = torch.from_numpy(feeds["lambda"]) if "lambda" in feeds else None
    hidden = model.trunk(tokens, latent, torch.from_numpy(feeds["lengths"]))
    at_rows = hidden.flatten(0, 1)[torch.from_numpy(feeds["rows"]).long()]
    return model.logits(at_rows)[:, : len(vocabulary)].numpy()


def graph_logits(model: Denoiser, vocabulary: Vocabulary, context: int, storage: type, feeds: Feeds) -> np.ndarray:
    graph = build(model.config, fold(model), vocabulary, context, storage, with_logits=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], feeds)[0]


def check_parity(model: Denoiser, vocabulary: Vocabulary, context: int, storage: type) -> dict[str, Any]:
    """Logits of the folded float32 graph against the unfolded model, and what storing float16 changes."""
    feeds = random_feeds(model.config, vocabulary, min(context, 64))
    expected = reference_logits(model, vocabulary, feeds)
    folded = graph_logits(model, vocabulary, context, np.float32, feeds)
    difference = float(np.abs(folded - expected).max())
    assert difference <= LARGEST_DIFFERENCE, f"the graph and PyTorch differ by {difference:g} in a logit"
    parity: dict[str, Any] = {
        "rows": len(expected),
        "max_abs_logit_difference": difference,
        "top_1_agreement": float((folded.argmax(-1) == expected.argmax(-1)).mean()),
    }
    if storage is not np.float32:
        stored = graph_logits(model, vocabulary, context, storage, feeds)
        parity["stored_as"] = np.dtype(storage).name
        parity["stored_max_abs_logit_difference"] = float(np.abs(stored - expected).max())
        parity["stored_mean_kl"] = float(kl(expected, stored).mean())
        parity["stored_top_1_agreement"] = float((stored.argmax(-1) == expected.argmax(-1)).mean())
    return parity


def kl(logits: np.ndarray, other: np.ndarray) -> np.ndarray:
    """KL(softmax(logits) || softmax(other)) of each row, nats."""
    p, q = (torch.from_numpy(x).double().log_softmax(-1) for x in (logits, other))
    return (p.exp() * (p - q)).sum(-1).numpy()


def write_graph(graph: onnx.ModelProto, folder: Path) -> list[dict[str, Any]]:
    """Writes the graph, large ones with their weights in a file beside it. Returns the manifest's entries."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("denoiser.onnx*"):
        old.unlink()  # onnx appends to a weights file that is there
    large = graph.ByteSize() > INLINE_BYTES
    weights = "denoiser.onnx.data"
    onnx.save_model(graph, folder / "denoiser.onnx", save_as_external_data=large, location=weights, size_threshold=1024)
    if large:
        (folder / weights).chmod(0o644)  # onnx makes it readable to its owner alone
    return [
        {"path": path.name, "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.glob("denoiser.onnx*"))
    ]


def export(
    model: Denoiser, vocabulary: Vocabulary, context: int, out: Path, card: dict[str, Any], storage: type = np.float16
) -> dict[str, Any]:
    """Writes the model folder and returns its manifest."""
    config = model.config
    parity = check_parity(model, vocabulary, context, storage)
    files = write_graph(build(config, fold(model), vocabulary, context, storage), out)
    stored = "" if storage is np.float32 else " (matrices stored as float16)"
    manifest = {
        "format": 1,
        "name": out.name,
        "kind": "mixture" if config.mixture else "product",
        "description": card["description"],
        "tokenizer": "gpt2",
        "vocabulary_size": SIZE,
        "trained_vocabulary": len(vocabulary),
        "mask_token": MASK,
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "context_length": context,
        "noise_schedule": "log-linear",
        "steps": card["steps"],
        "teacher": card.get("teacher"),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "architecture": {
            "blocks": config.blocks,
            "width": config.width,
            "heads": config.heads,
            "tied_embedding": config.tied,
        },
        "variants": [
            {
                "precision": "float32" + stored,
                "devices": ["cpu", "cuda"],
                "graph": "denoiser.onnx",
                "files": files,
            }
        ],
        "licence": card["licence"],
        "provenance": card["provenance"],
        "parity": parity,
        "evaluation": card.get("evaluation", []),
    }
    (out / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def commit() -> str | None:
    """The code's commit, where it is a checkout."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def main(config: ExportConfig) -> None:
    model, saved = load_model(Path(config.run) / "checkpoint.pt")
    card = json.loads(Path(config.card).read_text())
    card["provenance"] |= {"run": saved["progress"], "torch": torch.__version__, "commit": commit()}
    evaluation = Path(config.run) / "evaluation.json"  # by distill.evaluate
    card["evaluation"] = json.loads(evaluation.read_text()) if evaluation.exists() else []
    manifest = export(model, Vocabulary.load(Path(config.vocabulary)), config.context, Path(config.out), card)
    size = sum(file["bytes"] for file in manifest["variants"][0]["files"])
    print(f"{config.out}: {manifest['parameters']:,} parameters, {size / 2**20:.1f} MiB, {manifest['parity']}")


if __name__ == "__main__":
    main(parse_arguments(ExportConfig))
