"""
Converts a published checkpoint into a model folder that the server loads.

    python -m distill.convert --source=zenodo:15124163/sdtt7-di4c2.ckpt --out=models/di4c
    python -m distill.convert --source=hf:jdeschena/sdtt@baselines_kld_step_70000 --out=models/sdtt
    python -m distill.convert --source=hf:kuleshov-group/mdlm-owt --out=models/mdlm
    python -m distill.convert --source=FILE_OR_FOLDER --out=models/mine --precision=int8,float16

The weights are the raw ones of the file, not their moving average; the network is what the shapes say. Sampling with them is
the server's: dropout is off. Prints and stores how far each precision is from PyTorch.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.checkpoint import denoiser_of, read_checkpoint
from distill.config import parse_arguments
from distill.denoiser import DenoiserConfig
from distill.download import fetch
from distill.export_onnx import export, parse_precisions, summary
from distill.safe_pickle import CheckpointError
from distill.vocabulary import SIZE, Vocabulary

LARGEST_DIFFERENCE = 1e-3  # of a logit: published networks are wider and deeper than ours
LICENCES = {"hf:kuleshov-group/": "Apache-2.0"}


@dataclass(slots=True)
class ConvertConfig:
    source: str
    out: str
    precision: str = (
        "float16,half"  # float32, float16, half (GPUs), int8 (CPUs): those to write, the one to prefer first; or all
    )
    context: int = 1024
    cache: str = "checkpoints"  # where fetched files go


def convert(config: ConvertConfig) -> None:
    precisions = parse_precisions(config.precision)
    checkpoint = read_checkpoint(fetch(config.source, Path(config.cache)))
    model = denoiser_of(checkpoint)
    if model.config.vocabulary != SIZE:
        raise CheckpointError(
            f"vocab_embed.embedding: expected {SIZE + 1} rows (GPT-2 and a mask), got {model.config.vocabulary + 1}"
        )
    card = card_of(config.source, checkpoint.file, model.config)
    out = Path(config.out)
    manifest = export(model, Vocabulary.all(), config.context, out, card, precisions, LARGEST_DIFFERENCE)
    print(summary(config.out, manifest))
    print(f"\nServe it: node dist/cli.js serve --model {config.out}")


def card_of(source: str, file: Path, config: DenoiserConfig) -> dict[str, Any]:
    kind = "A mixture student (Di4C)" if config.mixture else "A masked-diffusion model (MDLM or SDTT)"
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {
        "description": f"{kind}, converted from {source}.",
        "steps": {"default": 16 if config.mixture else 64, "min": 1, "max": 1024},
        "teacher": None,
        "licence": next((name for start, name in LICENCES.items() if source.startswith(start)), "that of the source"),
        "provenance": {
            "source": source,
            "file": file.name,
            "sha256": digest,
            "weights": "raw, not the moving average",
        },
    }


if __name__ == "__main__":
    try:
        convert(parse_arguments(ConvertConfig))
    except CheckpointError as error:
        sys.exit(str(error))
