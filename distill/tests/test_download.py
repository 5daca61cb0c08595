import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from distill.download import fetch
from distill.safe_pickle import CheckpointError

WEIGHTS = b"weights" * 1000
CONFIG = b'{"n_heads": 12}'


class Site(BaseHTTPRequestHandler):
    """
    What of Hugging Face and Zenodo is needed: one repository, one record. Large files lie in a storage: the answer that leads there
    states the checksum, the storage has a tag of its own.
    """

    md5 = hashlib.md5(WEIGHTS).hexdigest()
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    git = hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG).hexdigest()
    sent = len(WEIGHTS)

    def do_GET(self) -> None:
        address = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        record = {"files": [{"key": "a.ckpt", "checksum": f"md5:{Site.md5}", "links": {"self": f"{address}/storage"}}]}
        match self.path:
            case "/owner/name/resolve/branch/model.safetensors":
                self.answer(302, b"", {"X-Linked-ETag": f'"{Site.sha256}"', "Location": "/storage"})
            case "/owner/name/resolve/branch/config.json":
                self.answer(200, CONFIG, {"ETag": f'W/"{Site.git}"'})
            case "/owner/bare/resolve/main/model.safetensors":
                self.answer(200, WEIGHTS, {"ETag": '"41a0e564-64"'})
            case "/owner/closed/resolve/main/config.json":
                self.answer(401, b"", {})
            case "/api/records/15124163":
                self.answer(200, json.dumps(record).encode(), {})
            case "/api/records/7":
                self.answer(200, b"{}", {})
            case "/storage":
                self.answer(200, WEIGHTS[: Site.sent], {"ETag": '"41a0e564-64"', "Content-Length": str(len(WEIGHTS))})
            case _:
                self.answer(404, b"", {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        with suppress(OSError):  # the client may have read enough
            self.wfile.write(body)

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
    path = fetch("hf:owner/name@branch", tmp_path, hugging_face=site)
    assert path.read_bytes() == WEIGHTS
    assert path.with_name("config.json").read_bytes() == CONFIG


def test_a_file_of_a_record(site: str, tmp_path: Path) -> None:
    assert fetch("zenodo:15124163/a.ckpt", tmp_path, zenodo=site).read_bytes() == WEIGHTS


def fetch_any(source: str, cache: Path, site: str) -> Path:
    return fetch(source, cache, hugging_face=site, zenodo=site)


SOURCES = ["zenodo:15124163/a.ckpt", "hf:owner/name@branch"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_is_fetched_once_and_again_where_it_changed(source: str, site: str, tmp_path: Path) -> None:
    path = fetch_any(source, tmp_path, site)
    written = path.stat().st_mtime_ns
    assert fetch_any(source, tmp_path, site).stat().st_mtime_ns == written
    path.write_bytes(b"changed")
    assert fetch_any(source, tmp_path, site).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("source", "stated"),
    [(SOURCES[0], "md5"), (SOURCES[1], "sha256"), (SOURCES[1], "git")],
)
def test_a_file_with_another_checksum_is_not_kept(
    source: str, stated: str, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, stated, "0" * len(getattr(Site, stated)))
    with pytest.raises(CheckpointError, match=rf"expected the checksum {stated}:0+, got {stated}:\w+: fetch it again"):
        fetch_any(source, tmp_path, site)
    kept = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert kept == (["config.json"] if stated == "sha256" else [])


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_that_breaks_off_is_not_kept(
    source: str, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "sent", 500)
    with pytest.raises(CheckpointError, match="fetch it again"):
        fetch_any(source, tmp_path, site)
    assert not [path for path in tmp_path.rglob("*") if path.name not in ("config.json", *FOLDERS)]


FOLDERS = ("zenodo-15124163", "owner--name", "branch")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf:owner/other", "expected model.safetensors or pytorch_model.bin, found neither"),
        ("hf:owner/bare", "expected a checksum with it, got none"),
        ("hf:owner/closed", "expected a file, got 401"),
        ("zenodo:15124163/b.ckpt", "expected one of a.ckpt, got b.ckpt"),
        ("zenodo:7/a.ckpt", "expected one of its files, got a.ckpt"),
        ("zenodo:8/a.ckpt", "expected a file, got 404"),
        ("hf:owner", "expected hf:OWNER/NAME"),
        ("zenodo:a.ckpt", "or zenodo:RECORD/FILE, got zenodo:a.ckpt"),
    ],
)
def test_what_is_not_there_is_one_line(source: str, message: str, site: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message) as refusal:
        fetch_any(source, tmp_path, site)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("source", SOURCES)
def test_without_a_network_there_is_one_line(source: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^http://127.0.0.1:9/\S+: cannot be reached \([^\n]+\)$"):
        fetch_any(source, tmp_path, "http://127.0.0.1:9")


def test_a_path_is_a_path(tmp_path: Path) -> None:
    assert fetch(str(tmp_path / "x.ckpt"), tmp_path) == tmp_path / "x.ckpt"
