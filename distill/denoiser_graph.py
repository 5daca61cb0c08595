"""
The denoiser and its sampler as one ONNX graph, fused operators emitted directly.

Inputs and outputs: docs/architecture.md, "The graph". Beyond the last block's attention everything runs at the requested rows only,
so nothing of size batch x length x vocabulary is ever made. lambda stands at index 0, where the rotary angle is 0: attention is
otherwise blind to order, and the published models give it no rotary at all.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
from onnx import numpy_helper

from distill.denoiser import LAMBDA_DIM, LAMBDA_SCALE, DenoiserConfig, rotary_tables
from distill.fold import FoldedBlock, FoldedDenoiser
from distill.graph import BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64, Graph, Store, value
from distill.int8 import int8_product
from distill.sampler_graph import ALTERNATIVES, NEVER, Grid, add_sampler
from distill.vocabulary import Vocabulary

EPSILON = 1e-5
PRECISIONS = ("float32", "float16", "half", "int8")


class DenoiserGraph(Graph):
    """
    precision: float32; float16, which halves the file: a Cast, which ONNX Runtime folds when it loads the model, makes the matrices
    float32 again, and so is arithmetic; half, where the blocks compute in float16, for GPUs; int8 (distill/int8.py), where the
    embedding is stored as float16. Lambda, the head and the sampler are float32 and wider in all of them: a float16 logit of 10 is one of 128 to a unit.
    """

    def __init__(
        self, config: DenoiserConfig, context: int, precision: str, store: Store = numpy_helper.from_array
    ) -> None:
        super().__init__(store=store)
        self.config = config
        self.precision = precision
        self.inside = FLOAT16 if precision == "half" else FLOAT  # what is computed in from here on
        self.casts: dict[tuple[str, int], str] = {}
        width = config.width // config.heads
        cos, sin = rotary_tables(context + 1, width)  # ONNX Runtime wants a row for each of a sequence, lambda counted
        self.rotary = (self.vector(cos.numpy(), "cos"), self.vector(sin.numpy(), "sin"))

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        inside, self.inside = self.inside, FLOAT
        yield
        self.inside = inside

    def stored(self, array: np.ndarray, hint: str) -> str:
        return self.constant(array.astype(np.float32 if self.precision == "float32" else np.float16), hint)

    def computed(self, stored: str) -> str:
        """A stored matrix as it is computed with."""
        as_stored = FLOAT if self.precision == "float32" else FLOAT16
        if self.inside == as_stored:
            return stored
        if (stored, self.inside) not in self.casts:
            self.casts[stored, self.inside] = self.op("Cast", stored, to=self.inside)
        return self.casts[stored, self.inside]

    def cast(self, x: str, before: int, after: int) -> str:
        return x if before == after else self.op("Cast", x, to=after)

    def vector(self, array: np.ndarray, hint: str) -> str:
        return self.constant(array.astype(np.float16 if self.inside == FLOAT16 else np.float32), hint)

    def norm(self, x: str, scale: np.ndarray, bias: np.ndarray) -> str:
        scale_and_bias = (self.vector(scale, "scale"), self.vector(bias, "bias"))
        return self.op("LayerNormalization", x, *scale_and_bias, axis=-1, epsilon=EPSILON)

    def linear(self, x: str, weight: np.ndarray, bias: np.ndarray | None, hint: str) -> str:
        if self.precision == "int8":
            y = int8_product(self, x, weight, hint)
        else:
            y = self.op("MatMul", x, self.computed(self.stored(weight, hint)))
        return y if bias is None else self.op("Add", y, self.vector(bias, hint + "_bias"))

    def attention(self, x: str, block: FoldedBlock, positions: str, lengths: str) -> str:
        heads = self.config.heads
        q, k, v = self.ops("Split", self.linear(x, block.qkv, None, "qkv"), outputs=3, axis=-1, num_outputs=3)
        q = self.op("RotaryEmbedding", q, *self.rotary, positions, num_heads=heads)
        k = self.op("RotaryEmbedding", k, *self.rotary, positions, num_heads=heads)
        y = self.op("Attention", q, k, v, "", "", "", lengths, q_num_heads=heads, kv_num_heads=heads)
        return y

    def after_attention(self, x: str, attended: str, block: FoldedBlock) -> str:
        x = self.op("Add", x, self.linear(attended, block.out, None, "out"))
        h = self.linear(self.norm(x, *block.norm2), *block.mlp1, "mlp1")
        h = self.op("Gelu", h, approximate="tanh")
        return self.op("Add", x, self.linear(h, *block.mlp2, "mlp2"))

    def lambda_row(self, layers: list[tuple[np.ndarray, np.ndarray]]) -> str:
        """(B, 1, width). The arguments reach 1000, so this stays in float32."""
        half = LAMBDA_DIM // 2
        frequencies = LAMBDA_SCALE * np.exp(-math.log(10000.0) * np.arange(half, dtype=np.float32) / (half - 1))
        column = self.op("Unsqueeze", "lambda", self.ints(1))
        arguments = self.op("Mul", column, self.vector(frequencies[None], "frequencies"))
        x = self.op("Concat", self.op("Sin", arguments), self.op("Cos", arguments), axis=1)
        x = self.op("Gelu", self.linear(x, *layers[0], "latent0"))
        return self.op("Unsqueeze", self.linear(x, *layers[1], "latent2"), self.ints(1))

    def token_rows(self, x: str) -> str:
        """(B, [1 +] L, width) to (B L, width): the lambda row dropped."""
        if self.config.mixture:
            x = self.op("Slice", x, self.ints(1), self.ints(np.iinfo(np.int64).max), self.ints(1))
        return self.op("Reshape", x, self.ints(-1, self.config.width))


def build(
    config: DenoiserConfig,
    folded: FoldedDenoiser,
    vocabulary: Vocabulary,
    context: int,
    precision: str = "float16",
    with_logits: bool = False,
    store: Store = numpy_helper.from_array,
) -> onnx.ModelProto:
    """with_logits adds the output `logits` (R, vocabulary), for comparisons."""
    g = DenoiserGraph(config, context, precision, store)
    tokens = g.op("Cast", "tokens", to=INT64)
    ids = tokens
    if not vocabulary.complete:
        ids = g.op("Gather", g.constant(vocabulary.token_index, "token_index"), tokens)
    embedding = g.stored(folded.embedding, "embedding")
    x = g.op("Gather", g.computed(embedding), ids)
    # 0, 1, 2, ... along each sequence
    ones = g.op("Add", g.op("Mul", tokens, g.ints(0)), g.ints(1))
    positions = g.op("CumSum", ones, g.constant(np.int64(1)), exclusive=1)
    lengths = g.op("Cast", "lengths", to=INT64)
    if config.mixture:
        with g.in_float32():
            row = g.lambda_row(folded.latent)
        x = g.op("Concat", g.cast(row, FLOAT, g.inside), x, axis=1)
        zero = g.op("Unsqueeze", g.op("Mul", lengths, g.ints(0)), g.ints(1))
        positions = g.op("Concat", zero, positions, axis=1)
        lengths = g.op("Add", lengths, g.ints(1))

    for block in folded.blocks[:-1]:
        attended = g.attention(g.norm(x, *block.norm1), block, positions, lengths)
        x = g.after_attention(x, attended, block)
    last = folded.blocks[-1]
    attended = g.attention(g.norm(x, *last.norm1), last, positions, lengths)
    x, attended = (g.op("Gather", g.token_rows(y), "rows") for y in (x, attended))
    x = g.after_attention(x, attended, last)
    x = g.cast(x, g.inside, FLOAT)
    with g.in_float32():
        logits = add_head(g, g.norm(x, *folded.norm), folded, embedding, len(vocabulary))
    sampled = add_sampler(g, logits, len(vocabulary))

    def token_ids(compact: str) -> str:
        if vocabulary.complete:
            return g.op("Cast", compact, to=INT32)
        filled = np.zeros(Grid.of(len(vocabulary)).columns, dtype=np.int32)
        filled[: len(vocabulary)] = vocabulary.token_ids
        return g.op("Gather", g.constant(filled, "token_ids"), compact)

    g.rename(g.op("Squeeze", token_ids(sampled.tokens), g.ints(1)), "revealed")
    g.rename(g.op("Squeeze", sampled.probabilities, g.ints(1)), "probability")
    g.rename(token_ids(sampled.alternative_tokens), "alternative_tokens")
    g.rename(sampled.alternative_probabilities, "alternative_probabilities")

    count = min(ALTERNATIVES, len(vocabulary))
    inputs = [value("tokens", INT32, ["B", "L"]), value("lengths", INT32, ["B"])]
    if config.mixture:
        inputs.append(value("lambda", FLOAT, ["B"]))
    inputs += [
        value("rows", INT32, ["R"]),
        value("coins", DOUBLE, ["R"]),
        value("temperature", FLOAT, ["R"]),
        value("top_p", FLOAT, ["R"]),
        value("top_k", INT32, ["R"]),
        value("filtered", BOOL, []),
        value("alternatives", BOOL, []),
    ]
    outputs = [
        value("revealed", INT32, ["R"]),
        value("probability", FLOAT, ["R"]),
        value("alternative_tokens", INT32, ["K_rows", count]),
        value("alternative_probabilities", FLOAT, ["K_rows", count]),
    ]
    if with_logits:
        g.rename(g.op("Slice", logits, g.ints(0), g.ints(len(vocabulary)), g.ints(1)), "logits")
        outputs.append(value("logits", FLOAT, ["R", len(vocabulary)]))
    return g.model("denoiser", inputs, outputs)


def add_head(g: DenoiserGraph, hidden: str, folded: FoldedDenoiser, embedding: str, vocabulary: int) -> str:
    """
    Logits (R, columns of the sampler's grid). Tied: the embedding's own matrix, so that the file holds it once; as int8 it is a matrix of
    its own.
    """
    filler = Grid.of(vocabulary).columns - vocabulary
    bias = np.concatenate([folded.head_bias, np.full(filler, NEVER)])
    head = folded.head
    if head is None and g.precision == "int8":
        head = folded.embedding[:vocabulary].T
    if head is not None:
        return g.linear(hidden, np.pad(head, ((0, 0), (0, filler))), bias, "head")
    real = g.op("Slice", g.computed(embedding), g.ints(0), g.ints(vocabulary), g.ints(0))
    if filler:
        real = g.op("Concat", real, g.vector(np.zeros((filler, g.config.width)), "filler"), axis=0)
    return g.op("Add", g.op("MatMul", hidden, g.op("Transpose", real, perm=[1, 0])), g.vector(bias, "head_bias"))
