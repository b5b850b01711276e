"""The next command worth typing after a training, in the user's own words."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from upgate.config.compose import PARTS, group_of
from upgate.config.plugins import typed_words

OWN_OF_RUN = ("seed", "fold", "twin")  # a study chooses these itself
RECIPE = (*PARTS, "recipe")
MAX_ARMS = 6  # of a study that a sweep proposes


def suggest(command: str, words: Sequence[str], config_dir: str | None = None) -> str:
    """The command with these words, by make where this folder's Makefile knows it.

    config_dir: the user's own folder of choices.
    """
    own = f"--config-dir {shlex.quote(config_dir)}" if config_dir else ""
    words = typed_words(words)
    makefile = Path("Makefile")
    if makefile.is_file() and "upgate" in makefile.read_text(encoding="utf-8", errors="replace"):
        return shlex.join(["make", command, *words, *([f"ARGS={own}"] if own else [])])
    return " ".join(filter(None, ["upgate", command, own, shlex.join(words)]))


def study_of_run(words: Sequence[str], config_dir: str | None = None) -> str:
    """The study that asks whether a run's recipe helps on other seeds and dates or texts too."""
    return _study(words, [], config_dir)


def study_of_sweep(
    words: Sequence[str], settings: Sequence[str], config_dir: str | None = None
) -> str | None:
    """The study whose arms are a sweep's settings; None where these differ in more than recipes.

    words: what all runs of the sweep have in common.
    """
    groups = {group_of(word) for setting in settings for word in setting.split()}
    if not groups or not groups <= set(RECIPE) or len(settings) > MAX_ARMS:
        return None
    names = [_arm(setting) for setting in settings]
    arms = ["traditional", *(name for name in names if name != "traditional")]
    return _study(words, ["study=arms", f"study.arms={', '.join(arms)}"], config_dir)


def _study(words: Sequence[str], own: Sequence[str], config_dir: str | None) -> str:
    kept = [word for word in words if group_of(word) not in OWN_OF_RUN]
    return suggest("study", [*kept, *own], config_dir)


def _arm(setting: str) -> str:
    """A setting as `study.arms` names it: the recipe's name first."""
    words = setting.split()
    recipe = [word.partition("=")[2] for word in words if word.startswith("recipe=")]
    parts = [word for word in words if not word.startswith("recipe=")]
    return " ".join([*(recipe or ["upgraded"]), *parts])
