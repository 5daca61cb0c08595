"""
Measures a run on held-out text.

    python -m distill.evaluate --run=runs/student --data=data/

prints, and writes to RUN/evaluation.json for the model's manifest: the masked-diffusion bound on the negative log-likelihood, and, for
a mixture, the correlation term of Di4C (distill/di4c.py) at three times. Below 0 the student knows how positions go together beyond
what its marginals say. Intervals are 95 %, by bootstrap over rows.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.config import parse_arguments
from distill.denoiser import Denoiser
from distill.di4c import correlation, hidden_at
from distill.export_onnx import load_model
from distill.head import in_blocks
from distill.loss import antithetic_times, diffusion_loss, mask_tokens
from distill.vocabulary import Vocabulary

TIMES = (0.5, 0.75, 1.0)


@dataclass(slots=True)
class EvaluateConfig:
    run: str
    data: str
    times: int = 16  # a row
    lambdas: int = 32
    seed: int = 0


@torch.no_grad()
def bounds(model: Denoiser, rows: Tensor, times: int, generator: torch.Generator) -> np.ndarray:
    """Bound on the NLL of each row, nats a token."""
    return np.array(
        [
            diffusion_loss(model, row.expand(times, -1), antithetic_times(times, generator), generator).item()
            for row in rows
        ]
    )


@torch.no_grad()
def correlations(model: Denoiser, rows: Tensor, t: float, lambdas: int, generator: torch.Generator) -> np.ndarray:
    """corr(x_0) of each row at time t, nats."""

    def at_texts(hidden: Tensor, tokens: Tensor) -> tuple[Tensor]:
        return (model.log_probabilities(hidden).gather(2, tokens[:, None, None].expand(-1, lambdas, 1)),)

    values = []
    for x_0 in rows.split(1):
        masked = mask_tokens(x_0, torch.full((1,), t), model.config.vocabulary, generator)
        b, i = ((masked == model.config.vocabulary) & (x_0 != model.config.vocabulary)).nonzero(as_tuple=True)
        latent = torch.rand(1, lambdas, generator=generator)
        hidden = [hidden_at(model, masked[:, None], one[None, None], b, i) for one in latent[0]]
        (log_p,) = in_blocks(at_texts, model, torch.cat(hidden, 1), x_0[b, i])
        values.append(correlation(log_p, b, 1).item())
    return np.array(values)


def with_interval(values: np.ndarray, draws: int = 2000) -> dict[str, float]:
    chosen = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    low, high = np.quantile(values[chosen].mean(1), [0.025, 0.975])
    return {"value": round(float(values.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def evaluate(config: EvaluateConfig) -> list[dict[str, Any]]:
    model = load_model(Path(config.run) / "checkpoint.pt")[0]
    data = Path(config.data)
    vocabulary = Vocabulary.load(data / "vocabulary.npy")
    # A token never trained on has no probability: it stays masked, as the server takes it, and does not count.
    rows = torch.from_numpy(vocabulary.token_index[np.load(data / "valid.npy").astype(np.int64)]).long()
    generator = torch.Generator().manual_seed(config.seed)
    measured: list[dict[str, Any]] = [
        {
            "measure": "bound on the negative log-likelihood of held-out text, nats a token",
            "rows": len(rows),
            **with_interval(bounds(model, rows, config.times, generator)),
        }
    ]
    for t in TIMES if model.config.mixture else ():
        measured.append(
            {
                "measure": f"Di4C correlation term on held-out text at t = {t}, nats a row",
                "rows": len(rows),
                **with_interval(correlations(model, rows, t, config.lambdas, generator)),
            }
        )
    return measured


if __name__ == "__main__":
    configuration = parse_arguments(EvaluateConfig)
    result = evaluate(configuration)
    (Path(configuration.run) / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    for entry in result:
        print(f"{entry['measure']}: {entry['value']} ({entry['low']} to {entry['high']}, {entry['rows']} rows)")
