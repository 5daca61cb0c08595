"""
Fetches published checkpoints.

    hf:OWNER/NAME[@REVISION]     model.safetensors (or pytorch_model.bin) and config.json of a Hugging Face repository
    zenodo:RECORD/FILE           a file of a Zenodo record

A file is kept where its checksum is the one that the site states, and not fetched again then.
"""

import hashlib
import json
import re
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tqdm import tqdm

from distill.checkpoint import WEIGHTS
from distill.safe_pickle import CheckpointError

HUGGING_FACE = "https://huggingface.co"
ZENODO = "https://zenodo.org"
CHUNK = 1 << 20
TIMEOUT_SECONDS = 60
KINDS = {64: "sha256", 40: "git"}  # of a checksum that Hugging Face states, by its digits: large files, and small ones


class NotThere(CheckpointError):
    """The site has no such file."""


def fetch(source: str, cache: Path, hugging_face: str = HUGGING_FACE, zenodo: str = ZENODO) -> Path:
    """A local path as it is; else the path of what was fetched. @raises CheckpointError: one line"""
    if match := re.fullmatch(r"hf:([^/@]+/[^/@]+)(?:@(.+))?", source):
        repository, revision = match[1], quote(match[2] or "main", safe="")
        folder = cache / repository.replace("/", "--") / revision
        return from_hugging_face(f"{hugging_face}/{repository}/resolve/{revision}", folder)
    if match := re.fullmatch(r"zenodo:(\d+)/([^/]+)", source):
        return from_zenodo(f"{zenodo}/api/records/{match[1]}", match[2], cache / f"zenodo-{match[1]}")
    if source.startswith(("hf:", "zenodo:")):
        raise CheckpointError(f"--source: expected hf:OWNER/NAME[@REVISION] or zenodo:RECORD/FILE, got {source}")
    return Path(source)


def from_hugging_face(base: str, folder: Path) -> Path:
    with suppress(NotThere):  # without it, the shapes tell nearly all
        download(f"{base}/config.json", folder / "config.json")
    for name in WEIGHTS:
        with suppress(NotThere):
            download(f"{base}/{name}", folder / name)
            return folder / name
    raise CheckpointError(f"{base}: expected {' or '.join(WEIGHTS)}, found neither")


def from_zenodo(record: str, name: str, folder: Path) -> Path:
    answer, _ = opened(record)
    with answer:
        files = {file["key"]: file for file in json.load(answer).get("files", [])}
    if name not in files:
        raise CheckpointError(f"{record}: expected one of {', '.join(sorted(files)) or 'its files'}, got {name}")
    download(files[name]["links"]["self"], folder / name, files[name]["checksum"])
    return folder / name


def download(url: str, to: Path, checksum: str | None = None) -> None:
    """checksum: as KIND:DIGITS; without it, the one that the answer states. @raises CheckpointError: one line"""
    answer, stated = opened(url)
    with answer:
        checksum = checksum or stated
        if checksum is None:
            raise CheckpointError(f"{url}: expected a checksum with it, got none")
        if to.exists() and checksum_of(to, checksum) == checksum:
            return
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = to.with_name(to.name + ".part")
        size = int(answer.headers.get("Content-Length") or 0) or None
        with partial.open("wb") as file, tqdm(total=size, desc=to.name, unit="B", unit_scale=True) as bar:
            while block := read(answer, url):
                file.write(block)
                bar.update(len(block))
    if (got := checksum_of(partial, checksum)) != checksum:
        partial.unlink()
        raise CheckpointError(f"{url}: expected the checksum {checksum}, got {got}: fetch it again")
    partial.rename(to)


class Redirects(HTTPRedirectHandler):
    """Hugging Face states a large file's checksum in the answer that leads to its storage; the storage's own answer has another tag."""

    tag: str | None = None

    def redirect_request(self, request, body, code, message, headers, address):  # type: ignore[no-untyped-def]
        self.tag = self.tag or headers.get("X-Linked-ETag")
        return super().redirect_request(request, body, code, message, headers, address)


def opened(url: str) -> tuple[Any, str | None]:
    """The answer, and the checksum that the site states. @raises CheckpointError: one line"""
    redirects = Redirects()
    try:
        request = Request(url, headers={"User-Agent": "fewstep"})
        answer = build_opener(redirects).open(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code == 404:
            raise NotThere(f"{url}: expected a file, got 404") from None
        raise CheckpointError(f"{url}: expected a file, got {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise CheckpointError(f"{url}: cannot be reached ({getattr(error, 'reason', error)})") from None
    tag = redirects.tag or answer.headers.get("X-Linked-ETag") or answer.headers.get("ETag") or ""
    digits = tag.removeprefix("W/").strip('"')
    stated = KINDS.get(len(digits)) if re.fullmatch("[0-9a-f]+", digits) else None
    return answer, f"{stated}:{digits}" if stated else None


def read(answer: Any, url: str) -> bytes:
    try:
        return answer.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise CheckpointError(f"{url}: broke off ({error})") from None


def checksum_of(file: Path, like: str) -> str:
    """Of the same kind as another, KIND:DIGITS. Git's is the SHA-1 of a file with its size before it."""
    kind = like.partition(":")[0]
    digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode()) if kind == "git" else hashlib.new(kind)
    with file.open("rb") as content:
        while block := content.read(CHUNK):
            digest.update(block)
    return f"{kind}:{digest.hexdigest()}"
