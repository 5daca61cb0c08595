"""Held-out documents, from the rows that distill.data writes."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from distill.vocabulary import END_OF_TEXT


def documents(path: Path) -> list[list[int]]:
    """
    Whole documents as GPT-2 ids.

    Rows one after the other are the text they were cut from, so documents that were cut are whole again. What comes before the first
    end-of-text token has lost its start, what comes after the last one its end.
    """
    tokens = np.load(path).astype(np.int64).ravel()
    ends = np.flatnonzero(tokens == END_OF_TEXT)
    parts = [tokens[start + 1 : end].tolist() for start, end in pairwise(ends)]
    return [part for part in parts if part]


def split_documents(path: str, prefix: int, tokens: int, count: int) -> list[tuple[list[int], list[int]]]:
    """Up to `count` documents, each as its first `prefix` tokens and at most `tokens` that follow them."""
    whole = [document for document in documents(Path(path)) if len(document) > prefix]
    if not whole:
        sys.exit(f"--prompts: expected documents of more than {prefix} tokens, got none in {path}")
    return [(document[:prefix], document[prefix : prefix + tokens]) for document in whole[:count]]
