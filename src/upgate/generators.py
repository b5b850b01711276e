"""Random generators of PyTorch, one for each purpose of a seed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from upgate.seeds import derive


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A new CPU generator for this purpose; the global generator is neither read nor advanced."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Draw from the global generators as seeded for this purpose; afterwards they are as before."""
    derived = derive(seed, *purpose)
    with torch.random.fork_rng():
        if torch.get_default_device().type == "cpu":
            # torch.manual_seed also notes the call, with its traceback, for each kind of device
            # that is not in use: that takes longer than the weights of a small net
            torch.default_generator.manual_seed(derived)
        else:
            torch.manual_seed(derived)
        yield
