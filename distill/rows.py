"""The training rows, in an order that is a function of seed and step: a run that resumes sees what it would have seen."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.vocabulary import Vocabulary


class Rows:
    """Rows of compact ids, each once an epoch."""

    def __init__(self, data: Path, vocabulary: Vocabulary, seed: int) -> None:
        self.rows = vocabulary.token_index[np.load(data / "train.npy").astype(np.int64)]
        self.seed = seed

    def batch(self, step: int, size: int) -> Tensor:
        """The rows of a step: (size, context)."""
        epochs, places = np.divmod(np.arange(step * size, (step + 1) * size), len(self.rows))
        orders = {epoch: np.random.default_rng((self.seed, epoch)).permutation(len(self.rows)) for epoch in set(epochs)}
        chosen = [orders[epoch][place] for epoch, place in zip(epochs, places, strict=True)]
        return torch.from_numpy(self.rows[chosen]).long()
