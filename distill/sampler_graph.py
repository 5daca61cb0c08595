"""
The sampler as a part of the graph: logits and one coin a row to one token a row.

A row's tokens get weights exp((logit - max) / temperature) as whole multiples of 2^-40, and the coin picks one by inverse
CDF on 64-bit integers: exact sums, the same in every order and on every device. The CDF has two levels (blocks, then inside
the block), because a cumulative sum over a whole vocabulary is slow on a GPU. top-k and top-p act as a threshold on the weights,
so that a row which filters nothing keeps its weights whatever its neighbours ask; ties at the threshold stay.
"""

import math
from dataclasses import dataclass

import numpy as np

from distill.graph import DOUBLE, FLOAT, INT64, Graph

ALTERNATIVES = 5
UNIT = 2.0**40
NEVER = -1e30  # logit of a column that only fills the grid


@dataclass(frozen=True, slots=True)
class Grid:
    """The vocabulary, padded to blocks x size for the two-level CDF."""

    blocks: int
    size: int

    @classmethod
    def of(cls, vocabulary: int) -> "Grid":
        size = max(1, math.isqrt(vocabulary))
        return cls(-(-vocabulary // size), size)

    @property
    def columns(self) -> int:
        return self.blocks * self.size


@dataclass(frozen=True, slots=True)
class Sampled:
    """Names of the sampler's results. Tokens are compact ids."""

    tokens: str  # int64 (R, 1)
    probabilities: str  # float32 (R, 1)
    alternative_tokens: str  # int64 (R, K), (0, K) when not asked for
    alternative_probabilities: str  # float32 (R, K)


def add_sampler(g: Graph, logits: str, vocabulary: int) -> Sampled:
    """
    Appends the sampler to a graph with the inputs coins, temperature, top_p, top_k (R), filtered, alternatives ().

    logits: float32 (R, columns of Grid.of(vocabulary)), columns past the vocabulary NEVER.
    """
    grid = Grid.of(vocabulary)
    last = g.ints(-1)
    temperature = g.op("Unsqueeze", "temperature", last)
    greedy = g.op("Equal", temperature, g.constant(np.zeros(1, np.float32)))
    divisor = g.op("Where", greedy, g.constant(np.ones(1, np.float32)), temperature)
    highest, likeliest = g.ops("TopK", logits, g.ints(1), outputs=2, axis=-1)
    below = g.op("Sub", logits, highest)
    plain = g.op("Exp", below)  # (R, columns), the plain distribution times its sum
    plain_sum = add_fixed_point_sum(g, plain)
    tempered = g.op("Exp", g.op("Div", below, divisor))
    weights = add_fixed_point(g, tempered)
    threshold = g.op("If", "filtered", then_branch=threshold_branch(weights, grid), else_branch=no_threshold_branch())
    kept = g.op("Where", g.op("GreaterOrEqual", weights, threshold), weights, g.ints(0))
    drawn = add_inverse_cdf(g, kept, grid)
    tokens = g.op("Where", greedy, likeliest, drawn)
    probabilities = g.op("Div", g.op("GatherElements", plain, tokens, axis=1), plain_sum)
    count = min(ALTERNATIVES, vocabulary)
    alternatives = g.ops(
        "If",
        "alternatives",
        outputs=2,
        then_branch=alternatives_branch(plain, plain_sum, count),
        else_branch=no_alternatives_branch(count),
    )
    return Sampled(tokens, probabilities, *alternatives)


def add_fixed_point_sum(g: Graph, values: str) -> str:
    """Sum of each row, float32 (R, 1). Summed as integers, so that it is the same to the bit however many rows there are."""
    whole = g.op("ReduceSum", add_fixed_point(g, values), g.ints(-1), keepdims=1)
    return g.op("Div", g.op("Cast", whole, to=FLOAT), g.constant(np.full(1, UNIT, np.float32)))


def add_fixed_point(g: Graph, values: str) -> str:
    return g.op("Cast", g.op("Mul", values, g.constant(np.full(1, UNIT, np.float32))), to=INT64)


def add_inverse_cdf(g: Graph, weights: str, grid: Grid) -> str:
    """The column where the cumulative weight first exceeds coin x total: int64 (R, columns) to int64 (R, 1)."""
    table = g.op("Reshape", weights, g.ints(0, grid.blocks, grid.size))
    sums = g.op("ReduceSum", table, g.ints(2), keepdims=0)  # (R, blocks)
    upto = g.op("CumSum", sums, g.constant(np.int64(1)))
    total = g.op("Gather", upto, g.ints(grid.blocks - 1), axis=1)  # (R, 1)
    coins = g.op("Unsqueeze", "coins", g.ints(-1))
    share = g.op("Floor", g.op("Mul", coins, g.op("Cast", total, to=DOUBLE)))
    target = g.op("Min", g.op("Cast", share, to=INT64), g.op("Sub", total, g.ints(1)))
    block = count_not_above(g, upto, target)
    before = g.op("GatherElements", g.op("Sub", upto, sums), block, axis=1)
    index = g.op("Expand", g.op("Unsqueeze", block, g.ints(2)), g.ints(1, 1, grid.size))
    inside = g.op("Squeeze", g.op("GatherElements", table, index, axis=1), g.ints(1))  # (R, size)
    within = count_not_above(g, g.op("Add", g.op("CumSum", inside, g.constant(np.int64(1))), before), target)
    return g.op("Add", g.op("Mul", block, g.ints(grid.size)), within)


def count_not_above(g: Graph, ascending: str, target: str) -> str:
    """How many of a row's values are at most the target: (R, n), (R, 1) to int64 (R, 1)."""
    return g.op("ReduceSum", g.op("Cast", g.op("LessOrEqual", ascending, target), to=INT64), g.ints(1), keepdims=1)


def threshold_branch(weights: str, grid: Grid):
    """The least weight that a row's top_k and top_p keep, int64 (R, 1)."""
    g = Graph("filter_")
    columns = g.ints(grid.columns)
    descending = g.ops("TopK", weights, columns, outputs=2, axis=-1)[0]
    before, total = add_exclusive_sums(g, descending, grid)
    top_p = g.op("Cast", g.op("Unsqueeze", "top_p", g.ints(-1)), to=DOUBLE)
    enough = g.op("Mul", top_p, g.op("Cast", total, to=DOUBLE))
    in_top_p = g.op("Less", g.op("Cast", before, to=DOUBLE), enough)
    top_k = g.op("Cast", g.op("Unsqueeze", "top_k", g.ints(-1)), to=INT64)
    limit = g.op("Where", g.op("Equal", top_k, g.ints(0)), columns, top_k)
    rank = g.constant(np.arange(grid.columns, dtype=np.int64)[None])
    kept = g.op("Cast", g.op("And", in_top_p, g.op("Less", rank, limit)), to=INT64)
    count = g.op("ReduceSum", kept, g.ints(1), keepdims=1)
    g.rename(g.op("GatherElements", descending, g.op("Sub", count, g.ints(1)), axis=1), "filter_threshold")
    return g.branch("filter", [("filter_threshold", INT64)])


def add_exclusive_sums(g: Graph, weights: str, grid: Grid) -> tuple[str, str]:
    """Sum of the weights before each column (R, columns), and of all (R, 1), in two levels."""
    table = g.op("Reshape", weights, g.ints(0, grid.blocks, grid.size))
    sums = g.op("ReduceSum", table, g.ints(2), keepdims=1)  # (R, blocks, 1)
    before_block = g.op("CumSum", sums, g.constant(np.int64(1)), exclusive=1)
    inside = g.op("CumSum", table, g.constant(np.int64(2)), exclusive=1)
    before = g.op("Reshape", g.op("Add", inside, before_block), g.ints(0, grid.columns))
    return before, g.op("ReduceSum", weights, g.ints(1), keepdims=1)


def no_threshold_branch():
    g = Graph("no_filter_")
    g.rename(g.constant(np.zeros((1, 1), dtype=np.int64)), "no_filter_threshold")
    return g.branch("no_filter", [("no_filter_threshold", INT64)])


def alternatives_branch(plain: str, plain_sum: str, count: int):
    g = Graph("alternatives_")
    highest, tokens = g.ops("TopK", plain, g.ints(count), outputs=2, axis=-1)
    g.rename(tokens, "alternatives_tokens")
    g.rename(g.op("Div", highest, plain_sum), "alternatives_probabilities")
    return g.branch("alternatives", [("alternatives_tokens", INT64), ("alternatives_probabilities", FLOAT)])


def no_alternatives_branch(count: int):
    g = Graph("no_alternatives_")
    g.rename(g.constant(np.zeros((0, count), dtype=np.int64)), "no_alternatives_tokens")
    g.rename(g.constant(np.zeros((0, count), dtype=np.float32)), "no_alternatives_probabilities")
    return g.branch("no_alternatives", [("no_alternatives_tokens", INT64), ("no_alternatives_probabilities", FLOAT)])
