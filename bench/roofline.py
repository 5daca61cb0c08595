"""
What the parts of a pass take, from ONNX Runtime's profile, beside what this machine's matrix products reach.

    python bench/roofline.py FOLDER THREADS LENGTH BATCH,BATCH      prints JSON; FOLDER is that of bench/full_size.py
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.autoregressive import STEPS, pass_seconds
from bench.full_size import CONFIG
from distill.graph import FLOAT, Graph, value

PASSES = 3
# The weights that a product carries by name, and what work it is.
WEIGHTS = {"qkv": "attention", "out": "attention", "mlp1": "MLP", "mlp2": "MLP", "head": "head", "latent0": "lambda", "latent2": "lambda"}  # fmt: skip
OPERATORS = {
    "Attention": "attention",
    "RotaryEmbedding": "attention",
    "Gelu": "MLP",
    "BiasGelu": "MLP",
    "FastGelu": "MLP",
    "LayerNormalization": "norms and residuals",
    "SkipLayerNormalization": "norms and residuals",
    "Add": "norms and residuals",
}


def gemm_rate(threads: int, rows: int) -> float:
    """FLOP/s of the matrix product that a block spends most on, in ONNX Runtime and in PyTorch: the better of both."""
    inside, outside = CONFIG.width, 4 * CONFIG.width
    g = Graph()
    g.rename(g.op("MatMul", "x", g.constant(np.ones((inside, outside), np.float32))), "y")
    model = g.model("product", [value("x", FLOAT, ["M", inside])], [value("y", FLOAT, ["M", outside])])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    torch.set_num_threads(threads)
    x, weight = torch.randn(rows, inside), torch.randn(inside, outside)
    feeds = {"x": x.numpy()}

    def best(run) -> float:
        times = []
        for _ in range(30):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return 2 * rows * inside * outside / min(times)

    return max(best(lambda: session.run(["y"], feeds)), best(lambda: x @ weight))


def kinds_of(path: Path) -> dict[str, str]:
    """The kind of work of each node, by its name."""
    graph = onnx.load(path, load_external_data=False).graph
    kinds: dict[str, str] = {}
    past_head = False
    for node in graph.node:
        hints = [name.rsplit("_", 1)[0].removesuffix("_bias") for name in node.input]
        kind = next((WEIGHTS[hint] for hint in hints if hint in WEIGHTS), OPERATORS.get(node.op_type, "copies"))
        kinds[node.name] = "sampler" if past_head else kind
        past_head = past_head or (kind == "head" and node.op_type == "Add")
    return kinds


def flops(batch: int, length: int) -> dict[str, float]:
    """Of a pass, by kind of work. Beyond its attention the last block runs at the rows only."""
    width, blocks = CONFIG.width, CONFIG.blocks
    tokens = batch * (length + 1)
    rows = batch * length // STEPS
    outer = (blocks - 1) * tokens + rows
    return {
        "attention": 2 * width * (3 * width * blocks * tokens + width * outer + 2 * blocks * tokens * (length + 1)),
        "MLP": 2 * width * 8 * width * outer,
        "head": 2 * width * CONFIG.vocabulary * rows,
    }


def profile(path: Path, threads: int, batch: int, length: int) -> dict[str, object]:
    kinds = kinds_of(path)
    with TemporaryDirectory() as scratch:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        plain = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        pass_seconds(plain, batch, length)
        seconds = min(pass_seconds(plain, batch, length) for _ in range(PASSES))
        del plain
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(scratch) / "profile")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for _ in range(PASSES):
            pass_seconds(session, batch, length)
        events = json.loads(Path(session.end_profiling()).read_text())
    microseconds: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"].removesuffix("_kernel_time").split("/")[0]  # what was fused keeps its product's name
            kind = kinds.get(name) or OPERATORS.get(event["args"]["op_name"])
            if kind is None:
                unknown[f"{event['args']['op_name']} {name}"] += event["dur"]
            microseconds[kind or "copies"] += event["dur"]
    total = sum(microseconds.values())
    work = flops(batch, length)
    return {
        "batch": batch,
        "length": length,
        "seconds": seconds,
        "flops": sum(work.values()) / seconds,
        "parts": {
            kind: {"share": each / total, "flops": work.get(kind, 0) / (seconds * each / total)}
            for kind, each in microseconds.most_common()
        },
        "unnamed": dict(unknown.most_common(8)),
    }


def main(folder: Path, threads: int, length: int, batches: list[int]) -> None:
    path = folder / "float32" / "denoiser.onnx"
    before = gemm_rate(threads, length)
    passes = [profile(path, threads, batch, length) for batch in batches]
    print(json.dumps({"gemm": max(before, gemm_rate(threads, length)), "passes": passes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [int(batch) for batch in sys.argv[4].split(",")])
