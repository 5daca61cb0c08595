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


def write_graph(
    build: Callable[..., onnx.ModelProto], folder: Path, name: str = "denoiser.onnx"
) -> list[dict[str, Any]]:
    """Writes what build(store=...) makes, large ones with their weights in a file beside it. Returns the manifest's entries."""
    folder.mkdir(parents=True, exist_ok=True)
    path, weights = folder / name, folder / f"{name}.data"
    with weights.open("wb") as file:
        onnx.save_model(build(store=partial(store, file, weights.name)), path)
    if weights.stat().st_size <= INLINE_BYTES:
        onnx.save_model(onnx.load(path), path)  # loading takes the weights in
        weights.unlink()
    onnx.checker.check_model(path)
    return [entry(file) for file in (path, weights) if file.exists()]


def store(file: BinaryIO, location: str, array: np.ndarray, name: str) -> TensorProto:
    if array.nbytes < EXTERNAL_BYTES:
        return numpy_helper.from_array(array, name)
    file.write(bytes(-file.tell() % PAGE))
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, dims=array.shape, data_type=kind, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", file.tell()), ("length", array.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    file.write(array.data)
    return tensor


def entry(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"path": file.name, "bytes": file.stat().st_size, "sha256": digest}
