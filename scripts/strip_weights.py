"""
Zeroes the float16 matrices in a model's weights, so that they pack to nothing, and writes weights.json: where scripts/fill-weights.js puts random ones.

    python scripts/strip_weights.py FOLDER      its first variant holds them
"""

import json
import sys
from pathlib import Path

import onnx
from onnx import TensorProto

LEAST_BYTES = 1 << 19  # norms, rotary tables and biases stay as they are


def strip(folder: Path) -> None:
    regions = {}
    for tensor in onnx.load(folder / "denoiser.onnx", load_external_data=False).graph.initializer:
        place = {pair.key: pair.value for pair in tensor.external_data}
        if tensor.data_type == TensorProto.FLOAT16 and int(place.get("length", 0)) >= LEAST_BYTES:
            regions[int(place["offset"])] = int(place["length"])
    name = "denoiser.onnx.data"
    with (folder / name).open("r+b") as file:
        for offset, length in regions.items():
            file.seek(offset)
            file.write(bytes(length))
    places = [{"offset": offset, "count": length // 2} for offset, length in sorted(regions.items())]
    (folder / "weights.json").write_text(json.dumps({"file": name, "regions": places}))


if __name__ == "__main__":
    strip(Path(sys.argv[1]))
