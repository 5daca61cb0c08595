"""
Fetches published checkpoints.

    hf:OWNER/NAME[@REVISION]     model.safetensors (or pytorch_model.bin) and config.json of a Hugging Face repository
    zenodo:RECORD/FILE           a file of a Zenodo record

A file that is there already with the right checksum is not fetched again.
"""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from distill.checkpoint import WEIGHTS
from distill.safe_pickle import CheckpointError

HUGGING_FACE = "https://huggingface.co"
ZENODO = "https://zenodo.org"
CHUNK = 1 << 20
TIMEOUT_SECONDS = 60


def fetch(source: str, cache: Path, hugging_face: str = HUGGING_FACE, zenodo: str = ZENODO) -> Path:
    """A local path as it is; else the path of what was fetched. @raises CheckpointError: one line"""
    if match := re.fullmatch(r"hf:([^/@]+/[^/@]+)(?:@(.+))?", source):
        repository, revision = match[1], match[2] or "main"
        folder = cache / repository.replace("/", "--") / revision
        return from_hugging_face(f"{hugging_face}/{repository}/resolve/{revision}", folder)
    if match := re.fullmatch(r"zenodo:(\d+)/([^/]+)", source):
        return from_zenodo(f"{zenodo}/api/records/{match[1]}", match[2], cache / f"zenodo-{match[1]}")
    if source.startswith(("hf:", "zenodo:")):
        raise CheckpointError(f"--source: expected hf:OWNER/NAME[@REVISION] or zenodo:RECORD/FILE, got {source}")
    return Path(source)


def from_hugging_face(base: str, folder: Path) -> Path:
    for name in WEIGHTS:
        try:
            download(f"{base}/{name}", folder / name)
            break
        except FileNotFoundError:
            continue
    else:
        raise CheckpointError(f"{base}: expected {' or '.join(WEIGHTS)}, found neither")
    with suppress(FileNotFoundError):  # without it, the shapes tell all
        download(f"{base}/config.json", folder / "config.json")
    return folder


def from_zenodo(record: str, name: str, folder: Path) -> Path:
    with opened(record) as answer:
        files = {file["key"]: file for file in json.load(answer)["files"]}
    if name not in files:
        raise CheckpointError(f"{record}: expected one of {', '.join(sorted(files))}, got {name}")
    checksum = files[name]["checksum"].removeprefix("md5:")
    download(files[name]["links"]["self"], folder / name, checksum, "md5")
    return folder / name


def download(url: str, to: Path, checksum: str | None = None, kind: str = "sha256") -> None:
    """@raises FileNotFoundError: where the address has nothing"""
    with opened(url) as answer:
        linked = (answer.headers.get("X-Linked-ETag") or answer.headers.get("ETag") or "").strip('"')
        if checksum is None and re.fullmatch(r"[0-9a-f]{64}", linked):
            checksum = linked  # Hugging Face names large files by their SHA-256
        if to.exists() and checksum and digest_of(to, kind) == checksum:
            return
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = to.with_name(to.name + ".part")
        size = int(answer.headers.get("Content-Length") or 0) or None
        with partial.open("wb") as file, tqdm(total=size, desc=to.name, unit="B", unit_scale=True) as bar:
            while block := answer.read(CHUNK):
                file.write(block)
                bar.update(len(block))
    if checksum and (got := digest_of(partial, kind)) != checksum:
        partial.unlink()
        raise CheckpointError(f"{url}: expected the {kind} {checksum}, got {got}: fetch it again")
    partial.rename(to)


def opened(url: str):
    try:
        return urlopen(Request(url, headers={"User-Agent": "fewstep"}), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code == 404:
            raise FileNotFoundError(url) from None
        raise CheckpointError(f"{url}: expected the file, got {error.code} {error.reason}") from None
    except (URLError, OSError) as error:
        raise CheckpointError(f"{url}: cannot be reached ({getattr(error, 'reason', error)})") from None


def digest_of(file: Path, kind: str) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, kind).hexdigest()
