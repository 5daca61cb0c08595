"""Which optimizer trains which weights."""

import torch
from torch import Tensor

from distill.denoiser import Denoiser


def optimizers_for(model: Denoiser, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, which it trains in fewer steps; AdamW for embedding, head and the rest."""
    matrices = [p for name, p in model.named_parameters() if is_block_matrix(name, p)]
    others = [p for name, p in model.named_parameters() if not is_block_matrix(name, p)]
    return [
        torch.optim.Muon(matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def is_block_matrix(name: str, parameter: Tensor) -> bool:
    return name.startswith("blocks.") and parameter.ndim == 2 and "adaLN" not in name
