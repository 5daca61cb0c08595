"""
int8 weights, and products with them (ONNX Runtime's MatMulNBits, for CPUs).

Weights have a scale for each column and each 32 of their rows. Activations are quantised as they come, each row by itself and 32 at a time
(accuracy level 4), so no neighbour in a batch can change a row. Measured, 768 x 2304, one row and 256 rows, on AVX-512 with VNNI:

    float32                   0.09 ms    8.3 ms
    blocks of 32, level 4     0.04 ms    6.2 ms    a row is the same to the bit alone and among any number of rows
    blocks of 128, level 4    0.03 ms    4.7 ms    an odd number of rows gives others
    blocks of 128, level 0    3.1 ms    11.8 ms    expands the weights at every call, and a row alone differs

With one scale a tensor (DynamicQuantizeLinear) neighbours change a row. Its integer product saturates on AVX2 unless session.x64quantprecision is
set; MatMulNBits has kernels of its own, which that setting does not reach and which add pairs of at most 127 x 127, so it is not set. Blocks of 32 at level 4 hold to the bit on AVX2 without VNNI too
(emulated); on processors with AVX and no AVX2 (before 2013) a row alone differs from the same row among others.
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
