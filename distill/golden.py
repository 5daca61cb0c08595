"""
Writes the toy models and the golden numbers that the TypeScript tests compare with.

    python -m distill.golden          # test/fixtures/models/toy-mixture, toy-product; test/fixtures/golden.json, diversity.json

The toys are real exports of tiny networks with random weights over three words, small enough to enumerate. golden.json holds, for
each toy: passes with what they must reveal, by plain float64 arithmetic on PyTorch's logits; and the exact law of the texts that the
papers' ancestral chain writes, by enumeration of every state and step, with lambda integrated on a midpoint grid. diversity.json holds
token ids of texts, and how varied these are by distill.diversity.
"""

import itertools
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from distill.denoiser import Denoiser, DenoiserConfig
from distill.diversity import distinct, entropy
from distill.export_onnx import export
from distill.parity import Feeds, random_feeds, reference_logits
from distill.vocabulary import END_OF_TEXT, MASK, Vocabulary

FIXTURES = Path("test/fixtures")
WORDS = np.array([2266, 4077, 4171], dtype=np.int32)  # " red", " green", " blue"
CONTEXT = 16
LENGTH = 3  # of the enumerated texts, after the beginning-of-text token
LAMBDAS = 1024  # points of the grid
STEPS = (1, 2, 3)
SEEDS = {True: 4, False: 0}  # of those tried, spread out; the mixture correlates its positions
SLOW = 34  # waves of lambda from here on turn about once


