"""
int8 weights, and products with them (ONNX Runtime's MatMulNBits, for CPUs).

Weights have a scale for each column and each 32 of their rows. Activations are quantised as they come, each row by itself and 32 at a time
(accuracy level 4), so no neighbour in a batch can change a row: with blocks of 32 a row came out the same to the bit alone and in batches. With blocks
of 128 products are a quarter faster, but a row alone differs; with one scale a tensor (DynamicQuantizeLinear) neighbours change it.
"""

import numpy as np

from distill.graph import Graph

BLOCK = 32
LEVELS = 127


def fits(weight: np.ndarray) -> bool:
    """(K, N) with whole blocks."""
    return weight.shape[0] % BLOCK == 0


def quantise(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, N) to levels (N, K / 32, 32) uint8 around 128, and scales (N, K / 32) float32."""
    blocks = weight.T.reshape(weight.shape[1], -1, BLOCK).astype(np.float32)
    scales = np.maximum(np.abs(blocks).max(-1), np.finfo(np.float32).tiny) / LEVELS
    levels = np.rint(blocks / scales[..., None]) + 128
    return levels.astype(np.uint8), scales


def int8_product(graph: Graph, x: str, weight: np.ndarray, hint: str) -> str:
    """x @ weight: (..., K) to (..., N)."""
    levels, scales = quantise(weight)
    rows, columns = weight.shape
    inputs = (x, graph.constant(levels, hint), graph.constant(scales, hint + "_scales"))
    layout = {"K": rows, "N": columns, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
    return graph.op("MatMulNBits", *inputs, domain="com.microsoft", **layout)
