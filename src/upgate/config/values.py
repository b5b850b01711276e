"""Plain values, as yaml and JSON hold them, and the choices of a configuration made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

# What a knob may hold. What a part's knobs are is known to the part's own function alone, which
# checks them (`schema.check`); everything between the command line and it passes them on.
Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"
Knobs: TypeAlias = Mapping[str, Value]
# A checked section of a configuration or a spec: its owner knows the types of its values.
Section: TypeAlias = Mapping[str, Any]
SpecValues: TypeAlias = dict[str, Any]  # a run's spec as plain values: task, model, recipe, seed


@dataclass(frozen=True)
class Choice:
    """The choice made in one group: its name, and its knobs."""

    name: str
    knobs: Knobs = field(default_factory=dict)

    name_key: ClassVar[str] = "name"  # under which its yaml gives the name

    @classmethod
    def from_dict(cls, values: Knobs) -> Self:
        """From a mapping of the name and the knobs, as a yaml holds them."""
        knobs = {key: value for key, value in values.items() if key != cls.name_key}
        return cls(str(values[cls.name_key]), knobs)

    def to_dict(self) -> dict[str, Value]:
        """The inverse of `from_dict`."""
        return {self.name_key: self.name, **self.knobs}


class DataChoice(Choice):
    """A choice of `conf/data/`, whose yamls give the name as `source`."""

    name_key: ClassVar[str] = "source"
