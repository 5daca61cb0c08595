"""Writes `model.json` with its checksum, so that a server notices when it has changed by itself.

python -m distill.manifest FOLDER...     # anew, after an edit by hand
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """The checksum is the SHA-256 of the file without the checksum's own digits."""
    bare = json.dumps(manifest | {"checksum": ""}, indent=2) + "\n"
    digest = hashlib.sha256(bare.encode()).hexdigest()
    path.write_text(bare.replace('"checksum": ""', f'"checksum": "{digest}"'))


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        file = Path(folder, "model.json")
        write_manifest(file, json.loads(file.read_text()))
