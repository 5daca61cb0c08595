"""
A graph as files, the way the manifest lists them.

Large constants go into the weights file as the graph is built, so that the graph never holds them: protobuf writes no more than 2 GiB, and each of
its messages copies what it is given.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INLINE_BYTES = 1 << 20  # smaller models are one file
EXTERNAL_BYTES = 1 << 10  # smaller constants stay in the graph
PAGE = 4096  # weights begin on pages, for ONNX Runtime to map them


# Where a constant lies, by its content: the variants of a model share what they hold alike.
Written = dict[bytes, tuple[str, int]]


def write_graph(
    build: Callable[..., onnx.ModelProto], folder: Path, name: str = "denoiser.onnx", written: Written | None = None
) -> list[dict[str, Any]]:
    """
    Writes what build(store=...) makes, large ones with their weights in a file beside it. Returns the manifest's entries.

    written: what graphs written before hold, which this one refers to; what it holds is added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, weights = folder / name, folder / f"{name}.data"
    written = {} if written is None else written
    with weights.open("wb") as file:
        model = build(store=partial(store, file, weights.name, written))
    onnx.save_model(model, path)
    used = locations(model)
    if used <= {weights.name} and weights.stat().st_size <= INLINE_BYTES:
        onnx.save_model(onnx.load(path), path)  # loading takes the weights in
        for digest in [digest for digest, (location, _) in written.items() if location == weights.name]:
            del written[digest]
        used = set()
    if weights.name not in used:
        weights.unlink()
    onnx.checker.check_model(path)
    return [entry(folder / file) for file in (name, *sorted(used))]


def locations(model: onnx.ModelProto) -> set[str]:
    """The files that hold the constants of a graph."""
    places = (pair for tensor in model.graph.initializer for pair in tensor.external_data)
    return {pair.value for pair in places if pair.key == "location"}


def store(file: BinaryIO, location: str, written: Written, array: np.ndarray, name: str) -> TensorProto:
    if array.nbytes < EXTERNAL_BYTES:
        return numpy_helper.from_array(array, name)
    digest = hashlib.blake2b(array.data, key=array.dtype.str.encode()).digest()
    if digest not in written:
        file.write(bytes(-file.tell() % PAGE))
        written[digest] = (location, file.tell())
        file.write(array.data)
    location, offset = written[digest]
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, dims=array.shape, data_type=kind, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", array.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def entry(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"path": file.name, "bytes": file.stat().st_size, "sha256": digest}
