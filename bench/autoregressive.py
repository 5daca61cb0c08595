"""
An autoregressive model of the same size, written out for ONNX Runtime as well as it is known to be done, against fewstep's passes.

    python bench/autoregressive.py FOLDER THREADS LENGTH BATCH,BATCH      prints JSON; FOLDER is that of bench/full_size.py

A GPT-2-shaped decoder (12 blocks, 768 wide, 50257 tokens, untied head) with random weights: GroupQueryAttention over a cache that is written in place, and
fewstep's own sampler at its end. Time does not depend on what the weights are or what the cache holds, so that every EVERY-th token
is timed, each at its own place in the text.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).parents[1]))

from distill.graph import BOOL, DOUBLE, FLOAT, INT32, INT64, Graph, Store, value
from distill.graph_file import write_graph
from distill.sampler_graph import NEVER, Grid, add_sampler
from distill.vocabulary import MASK, SIZE

BLOCKS, WIDTH, HEADS = 12, 768, 12
EVERY = 32
STEPS = 16  # whose rows a timed pass of fewstep has


def decoder(length: int, store: Store):
    """One token of each text: tokens (B, 1) to revealed (B)."""
    g = Graph(store=store)
    draw = np.random.default_rng(0)

    def weight(*shape: int) -> str:
        return g.constant(draw.standard_normal(shape, np.float32) * 0.02, "weight")

    def norm(x: str) -> str:
        return g.op("LayerNormalization", x, weight(WIDTH), weight(WIDTH), axis=-1, epsilon=1e-5)

    def linear(x: str, inside: int, outside: int) -> str:
        return g.op("Add", g.op("MatMul", x, weight(inside, outside)), weight(outside))

    place = g.op("Unsqueeze", "places", g.ints(1))  # tokens that were before, which is where the next one stands
    x = g.op("Add", g.op("Gather", weight(SIZE, WIDTH), "tokens"), g.op("Gather", weight(length, WIDTH), place))
    cache_outputs = []
    for block in range(BLOCKS):
        q, k, v = g.ops("Split", linear(norm(x), WIDTH, 3 * WIDTH), outputs=3, axis=-1, num_outputs=3)
        cache = (f"key_{block}", f"value_{block}")
        y, *present = g.ops(
            "GroupQueryAttention", q, k, v, *cache, "places", "total", outputs=3, domain="com.microsoft",
            num_heads=HEADS, kv_num_heads=HEADS,
        )  # fmt: skip
        for name, output in zip(cache, present, strict=True):
            g.nodes[-1].output[list(g.nodes[-1].output).index(output)] = f"present_{name}"
            cache_outputs.append(value(f"present_{name}", FLOAT, ["B", HEADS, length, WIDTH // HEADS]))
        x = g.op("Add", x, linear(y, WIDTH, WIDTH))
        hidden = g.op("Gelu", linear(norm(x), WIDTH, 4 * WIDTH), approximate="tanh")
        x = g.op("Add", x, linear(hidden, 4 * WIDTH, WIDTH))
    last = g.op("Reshape", norm(x), g.ints(-1, WIDTH))
    filler = np.zeros((1, Grid.of(SIZE).columns), np.float32)
    filler[:, SIZE:] = NEVER
    logits = g.op("Add", g.op("MatMul", last, weight(WIDTH, Grid.of(SIZE).columns)), g.constant(filler))
    sampled = add_sampler(g, logits, SIZE)
    g.rename(g.op("Squeeze", sampled.tokens, g.ints(1)), "revealed")
    caches = [
        value(f"{kind}_{block}", FLOAT, ["B", HEADS, length, WIDTH // HEADS])
        for block in range(BLOCKS)
        for kind in ("key", "value")
    ]
    inputs = [value("tokens", INT64, ["B", 1]), value("places", INT32, ["B"]), value("total", INT32, [1]), *caches]
    inputs += [value("coins", DOUBLE, ["B"]), value("temperature", FLOAT, ["B"]), value("top_p", FLOAT, ["B"])]
    inputs += [value("top_k", INT32, ["B"]), value("filtered", BOOL, []), value("alternatives", BOOL, [])]
    return g.model("decoder", inputs, [value("revealed", INT64, ["B"]), *cache_outputs])


def session_of(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def sampler_feeds(rows: int) -> dict[str, np.ndarray]:
    return {
        "coins": np.full(rows, 0.5),
        "temperature": np.ones(rows, np.float32),
        "top_p": np.ones(rows, np.float32),
        "top_k": np.zeros(rows, np.int32),
        "filtered": np.array(False),
        "alternatives": np.array(False),
    }


def decode_seconds(session: onnxruntime.InferenceSession, batch: int, length: int) -> float:
    """For the whole length, each text token by token."""
    binding = session.io_binding()
    shape = (batch, HEADS, length, WIDTH // HEADS)
    caches = {
        f"{kind}_{block}": onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
        for block in range(BLOCKS)
        for kind in ("key", "value")
    }
    for name, cache in caches.items():
        binding.bind_ortvalue_input(name, cache)
        binding.bind_ortvalue_output(f"present_{name}", cache)
    binding.bind_output("revealed")
    places, total = np.zeros(batch, np.int32), np.zeros(1, np.int32)
    feeds = {"tokens": np.zeros((batch, 1), np.int64), "places": places, "total": total, **sampler_feeds(batch)}
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)  # it reads the arrays' own memory

    def step(place: int) -> float:
        places[:], total[:] = place, place + 1
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        return time.perf_counter() - start

    step(0)
    return EVERY * sum(step(place) for place in range(EVERY // 2, length, EVERY))


def pass_seconds(session: onnxruntime.InferenceSession, batch: int, length: int) -> float:
    rows = np.arange(0, batch * length, STEPS, dtype=np.int32)
    feeds = {
        "tokens": np.full((batch, length), MASK, np.int32),
        "lengths": np.full(batch, length, np.int32),
        "lambda": np.full(batch, 0.5, np.float32),
        "rows": rows,
        **sampler_feeds(len(rows)),
    }
    start = time.perf_counter()
    session.run(["revealed"], feeds)
    return time.perf_counter() - start


def main(folder: Path, threads: int, length: int, batches: list[int]) -> None:
    results: list[dict[str, float]] = [{"batch": batch} for batch in batches]
    for precision in ("float32", "int8"):
        session = session_of(folder / precision / "denoiser.onnx", threads)
        pass_seconds(session, 1, length)  # warm-up
        for result in results:
            result[precision] = pass_seconds(session, int(result["batch"]), length)
        del session
    with TemporaryDirectory() as scratch:
        write_graph(partial(decoder, length), Path(scratch))
        session = session_of(Path(scratch) / "denoiser.onnx", threads)
        for result in results:
            result["autoregressive"] = decode_seconds(session, int(result["batch"]), length)
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [int(batch) for batch in sys.argv[4].split(",")])
