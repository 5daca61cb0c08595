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
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from distill.config import parse_arguments
from distill.denoiser import Denoiser, DenoiserConfig
from distill.denoiser_graph import PRECISIONS, build
from distill.fold import fold
from distill.vocabulary import END_OF_TEXT, MASK, SIZE, Vocabulary

LARGEST_DIFFERENCE = 1e-4  # of a logit
NAMES = {
    "float32": "float32",
    "float16": "float32 (matrices stored as float16)",
    "int8": "int8 matrices, rows quantised as they come",
}
INLINE_BYTES = 1 << 20  # smaller models are one file

Feeds = dict[str, np.ndarray]


@dataclass(slots=True)
class ExportConfig:
    run: str
    vocabulary: str
    out: str
    card: str  # JSON: description, licence, provenance, steps, teacher
    context: int = 256
    precision: str = "float16"  # float32, float16, int8: those to write, the one to prefer first


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


def graph_logits(model: Denoiser, vocabulary: Vocabulary, context: int, precision: str, feeds: Feeds) -> np.ndarray:
    """Through a file: a graph of 2 GiB and more cannot be handed over in memory, and a smaller one would be there twice."""
    with TemporaryDirectory() as folder:
        write_graph(build(model.config, fold(model), vocabulary, context, precision, with_logits=True), Path(folder))
        session = onnxruntime.InferenceSession(Path(folder) / "denoiser.onnx", providers=["CPUExecutionProvider"])
        return session.run(["logits"], feeds)[0]


def check_parity(
    model: Denoiser,
    vocabulary: Vocabulary,
    context: int,
    precisions: Sequence[str],
    largest: float = LARGEST_DIFFERENCE,
) -> dict[str, Any]:
    """Logits of the folded float32 graph against the unfolded model; and what the precisions that are stored change."""
    feeds = random_feeds(model.config, vocabulary, min(context, 64))
    expected = reference_logits(model, vocabulary, feeds)

    def compared(precision: str) -> dict[str, float]:
        logits = graph_logits(model, vocabulary, context, precision, feeds)
        return {
            "max_abs_logit_difference": float(np.abs(logits - expected).max()),
            "mean_kl": float(kl(expected, logits).mean()),
            "top_1_agreement": float((logits.argmax(-1) == expected.argmax(-1)).mean()),
        }

    figures = {precision: compared(precision) for precision in dict.fromkeys(("float32", *precisions))}
    difference = figures["float32"]["max_abs_logit_difference"]
    if difference > largest:
        raise SystemExit(f"the graph and PyTorch differ by {difference:g} in a logit; expected at most {largest:g}")
    return {"rows": len(expected), **figures}


def kl(logits: np.ndarray, other: np.ndarray) -> np.ndarray:
    """KL(softmax(logits) || softmax(other)) of each row, nats."""
    p, q = (torch.from_numpy(x).double().log_softmax(-1) for x in (logits, other))
    return (p.exp() * (p - q)).sum(-1).numpy()


def write_graph(graph: onnx.ModelProto, folder: Path, name: str = "denoiser.onnx") -> list[dict[str, Any]]:
    """Writes the graph, large ones with their weights in a file beside it. Returns the manifest's entries."""
    folder.mkdir(parents=True, exist_ok=True)
    path, weights = folder / name, folder / f"{name}.data"
    for old in (path, weights):
        old.unlink(missing_ok=True)  # onnx appends to a weights file that is there
    large = graph.ByteSize() > INLINE_BYTES
    onnx.save_model(graph, path, save_as_external_data=large, location=weights.name, size_threshold=1024)
    onnx.checker.check_model(path)
    if large:
        weights.chmod(0o644)  # onnx makes it readable to its owner alone
    return [entry(file) for file in (path, weights) if file.exists()]


def entry(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"path": file.name, "bytes": file.stat().st_size, "sha256": digest}


def export(
    model: Denoiser,
    vocabulary: Vocabulary,
    context: int,
    out: Path,
    card: dict[str, Any],
    precisions: Sequence[str] = ("float16",),
    largest_difference: float = LARGEST_DIFFERENCE,
) -> dict[str, Any]:
    """Writes the model folder and returns its manifest. On each device the first precision that suits it is served."""
    config = model.config
    parity = check_parity(model, vocabulary, context, precisions, largest_difference)
    variants = []
    for precision in precisions:
        graph = "denoiser.onnx" if precision == precisions[0] else f"denoiser.{precision}.onnx"
        files = write_graph(build(config, fold(model), vocabulary, context, precision), out, graph)
        devices = ["cpu"] if precision == "int8" else ["cpu", "cuda"]
        variants.append({"precision": NAMES[precision], "devices": devices, "graph": graph, "files": files})
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
        "variants": variants,
        "licence": card["licence"],
        "provenance": card["provenance"],
        "parity": parity,
        "evaluation": card.get("evaluation", []),
    }
    (out / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def parse_precisions(text: str) -> list[str]:
    names = text.split(",")
    if wrong := [name for name in names if name not in PRECISIONS]:
        sys.exit(f"--precision: expected some of {', '.join(PRECISIONS)} with commas between, got {wrong[0]!r}")
    return names


def summary(out: str, manifest: dict[str, Any]) -> str:
    """A table of what was written."""
    lines = [f"{out}: {manifest['parameters']:,} parameters"]
    for variant in manifest["variants"]:
        size = sum(file["bytes"] for file in variant["files"]) / 2**20
        lines.append(
            f"  {variant['graph']}: {variant['precision']}, {size:.1f} MiB, for {' and '.join(variant['devices'])}"
        )
    lines.append(f"against PyTorch, on {manifest['parity']['rows']} rows:")
    for precision in PRECISIONS:
        if figures := manifest["parity"].get(precision):
            difference, mean_kl, agreement = figures.values()
            lines.append(
                f"  {precision}: logits differ by {difference:.1e} at most, KL {mean_kl:.1e}, top-1 agreement {agreement:.1%}"
            )
    return "\n".join(lines)


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
    vocabulary = Vocabulary.load(Path(config.vocabulary))
    precisions = parse_precisions(config.precision)
    print(summary(config.out, export(model, vocabulary, config.context, Path(config.out), card, precisions)))


if __name__ == "__main__":
    main(parse_arguments(ExportConfig))
