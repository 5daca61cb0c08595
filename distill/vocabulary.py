"""
The trained vocabulary: the GPT-2 ids that occur in the training text, in ascending order.

A small corpus uses a part of GPT-2's 50,257 tokens. The maximum-likelihood probability of the others is 0, so they get
no rows: the network works on compact ids 0..V-1 (mask: V), and the exported graph translates at its border.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIZE = 50257  # GPT-2
MASK = 50257
END_OF_TEXT = 50256  # begins and ends texts


@dataclass(frozen=True, slots=True)
class Vocabulary:
    token_ids: np.ndarray  # (V,) int32, GPT-2 ids in ascending order

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def complete(self) -> bool:
        return len(self) == SIZE

    @property
    def token_index(self) -> np.ndarray:
        """(50258,) int32: GPT-2 id to compact id. A token never seen is as good as unknown, which is what the mask says."""
        index = np.full(SIZE + 1, len(self), dtype=np.int32)
        index[self.token_ids] = np.arange(len(self), dtype=np.int32)
        return index

    @classmethod
    def of(cls, tokens: np.ndarray) -> "Vocabulary":
        return cls(np.unique(tokens).astype(np.int32))

    @classmethod
    def all(cls) -> "Vocabulary":
        return cls(np.arange(SIZE, dtype=np.int32))

    def save(self, path: Path) -> None:
        np.save(path, self.token_ids)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        return cls(np.load(path))
