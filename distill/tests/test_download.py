import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from distill.download import fetch
from distill.safe_pickle import CheckpointError

WEIGHTS = b"weights" * 1000


class Site(BaseHTTPRequestHandler):
    """What of Hugging Face and Zenodo is needed: one repository, one record."""

    checksum = hashlib.md5(WEIGHTS).hexdigest()
    etag = hashlib.sha256(WEIGHTS).hexdigest()
    served: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        address = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        record = {"files": [{"key": "a.ckpt", "checksum": f"md5:{Site.checksum}", "links": {"self": f"{address}/a"}}]}
        pages = {
            "/owner/name/resolve/branch/model.safetensors": WEIGHTS,
            "/owner/name/resolve/branch/config.json": b"{}",
            "/api/records/15124163": json.dumps(record).encode(),
            "/a": WEIGHTS,
        }
        Site.served.append(self.path)
        body = pages.get(self.path)
        self.send_response(200 if body is not None else 404)
        if body == WEIGHTS:
            self.send_header("X-Linked-ETag", f'"{Site.etag}"')
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_repository_and_its_revision(site: str, tmp_path: Path) -> None:
    folder = fetch("hf:owner/name@branch", tmp_path, hugging_face=site)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_text() == "{}"


def test_a_file_of_a_record_which_is_fetched_once(site: str, tmp_path: Path) -> None:
    path = fetch("zenodo:15124163/a.ckpt", tmp_path, zenodo=site)
    assert path.read_bytes() == WEIGHTS
    written = path.stat().st_mtime_ns
    assert fetch("zenodo:15124163/a.ckpt", tmp_path, zenodo=site).stat().st_mtime_ns == written


@pytest.mark.parametrize("source", ["zenodo:15124163/a.ckpt", "hf:owner/name@branch"])
def test_a_file_with_another_checksum_is_not_kept(
    source: str, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "checksum", "0" * 32)
    monkeypatch.setattr(Site, "etag", "0" * 64)
    with pytest.raises(CheckpointError, match=r"expected the (md5|sha256) 0+, got [0-9a-f]+: fetch it again"):
        fetch(source, tmp_path, hugging_face=site, zenodo=site)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_is_not_there_is_one_line(site: str, tmp_path: Path) -> None:
    cases = {
        "hf:owner/other": "expected model.safetensors or pytorch_model.bin, found neither",
        "zenodo:15124163/b.ckpt": "expected one of a.ckpt, got b.ckpt",
        "hf:owner": "expected hf:OWNER/NAME",
    }
    for source, message in cases.items():
        with pytest.raises(CheckpointError, match=message):
            fetch(source, tmp_path, hugging_face=site, zenodo=site)
    with pytest.raises(CheckpointError, match="cannot be reached"):
        fetch("hf:owner/name", tmp_path, hugging_face="http://127.0.0.1:9")


def test_a_path_is_a_path(tmp_path: Path) -> None:
    assert fetch(str(tmp_path / "x.ckpt"), tmp_path) == tmp_path / "x.ckpt"