def toy(mixture: bool) -> Denoiser:
    """Random weights, scaled up until the law is far from uniform and depends on context and lambda."""
    torch.manual_seed(SEEDS[mixture])
    config = DenoiserConfig(len(WORDS), width=16, blocks=2, heads=2, mixture=mixture, tied=False)
    model = Denoiser(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "adaLN" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            if "attn" in name:
                parameter.mul_(3)
        model.vocab_embed.embedding.normal_()
        model.output_layer.linear.weight.normal_(std=0.6)
        if mixture:
            # Slow waves of lambda only: the law then changes smoothly, and the grid integrates it well.
            first, second = (cast(nn.Linear, model.latent_projection[i]) for i in (0, 2))
            first.weight.normal_()
            first.weight[:, :SLOW] = 0
            first.weight[:, 64 : 64 + SLOW] = 0
            first.bias.zero_()
            second.bias.zero_()
    return model


def reference_reveals(logits: np.ndarray, feeds: Feeds) -> dict[str, Any]:
    """What a pass reveals, by the plain definition: temper, filter, cumulative sum, coin. Everything in float64."""
    tokens, probabilities = [], []
    plain = softmax(logits.astype(np.float64))
    for r, row in enumerate(logits.astype(np.float64)):
        temperature = float(feeds["temperature"][r])
        if temperature == 0:
            token = int(row.argmax())
        else:
            law = filtered(softmax(row / temperature), float(feeds["top_p"][r]), int(feeds["top_k"][r]))
            token = int(np.searchsorted(np.cumsum(law), feeds["coins"][r] * law.sum(), side="right"))
        tokens.append(token)
        probabilities.append(float(plain[r, token]))
    order = np.argsort(-plain, axis=-1, kind="stable")
    return {
        "revealed": WORDS[tokens].tolist(),
        "probability": probabilities,
        "alternative_tokens": WORDS[order].tolist(),
        "alternative_probabilities": np.take_along_axis(plain, order, -1).tolist(),
    }


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def filtered(law: np.ndarray, top_p: float, top_k: int) -> np.ndarray:
    """Keeps the likeliest tokens: at most top_k (0: all), and as many as it takes to reach top_p."""
    order = np.argsort(-law, kind="stable")
    before = np.cumsum(law[order]) - law[order]
    keep = (before < top_p) & (np.arange(len(law)) < (top_k or len(law)))
    kept = np.zeros_like(law)
    kept[order[keep]] = law[order[keep]]
    return kept


def golden_passes(model: Denoiser, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    passes = []
    for seed, filters in ((1, False), (2, True)):
        draw = np.random.default_rng(seed)
        feeds = random_feeds(model.config, vocabulary, CONTEXT, batch=4, seed=seed)
        rows = len(feeds["rows"])
        feeds["temperature"] = draw.choice([0.0, 0.5, 1.0, 1.7], rows).astype(np.float32)
        if filters:
            feeds["top_p"] = draw.choice([1.0, 0.4, 0.75], rows).astype(np.float32)
            feeds["top_k"] = draw.choice([0, 1, 2], rows).astype(np.int32)
        expected = reference_reveals(reference_logits(model, vocabulary, feeds), feeds)
        inputs = {name: array.flatten().tolist() for name, array in feeds.items() if array.ndim}
        passes.append({"length": CONTEXT, **inputs, "expected": expected})
    return passes


def state_laws(model: Denoiser, vocabulary: Vocabulary, lambdas: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
    """For every state of the text: the law at each position under each lambda, (lambdas, LENGTH, words), float64."""
    laws = {}
    for state in itertools.product([*WORDS.tolist(), MASK], repeat=LENGTH):
        ids = vocabulary.token_index[np.array([END_OF_TEXT, *state])]
        tokens = torch.from_numpy(ids).long().expand(len(lambdas), -1)
        latent = torch.from_numpy(lambdas.astype(np.float32)) if model.config.mixture else None
        with torch.no_grad():
            logits = model.logits(model.trunk(tokens, latent))[:, 1:, : len(vocabulary)]
        laws[state] = softmax(logits.double().numpy())
    return laws


def chain_law(laws: dict[tuple[int, ...], np.ndarray], steps: int) -> dict[str, float]:
    """
    The ancestral chain as the papers write it: from t to s every masked position becomes a token with probability (t - s) / t
    and stays masked otherwise, independently given lambda; lambda is uniform and drawn anew at every step.
    """
    masses = {(MASK,) * LENGTH: 1.0}
    for n in range(steps):
        t, s = 1 - n / steps, 1 - (n + 1) / steps
        reveal = (t - s) / t
        following: dict[tuple[int, ...], float] = {}
        for state, mass in masses.items():
            choices = [[token] if token != MASK else [*WORDS.tolist(), MASK] for token in state]
            for target in itertools.product(*choices):
                joint = np.ones(len(laws[state]))
                for i, (old, new) in enumerate(zip(state, target, strict=True)):
                    if old == MASK and new == MASK:
                        joint = joint * (1 - reveal)
                    elif old == MASK:
                        joint = joint * reveal * laws[state][:, i, WORDS.tolist().index(new)]
                following[target] = following.get(target, 0.0) + mass * float(joint.mean())
        masses = following
    return {",".join(map(str, state)): mass for state, mass in masses.items() if mass > 0}


def golden_laws(model: Denoiser, vocabulary: Vocabulary) -> dict[str, Any]:
    def laws(points: int) -> list[dict[str, float]]:
        grid = (np.arange(points) + 0.5) / points
        table = state_laws(model, vocabulary, grid)
        return [chain_law(table, steps) for steps in STEPS]

    fine, coarse = laws(LAMBDAS), laws(LAMBDAS // 2)
    error = max(abs(a[key] - b[key]) for a, b in zip(fine, coarse, strict=True) for key in a)
    return {
        "prompt": [END_OF_TEXT],
        "lambda_points": LAMBDAS,
        "change_on_halving_the_grid": error,
        "steps": {str(steps): law for steps, law in zip(STEPS, fine, strict=True)},
    }


def golden_diversity() -> dict[str, Any]:
    """Texts of several lengths, of tokens as unevenly spread as words are, one of a single token, one that repeats itself."""
    draw = np.random.default_rng(0)
    texts = [np.minimum(draw.zipf(1.3, length), 50256).tolist() for length in (8, 32, 128, 128)]
    texts += [[END_OF_TEXT], [11, 262] * 20]
    return {
        "texts": texts,
        "entropy": [entropy(text) for text in texts],
        "distinct": {str(n): distinct(texts, n) for n in (1, 2, 3)},
    }


def main() -> None:
    vocabulary = Vocabulary(WORDS)
    golden: dict[str, dict[str, Any]] = {}
    for name, mixture in (("toy-mixture", True), ("toy-product", False)):
        model = toy(mixture)
        card = {
            "description": "A toy for tests: random weights, three words.",
            "steps": {"default": 4, "min": 1, "max": 1000},
            "teacher": "toy-product" if mixture else None,
            "licence": "Apache-2.0",
            "provenance": {"data": [], "command": "python -m distill.golden"},
        }
        export(model, vocabulary, CONTEXT, FIXTURES / "models" / name, card, ["float32"])
        golden[name] = {"passes": golden_passes(model, vocabulary), "law": golden_laws(model, vocabulary)}
    (FIXTURES / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    (FIXTURES / "diversity.json").write_text(json.dumps(golden_diversity()) + "\n")
    for name, values in golden.items():
        law = values["law"]
        print(name, "grid error", law["change_on_halving_the_grid"], "one step:", law["steps"]["1"])


if __name__ == "__main__":
    main()
