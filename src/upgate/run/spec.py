"""What a run is: a frozen value whose hash is its name. Two runs of one key give equal numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Self

from upgate.config.choices import REGULARIZATION
from upgate.config.values import Choice, Knobs, Section, SpecValues, Value

# Raise it when a change of the code changes the numbers of a run: the results of older code are
# then not used again.
NUMERICS = 3


class TaskSpec(Choice):
    """The task and its knobs: target, horizon, window, ..."""


class SplitSpec(Choice):
    """The split and its knobs: validation, test, gap, folds, ..."""


class ModelSpec(Choice):
    """The network and its knobs: hidden_size, num_layers, ..."""


class PartSpec(Choice):
    """One part of a recipe and its knobs."""


@dataclass(frozen=True)
class RecipeSpec:
    """A choice for each group; of regularization several at once."""

    parts: Mapping[str, PartSpec]  # group -> part
    regularization: Mapping[str, Knobs]  # name -> knobs

    @classmethod
    def from_dict(cls, recipe: Section) -> Self:
        """From group -> {name, knobs...}, and regularization -> {name: knobs}."""
        single = {group: part for group, part in recipe.items() if group != REGULARIZATION}
        parts = {group: PartSpec.from_dict(part) for group, part in single.items()}
        return cls(parts, recipe[REGULARIZATION])

    def to_dict(self) -> dict[str, Knobs]:
        """The inverse of `from_dict`."""
        parts: dict[str, Knobs] = {group: part.to_dict() for group, part in self.parts.items()}
        return parts | {REGULARIZATION: dict(self.regularization)}


@dataclass(frozen=True)
class Budget:
    """The Trainer's arguments that decide a run's numbers; the defaults are Lightning's."""

    accelerator: str  # cpu, cuda or mps: what is in force, never auto
    max_epochs: int  # -1: no limit
    max_steps: int = -1
    min_epochs: int | None = None
    min_steps: int | None = None
    max_time: str | None = None  # days:hours:minutes:seconds
    limit_train_batches: int | float = 1.0  # batches, or a share of them
    limit_val_batches: int | float = 1.0
    accumulate_grad_batches: int = 1
    deterministic: bool | Literal["warn"] = False
    benchmark: bool = False
    strategy: str = "auto"
    devices: int = 1  # more only where `strategy` shares a run: a sum over processes differs

    @property
    def shared(self) -> bool:
        """Whether several processes train one run."""
        return self.strategy != "auto"

    def to_dict(self) -> dict[str, Value]:
        """The arguments that are not at their default; 1, a batch, is not 1.0, all of them."""
        return {
            field.name: value
            for field in fields(self)
            if not _is_same(value := getattr(self, field.name), field.default)
        }


def _is_same(value: Value, default: object) -> bool:
    return type(value) is type(default) and value == default


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides a run's numbers, and nothing else: no paths and no names."""

    task: TaskSpec
    data: str  # content hash
    split: SplitSpec
    fold: int
    model: ModelSpec
    recipe: RecipeSpec
    budget: Budget
    batch_size: int
    seed: int
    precision: str
    threads: int  # the order of a sum's terms, and so its last digits, depends on them
    numerics: int = field(default_factory=lambda: NUMERICS)

    @property
    def key(self) -> str:
        """sha256 of the canonical JSON, in hexadecimal."""
        text = json.dumps(
            self.to_dict(),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=True,
            allow_nan=False,
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> SpecValues:
        """Plain values, as they are hashed, kept in checkpoints and sent between processes."""
        typed = ("task", "split", "model", "recipe", "budget")
        return {
            name: value.to_dict() if name in typed else value for name, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, values: SpecValues) -> Self:
        """The inverse of `to_dict`."""
        typed = {
            "task": TaskSpec.from_dict(values["task"]),
            "split": SplitSpec.from_dict(values["split"]),
            "model": ModelSpec.from_dict(values["model"]),
            "recipe": RecipeSpec.from_dict(values["recipe"]),
            "budget": Budget(**values["budget"]),
        }
        return cls(**{**values, **typed})
