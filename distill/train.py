"""
Trains a teacher (MDLM, arXiv 2406.07524).

    python -m distill.train --data=data/ --out=runs/teacher --minutes=35

Resumes from runs/teacher/checkpoint.pt when it is there. Weights in float32, matrix products in bfloat16 where the machine is
faster so; learning rate warms up and falls to a tenth over the time given; the model kept is the moving average.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from distill.config import parse_arguments
from distill.denoiser import Denoiser, DenoiserConfig
from distill.loss import antithetic_times, diffusion_loss
from distill.vocabulary import Vocabulary


@dataclass(slots=True, kw_only=True)
class FitConfig:
    """What teacher and student are trained with alike."""

    data: str
    out: str
    minutes: float = 35.0
    batch: int = 8
    learning_rate: float = 3e-3
    warm_up: float = 0.03  # share of the time
    average: float = 0.995  # decay of the moving average of the weights
    seed: int = 0


@dataclass(slots=True, kw_only=True)
class TrainConfig(FitConfig):
    width: int = 256
    blocks: int = 8
    heads: int = 4


@dataclass(slots=True)
class Progress:
    """What a checkpoint holds besides weights."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


class Rows:
    """Random batches of rows, each row once an epoch."""

    def __init__(self, path: Path, vocabulary: Vocabulary, seed: int) -> None:
        self.rows = vocabulary.token_index[np.load(path).astype(np.int64)]
        self.generator = np.random.default_rng(seed)
        self.order = np.empty(0, dtype=np.int64)

    def batch(self, size: int) -> Tensor:
        while len(self.order) < size:
            self.order = np.concatenate([self.order, self.generator.permutation(len(self.rows))])
        chosen, self.order = self.order[:size], self.order[size:]
        return torch.from_numpy(self.rows[chosen]).long()


def optimizers_for(model: Denoiser, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, which it trains in fewer steps; AdamW for embedding, head and the rest."""
    matrices = [p for name, p in model.named_parameters() if is_block_matrix(name, p)]
    others = [p for name, p in model.named_parameters() if not is_block_matrix(name, p)]
    return [
        torch.optim.Muon(matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def is_block_matrix(name: str, parameter: Tensor) -> bool:
    return name.startswith("blocks.") and parameter.ndim == 2 and "adaLN" not in name


def fit(model: Denoiser, loss_of: Callable[[], Tensor], tokens_a_step: int, config: FitConfig) -> Progress:
    """The loop that teacher and student share: AdamW, clipping at 1, moving average, a checkpoint every minute."""
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    optimizers = optimizers_for(model, config.learning_rate)
    averaged = copy.deepcopy(model)
    progress = Progress()
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        averaged.load_state_dict(saved["average"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        progress = Progress(**saved["progress"])

    def save() -> None:
        state = {
            "model": model.state_dict(),
            "average": averaged.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "progress": asdict(progress),
            "config": asdict(model.config),
        }
        torch.save(state, checkpoint)

    bar = tqdm(total=round(config.minutes * 60), initial=round(progress.seconds), unit="s", mininterval=5)
    smoothed, saved_at = 0.0, progress.seconds
    with (out / "log.csv").open("a") as log:
        while (share := progress.seconds / (config.minutes * 60)) < 1:
            start = time.perf_counter()
            scale = min(1.0, share / config.warm_up) * (0.1 + 0.9 * (0.5 + 0.5 * math.cos(math.pi * share)))
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * max(scale, 0.01)
            with torch.autocast("cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16):
                loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            decay = min(config.average, (1 + progress.steps) / (10 + progress.steps))
            with torch.no_grad():
                for kept, new in zip(averaged.parameters(), model.parameters(), strict=True):
                    kept.lerp_(new, 1 - decay)
            progress.steps += 1
            progress.tokens += tokens_a_step
            progress.seconds += time.perf_counter() - start
            smoothed = loss.item() if smoothed == 0 else 0.98 * smoothed + 0.02 * loss.item()
            bar.update(round(progress.seconds) - bar.n)
            bar.set_postfix_str(
                f"loss {smoothed:.3f}, {progress.tokens / progress.seconds:,.0f} tokens/s", refresh=False
            )
            if progress.steps % 50 == 0:
                log.write(f"{progress.steps},{progress.tokens},{progress.seconds:.1f},{smoothed:.4f}\n")
                log.flush()
            if progress.seconds - saved_at > 60:
                saved_at = progress.seconds
                save()
    bar.close()
    model.load_state_dict(averaged.state_dict())
    save()
    return progress


def train(config: TrainConfig) -> None:
    torch.manual_seed(config.seed)
    data = Path(config.data)
    vocabulary = Vocabulary.load(data / "vocabulary.npy")
    rows = Rows(data / "train.npy", vocabulary, config.seed)
    model = Denoiser(DenoiserConfig(len(vocabulary), width=config.width, blocks=config.blocks, heads=config.heads))
    batch = config.batch

    def loss() -> Tensor:
        return diffusion_loss(model, rows.batch(batch), antithetic_times(batch))

    progress = fit(model, loss, batch * rows.rows.shape[1], config)
    print(f"{progress.steps:,} steps, {progress.tokens:,} tokens, {progress.seconds:,.0f} s")


if __name__ == "__main__":
    train(parse_arguments(TrainConfig))
