"""Random generators of PyTorch, one for each purpose of a seed."""

import torch

from upgate.seeds import derive


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A new CPU generator for this purpose; the global generator is neither read nor advanced."""
    return torch.Generator().manual_seed(derive(seed, *purpose))
