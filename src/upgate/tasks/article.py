"""What the article claims of a task, and the studies that check it (experiment=article)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ARTICLE, HONEST = "article", "honest"  # roles: the article's own setting, and a fair one
LESS, EXCESS, LINEAR, BEYOND = "less", "excess", "linear", "beyond"  # claims, see study/facts.py


@dataclass(frozen=True)
class Setting:
    """A study of the experiment. yardstick: the reference that costs nothing."""

    name: str
    role: str
    yardstick: str


@dataclass(frozen=True)
class ArticleClaim:
    """The claim for one task.

    size: claimed share of the error that is removed (scale log), or gain in the metric (plain).
    texts: the metric (`scores`) and each claim in a phrase. overrides: those of the user -> those
    of each setting's study, by its name. Chinese texts stand in the task's translations.yaml.
    """

    size: float
    settings: tuple[Setting, ...]
    texts: Mapping[str, str]
    overrides: Callable[[Sequence[str]], dict[str, list[str]]]

    def setting(self, name: str) -> Setting:
        """The setting of that name. Raises KeyError where there is none."""
        return {setting.name: setting for setting in self.settings}[name]
