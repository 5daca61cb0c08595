"""
The training loop that teacher, SDTT rounds and student share.

A run is a folder: config.json, checkpoint.pt, log.csv and loss.png. It resumes from its checkpoint exactly where it stood, its random
draws too: they are a function of (seed, step). A run ends after `minutes` of training, or after `steps` when that is set; `piece` stops it
earlier, to be started again, for machines that are lent for minutes.
"""

import copy
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from distill.denoiser import Denoiser
from distill.loss_plot import plot_loss
from distill.optimizers import optimizers_for
from distill.rows import Rows

SAVE_SECONDS = 60.0
UNFINISHED = 75  # exit status of a run whose piece is over: "try again" of sysexits.h

LossOf = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(slots=True, kw_only=True)
class FitConfig:
    data: str
    out: str
    minutes: float = 35.0
    steps: int = 0  # when set, instead of minutes
    piece: float = 0.0  # minutes until the run stops to be started again; 0: never
    batch: int = 8  # rows a step
    learning_rate: float = 3e-3
    warm_up: float = 0.03  # share of the run; then the rate falls to a tenth, by a cosine
    average: float = 0.995  # decay of the moving average of the weights, which is what is kept
    compile: bool = False  # pays on CUDA, and on a CPU in runs of more than ten minutes
    seed: int = 0


@dataclass(slots=True)
class Progress:
    """What a checkpoint holds besides weights."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def share(self, config: FitConfig) -> float:
        return self.steps / config.steps if config.steps else self.seconds / (60 * config.minutes)


def device_at_hand() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 products on CUDA and on CPUs that have them (AVX512_BF16, AMX); float32 elsewhere."""
    native = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.autocast(device.type, torch.bfloat16, enabled=native)


def learning_rate_at(share: float, config: FitConfig) -> float:
    rise = min(1.0, max(share / config.warm_up, 0.01)) if config.warm_up else 1.0
    return config.learning_rate * rise * (0.1 + 0.9 * (0.5 + 0.5 * math.cos(math.pi * share)))


def fit(model: Denoiser, rows: Rows, loss_of: LossOf, config: FitConfig) -> Progress:
    """
    Trains in place, with clipping at 1; leaves the averaged weights in the model. loss_of(x_0, generator) is the loss of the rows x_0
    (batch, context), in nats a token. A run that is complete returns at once.
    """
    device = device_at_hand()
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    model.to(device).train()
    averaged = copy.deepcopy(model)
    optimizers = optimizers_for(model, config.learning_rate)
    progress = Progress()
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
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
        torch.save(state, out / "checkpoint.tmp")
        (out / "checkpoint.tmp").rename(checkpoint)  # a run that is killed here keeps its last checkpoint
        plot_loss(out)

    trunk = model.trunk
    if config.compile:
        model.trunk = torch.compile(trunk)  # type: ignore[method-assign]
    bar = tqdm(
        total=100, unit="%", desc=out.name, bar_format="{desc} {percentage:3.0f} %|{bar}| {postfix}", mininterval=5
    )
    started = saved_at = time.perf_counter()
    smoothed = 0.0
    with (out / "log.csv").open("a") as log:
        while (share := progress.share(config)) < 1:
            start = time.perf_counter()
            if config.piece and start - started > 60 * config.piece:
                save()
                bar.close()
                print(f"{out}: {share:.0%} done; start it again to go on", file=sys.stderr)
                sys.exit(UNFINISHED)
            rate = learning_rate_at(share, config)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            generator = torch.Generator(device).manual_seed((config.seed << 32) + progress.steps)
            x_0 = rows.batch(progress.steps, config.batch).to(device)
            with mixed_precision(device):
                loss = loss_of(x_0, generator)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            decay = min(config.average, (1 + progress.steps) / (10 + progress.steps))
            with torch.no_grad():
                torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - decay)
            smoothed = loss.item() if smoothed == 0 else 0.98 * smoothed + 0.02 * loss.item()
            progress.steps += 1
            progress.tokens += x_0.numel()
            progress.seconds += time.perf_counter() - start
            log.write(f"{progress.steps},{progress.tokens},{progress.seconds:.2f},{loss.item():.5f},{rate:.3g}\n")
            report(bar, progress, config, smoothed)
            if time.perf_counter() - saved_at > SAVE_SECONDS:
                log.flush()
                save()
                saved_at = time.perf_counter()
    bar.close()
    model.trunk = trunk  # type: ignore[method-assign]
    model.load_state_dict(averaged.state_dict())
    save()
    return progress


def report(bar: tqdm, progress: Progress, config: FitConfig, loss: float) -> None:
    share = progress.share(config)
    left = progress.seconds * (1 / share - 1)
    speed = progress.tokens / progress.seconds
    bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s, {left / 60:.0f} min left", refresh=False)
    bar.update(min(100, round(100 * share)) - bar.n)
