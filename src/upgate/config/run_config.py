"""The configuration of one run as a typed value, made once from what Hydra composes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from upgate.config.choices import PARTS, REGULARIZATION
from upgate.config.compose import compose
from upgate.config.schema import NonNegativeInt, PositiveInt, build
from upgate.config.values import Choice, DataChoice, Knobs, Section, Value


@dataclass(frozen=True)
class TopLevel:
    """The knobs at the top level of a configuration; their types and ranges."""

    seed: NonNegativeInt
    fold: NonNegativeInt
    batch_size: PositiveInt
    search: dict[str, Any]
    twin: bool
    root: str
    cache: str
    threads: PositiveInt | None


TOP_LEVEL = tuple(TopLevel.__annotations__)
CHOICES = ("data", "split", "model", "executor", "task")


@dataclass(frozen=True)
class RunConfig:
    """All choices and knobs of one run."""

    seed: int
    fold: int
    batch_size: int
    search: Knobs  # the range of the batch size; those of parts stand among their knobs
    twin: bool  # whether the traditional twin is wanted too
    root: str  # folder of the runs and the store
    cache: str  # folder or URL of what is prepared once
    threads: int | None
    trainer: Knobs
    data: DataChoice
    split: Choice
    model: Choice
    parts: Mapping[str, Choice]  # group -> choice, but for regularization
    regularization: Mapping[str, Knobs]  # name -> knobs
    executor: Choice
    task: Choice
    recipe: str
    config_dir: str | None = None  # the user's own folder, absolute: workers look up code there
    others: Knobs = field(default_factory=dict)  # top-level keys that a user's own yaml adds

    @classmethod
    def from_dict(cls, composed: Section) -> Self:
        """From a composed configuration. Raises UserError for a wrong value at the top level."""
        top = build(TopLevel, {key: composed[key] for key in TOP_LEVEL}, "")
        known = (*TOP_LEVEL, *CHOICES, *PARTS, "trainer", "recipe", "config_dir")
        return cls(
            **vars(top),
            trainer=composed["trainer"],
            data=DataChoice.from_dict(composed["data"]),
            split=Choice.from_dict(composed["split"]),
            model=Choice.from_dict(composed["model"]),
            parts={
                group: Choice.from_dict(composed[group])
                for group in PARTS
                if group != REGULARIZATION
            },
            regularization=composed[REGULARIZATION],
            executor=Choice.from_dict(composed["executor"]),
            task=Choice.from_dict(composed["task"]),
            recipe=composed["recipe"],
            config_dir=composed.get("config_dir"),
            others={key: value for key, value in composed.items() if key not in known},
        )

    def to_dict(self) -> dict[str, Value]:
        """The composed configuration: groups and keys as in `conf/config.yaml`, in its order."""
        parts: dict[str, Value] = {
            group: self.regularization if group == REGULARIZATION else self.parts[group].to_dict()
            for group in PARTS
        }
        top: dict[str, Value] = {key: getattr(self, key) for key in TOP_LEVEL}
        folder: Knobs = {} if self.config_dir is None else {"config_dir": self.config_dir}
        return {
            **top,
            "trainer": self.trainer,
            **{group: getattr(self, group).to_dict() for group in CHOICES[:3]},
            **parts,
            "executor": self.executor.to_dict(),
            "task": self.task.to_dict(),
            **self.others,
            "recipe": self.recipe,
            **folder,
        }

    def replace(self, **changes: Any) -> Self:
        """The same configuration with other values in these fields."""
        return replace(self, **changes)


def compose_config(overrides: Sequence[str], config_dir: str | None = None) -> RunConfig:
    """The configuration that these overrides ask for. Raises UserError as `compose` does."""
    return RunConfig.from_dict(compose(overrides, config_dir))
