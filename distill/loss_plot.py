"""The picture of a run: loss against tokens seen, each step faint, their running mean strong."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def plot_loss(run: Path) -> None:
    """log.csv to loss.png."""
    log = np.loadtxt(run / "log.csv", delimiter=",", ndmin=2) if (run / "log.csv").stat().st_size else np.empty((0, 5))
    if len(log) < 2:
        return
    tokens, loss = log[:, 1] / 1e6, log[:, 3]
    window = max(1, len(log) // 50)
    mean = np.convolve(loss, np.ones(window) / window, "valid")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(tokens, loss, color="#c2570c", alpha=0.25, linewidth=0.8)
    axes.plot(tokens[window - 1 :], mean, color="#c2570c", linewidth=2)
    axes.set(xlabel="million tokens", ylabel="loss, nats a token", title=run.name)
    axes.set_ylim(top=np.quantile(loss[len(loss) // 50 :], 0.99) * 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(run / "loss.png", dpi=120)
