"""A part of the data that a search sees, and the test that follows: what is stored of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A search and the test that follows it."""

    name: str  # empty where there is only one
    search: list[str]  # overrides of the split during the search
    folds: list[int]  # of that split
    final: list[str]  # overrides of the split for the last runs
    tests: list[int]  # folds of that split
