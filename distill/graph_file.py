"""A graph as files, the way the manifest lists them."""

import hashlib
from pathlib import Path
from typing import Any

import onnx

INLINE_BYTES = 1 << 20  # smaller models are one file


def write_graph(graph: onnx.ModelProto, folder: Path, name: str = "denoiser.onnx") -> list[dict[str, Any]]:
    """Writes the graph, large ones with their weights in a file beside it. Returns the manifest's entries."""
    folder.mkdir(parents=True, exist_ok=True)
    path, weights = folder / name, folder / f"{name}.data"
    for old in (path, weights):
        old.unlink(missing_ok=True)  # onnx appends to a weights file that is there
    large = graph.ByteSize() > INLINE_BYTES
    onnx.save_model(graph, path, save_as_external_data=large, location=weights.name, size_threshold=1024)
    onnx.checker.check_model(path)
    if large:
        weights.chmod(0o644)  # onnx makes it readable to its owner alone
    return [entry(file) for file in (path, weights) if file.exists()]


def entry(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"path": file.name, "bytes": file.stat().st_size, "sha256": digest}
