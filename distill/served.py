"""Texts from the real server: a child process of its own, asked over HTTP."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from tqdm import tqdm

CLI = Path(__file__).parents[1] / "dist" / "cli.js"
READY_SECONDS = 60
REQUEST_SECONDS = 1800

open_url = build_opener(ProxyHandler({})).open  # a proxy does not know the server of this machine


@contextmanager
def server(folders: list[str], *flags: str) -> Iterator[str]:
    """The address of a server of these model folders; the server ends with the block, whatever ends it."""
    node = shutil.which("node")
    if node is None or not CLI.exists():
        sys.exit("expected node and dist/cli.js, which `npm run build` makes; or give --url")
    models = [part for folder in folders for part in ("--model", folder)]
    command = [node, str(CLI), "serve", *models, "--port", "0", "--log-level", "error", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield address(child)
        finally:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


def address(child: "subprocess.Popen[str]") -> str:
    """As the first line that the server prints says it. What went wrong it has said on standard error."""
    assert child.stdout is not None
    line = child.stdout.readline()
    if " at http" not in line:
        sys.exit("the server did not start")
    return line.rsplit(" ", 1)[1].strip()


def wait_until_ready(url: str) -> dict[str, Any]:
    """What /health/ready says once it says yes."""
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with open_url(f"{url}/health/ready", timeout=10) as answer:
                return json.load(answer)
        except (URLError, OSError) as error:
            if time.monotonic() > end:
                sys.exit(f"{url}/health/ready: expected 200 within {READY_SECONDS} s, got {error}")
            time.sleep(0.2)


def complete(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The one choice of a completion. A server that is busy is asked again when it says."""
    request = Request(
        f"{url}/v1/completions", data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    while True:
        try:
            with open_url(request, timeout=REQUEST_SECONDS) as answer:
                return json.load(answer)["choices"][0]
        except HTTPError as error:
            if error.code not in (429, 503):
                sys.exit(f"{url}/v1/completions: {error.code} {error.read().decode()}")
            time.sleep(float(error.headers.get("retry-after-ms", 1000)) / 1000)


def complete_all(url: str, bodies: list[dict[str, Any]], in_flight: int, progress: str) -> list[dict[str, Any]]:
    """One choice a body, in their order."""
    with ThreadPoolExecutor(in_flight) as threads:
        choices = threads.map(lambda body: complete(url, body), bodies)
        return list(tqdm(choices, total=len(bodies), desc=progress, unit=" texts"))
