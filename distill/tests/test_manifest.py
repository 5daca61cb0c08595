import hashlib
import json
from pathlib import Path

import pytest

from distill.manifest import write_manifest

FOLDERS = [*Path("models").glob("*/model.json"), *Path("test/fixtures/models").glob("*/model.json")]


@pytest.mark.parametrize("path", FOLDERS, ids=str)
def test_a_manifest_is_written_with_the_sha256_of_all_but_these_digits(path: Path, tmp_path: Path) -> None:
    written = tmp_path / "model.json"
    write_manifest(written, json.loads(path.read_text()))
    text = written.read_text()
    checksum = json.loads(text)["checksum"]
    assert hashlib.sha256(text.replace(checksum, "").encode()).hexdigest() == checksum
    assert text == path.read_text()
