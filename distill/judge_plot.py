"""The picture of a judgement: perplexity, and entropy beside it, against passes."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

COLOURS = ("#c2570c", "#2f6690", "#5b8c3a", "#8b5a9f")
HELD_OUT = "held-out text"
HELD_OUT_COLOUR = "#6b7280"


def plot(report: dict[str, Any], path: Path) -> None:
    results = report["results"]
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    draw(above, results, "perplexity")
    draw(below, results, "entropy")
    above.set_yscale("log")
    above.yaxis.set_major_locator(LogLocator(10, (1, 1.5, 2, 3, 5, 7)))
    above.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    above.yaxis.set_minor_locator(NullLocator())
    above.set_ylabel("generative perplexity (lower is better)")
    below.set_ylabel("entropy of a text, nats")
    below.set_xscale("log", base=2)
    steps = sorted({r["steps"] for r in results if r["steps"]})
    below.set_xlim(steps[0] / 1.15, steps[-1] * 1.15)
    below.xaxis.set_major_locator(FixedLocator(steps))
    below.xaxis.set_minor_locator(NullLocator())
    below.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    below.set_xlabel("passes of the network for a text (mean)")
    handles, labels = above.get_legend_handles_labels()
    models_first = sorted(range(len(labels)), key=lambda i: labels[i] == HELD_OUT)
    above.legend([handles[i] for i in models_first], [labels[i] for i in models_first], frameon=False)
    settings = report["settings"]
    above.set_title(
        f"{settings['samples']} texts of up to {settings['tokens']} tokens, {settings['protocol']}; 95 % intervals\n"
        f"judge: {report['judge']}",
        fontsize=9,
        color="#374151",
        loc="left",
    )
    figure.savefig(path, dpi=130)


def draw(axes: Axes, results: list[dict[str, Any]], figure: str) -> None:
    names = list(dict.fromkeys(r["model"] for r in results if r["steps"]))
    for name, colour in zip(names, COLOURS * len(names), strict=False):
        points = sorted((r for r in results if r["model"] == name), key=lambda r: r["passes"])
        passes = [r["passes"] for r in points]
        values, low, high = ([r[figure][key] for r in points] for key in ("value", "low", "high"))
        axes.fill_between(passes, low, high, color=colour, alpha=0.15, linewidth=0)
        errors = [[v - x for v, x in zip(values, low, strict=True)], [x - v for v, x in zip(values, high, strict=True)]]
        axes.errorbar(
            passes,
            values,
            errors,
            color=colour,
            marker="o",
            markersize=5,
            linewidth=2,
            elinewidth=1,
            capsize=2.5,
            label=name,
        )
    for r in results:
        if not r["steps"]:
            axes.axhspan(r[figure]["low"], r[figure]["high"], color=HELD_OUT_COLOUR, alpha=0.12, linewidth=0)
            axes.axhline(r[figure]["value"], color=HELD_OUT_COLOUR, linestyle="--", linewidth=1.5, label=HELD_OUT)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
