"""How far an exported graph is from the unfolded PyTorch model: float32 must agree; what the stored precisions change is told."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch

from distill.denoiser import Denoiser, DenoiserConfig
from distill.denoiser_graph import build
from distill.fold import fold
from distill.graph_file import write_graph
from distill.vocabulary import MASK, Vocabulary

LARGEST_DIFFERENCE = 1e-4  # of a logit

Feeds = dict[str, np.ndarray]


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
    """Through a file: a graph of 2 GiB and more cannot be handed over in memory."""
    with TemporaryDirectory() as folder:
        make = partial(build, model.config, fold(model), vocabulary, context, precision, with_logits=True)
        write_graph(make, Path(folder))
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
    if not difference <= largest:  # not a number is no agreement either
        raise SystemExit(f"the graph and PyTorch differ by {difference:g} in a logit; expected at most {largest:g}")
    return {"rows": len(expected), **figures}


def kl(logits: np.ndarray, other: np.ndarray) -> np.ndarray:
    """KL(softmax(logits) || softmax(other)) of each row, nats."""
    p, q = (torch.from_numpy(x).double().log_softmax(-1) for x in (logits, other))
    return (p.exp() * (p - q)).sum(-1).numpy()
