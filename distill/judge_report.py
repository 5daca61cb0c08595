"""What a judgement leaves behind: the table, and entries in the models' manifests."""

import json
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from distill.judge_model import Judge
from distill.judge_texts import DATA
from distill.manifest import write_manifest


def environment(judge: Judge) -> dict[str, Any]:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} CPU cores; judge on {device}",
        "precision": str(judge.model.dtype).removeprefix("torch."),
        "versions": {name: version(name) for name in ("torch", "transformers", "numpy")},
    }


def table(report: dict[str, Any]) -> str:
    settings = report["settings"]
    lines = [
        "| texts of | steps | passes | perplexity | entropy, nats | distinct-1, -2, -3 | self-BLEU | tokens a text | texts |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in report["results"]:
        cells = [
            "data (held out)" if r["model"] == DATA else f"`{r['model']}`",
            str(r["steps"] or ""),
            "" if r["passes"] is None else f"{r['passes']:.1f}",
            "{value:.1f} ({low:.1f} to {high:.1f})".format(**r["perplexity"]),
            "{value:.2f} ({low:.2f} to {high:.2f})".format(**r["entropy"]),
            ", ".join(f"{share:.2f}" for share in r["distinct"]),
            "" if r["self_bleu"] is None else f"{r['self_bleu']:.1f}",
            f"{r['mean_tokens']:.0f}",
            str(r["samples"]) + (f" ({r['empty']} empty left out)" if r["empty"] else ""),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    prompt = f", {settings['prefix']} of a held-out document before" if settings["prefix"] else ""
    protocol = f"Protocol: {settings['protocol']}, up to {settings['tokens']} tokens a text{prompt}."
    what = f"Texts as they were in {settings['texts']}." if settings["texts"] else protocol
    lines += [
        "",
        f"Judge: {report['judge']}, {report['precision']}. {what} "
        f"95 % intervals by bootstrap. {report['date']}, {report['machine']}.",
        "",
        f"    {report['command']}",
    ]
    return "\n".join(lines) + "\n"


def write_evaluation(folder: Path, report: dict[str, Any]) -> None:
    """Puts the model's figures into its manifest, in the place of earlier ones of the same protocol and length."""
    path = folder / "model.json"
    manifest = json.loads(path.read_text())
    settings = report["settings"]
    same = {"protocol": settings["protocol"], "tokens": settings["tokens"]}
    kept = [e for e in manifest["evaluation"] if "judge" not in e or {key: e.get(key) for key in same} != same]
    entries = [
        {
            "steps": r["steps"],
            "passes": r["passes"],
            "perplexity": r["perplexity"]["value"],
            "low": r["perplexity"]["low"],
            "high": r["perplexity"]["high"],
            "entropy": r["entropy"]["value"],
            "samples": r["samples"],
            "judge": report["judge"],
            **same,
        }
        for r in report["results"]
        if r["model"] == manifest["name"]
    ]
    manifest["evaluation"] = kept + entries
    # In one step, so that a server that starts now reads the one or the other.
    fresh = path.with_suffix(".json.new")
    write_manifest(fresh, manifest)
    fresh.replace(path)
