"""
Text files to rows of token ids.

    python -m distill.data --corpus=DIR --sources=stories.tinystories --out=data/

reads DIR/<source>.txt.xz (or .txt), documents separated by a line `<|endoftext|>`, and DIR/<source>.valid.txt.xz (where there is
none, the last twentieth of the text is held out), and writes train.npy and valid.npy (rows, context) of GPT-2 ids as uint16 and vocabulary.npy (the ids that occur in train).

A row is what the server lays out: 50256, a document from its start, 50256, the next one, up to the context. A document that
does not fit goes on in a row of its own that starts in the middle, as the later windows of a long text do.
"""

import lzma
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from distill.config import parse_arguments
from distill.vocabulary import END_OF_TEXT, Vocabulary

SEPARATOR = "\n<|endoftext|>\n"


@dataclass(slots=True)
class DataConfig:
    corpus: str
    out: str
    sources: str = "stories.tinystories"  # comma-separated; NAME:N repeats a source N times
    context: int = 256
    tokenizer: str = "models/tokenizers/gpt2/tokenizer.json"


def read_documents(path: Path) -> list[str]:
    text = (lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()).decode("utf-8")
    return [document.strip() for document in text.split(SEPARATOR) if document.strip()]


def rows(documents: Iterator[list[int]], context: int) -> Iterator[list[int]]:
    """Rows of exactly `context` ids; the last one is dropped when it is not full."""
    row: list[int] = []
    for document in documents:
        row.append(END_OF_TEXT)
        start = 0
        while len(row) + len(document) - start >= context:
            end = start + context - len(row)
            yield row + document[start:end]
            row, start = [], end
        row += document[start:]


def tokenize(path: Path, tokenizer: Tokenizer) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(read_documents(path))]


def hold_out(documents: list[list[int]], tokens: int) -> list[list[int]]:
    """Takes so many tokens off the end; a document that lies across the cut becomes two."""
    held: list[list[int]] = []
    while tokens > 0 and documents:
        document = documents.pop()
        kept = max(0, len(document) - tokens)
        if kept:
            documents.append(document[:kept])
        held.append(document[kept:])
        tokens -= len(document) - kept
    return held[::-1]


def find(corpus: Path, name: str) -> Path | None:
    return next((path for suffix in (".txt.xz", ".txt") if (path := corpus / (name + suffix)).exists()), None)


def prepare(config: DataConfig) -> None:
    tokenizer = Tokenizer.from_file(config.tokenizer)
    corpus, out = Path(config.corpus), Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    train: list[list[int]] = []
    valid: list[list[int]] = []
    for source in config.sources.split(","):
        name, _, times = source.partition(":")
        path, held_out = find(corpus, name), find(corpus, name + ".valid")
        if path is None:
            sys.exit(f"--sources: expected {name}.txt.xz or {name}.txt in {corpus}, found neither")
        documents = tokenize(path, tokenizer)
        tokens = sum(map(len, documents))
        if tokens < 2 * config.context:
            sys.exit(f"{path}: expected a text of at least {2 * config.context} tokens, got {tokens}")
        valid += tokenize(held_out, tokenizer) if held_out else hold_out(documents, max(config.context, tokens // 20))
        train += documents * int(times or 1)
    order = np.random.default_rng(0).permutation(len(train))
    train_rows = np.array(list(rows((train[i] for i in order), config.context)), dtype=np.uint16)
    valid_rows = np.array(list(rows(iter(valid), config.context)), dtype=np.uint16).reshape(-1, config.context)
    if not len(valid_rows):
        sys.exit(f"{config.sources}.valid: expected a held-out text of at least {config.context} tokens, got less")
    vocabulary = Vocabulary.of(train_rows)
    np.save(out / "train.npy", train_rows)
    np.save(out / "valid.npy", valid_rows)
    vocabulary.save(out / "vocabulary.npy")
    print(f"{train_rows.size:,} training tokens, {valid_rows.size:,} held out, {len(vocabulary):,} distinct")


if __name__ == "__main__":
    prepare(parse_arguments(DataConfig))
