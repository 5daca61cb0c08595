"""
Exports a checkpoint as a model folder that the server loads.

    python -m distill.export_onnx --run=runs/student --vocabulary=data/vocabulary.npy --out=models/student \\
        --card=CARD.json

writes denoiser.onnx, denoiser.onnx.data and model.json, after checking that the folded graph gives the logits of the unfolded
PyTorch model to 1e-4, both in float32.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from distill.config import parse_arguments
from distill.denoiser import Denoiser, DenoiserConfig
from distill.denoiser_graph import PRECISIONS, build
from distill.fold import fold
from distill.graph_file import Written, write_graph
from distill.manifest import write_manifest
from distill.parity import LARGEST_DIFFERENCE, check_parity
from distill.vocabulary import END_OF_TEXT, MASK, SIZE, Vocabulary

NAMES = {
    "float32": "float32",
    "float16": "float32 (matrices stored as float16)",
    "half": "float16 (lambda, head and sampler float32)",
    "int8": "int8 matrices, rows quantised as they come",
}
DEVICES = {"half": ["cuda"], "int8": ["cpu"]}  # the others suit both, unless there is half


@dataclass(slots=True)
class ExportConfig:
    run: str
    vocabulary: str
    out: str
    card: str  # JSON: description, licence, provenance, steps, teacher
    context: int = 256
    precision: str = (
        "float16,half"  # float32, float16, half (GPUs), int8 (CPUs): those to write, the one to prefer first; or all
    )


def load_model(checkpoint: Path) -> tuple[Denoiser, dict[str, Any]]:
    """The model and what else the checkpoint holds."""
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
    model = Denoiser(DenoiserConfig(**saved["config"]))
    model.load_state_dict(saved["model"])
    return model.eval(), saved


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
    written: Written = {}
    for precision in precisions:
        graph = "denoiser.onnx" if precision == precisions[0] else f"denoiser.{precision}.onnx"
        files = write_graph(partial(build, config, fold(model), vocabulary, context, precision), out, graph, written)
        devices = DEVICES.get(precision, ["cpu"] if "half" in precisions else ["cpu", "cuda"])
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
    write_manifest(out / "model.json", manifest)
    return manifest


def parse_precisions(text: str) -> list[str]:
    if text == "all":
        return list(reversed(PRECISIONS))  # int8 for CPUs and half for GPUs, where they are the fastest
    names = text.split(",")
    if wrong := [name for name in names if name not in PRECISIONS]:
        sys.exit(f"--precision: expected all, or some of {', '.join(PRECISIONS)} with commas between, got {wrong[0]!r}")
    return list(dict.fromkeys(names))


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
