"""Words that register a run as a model of MLflow: `promote=true` of `upgate train`.

Imports nothing heavy: a typo is answered before data are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from upgate.cli.texts import say
from upgate.errors import UserError, did_you_mean, unknown_key

PROMOTE, BELOW = "promote", "promote."


@dataclass(frozen=True)
class Promotion:
    """What a version is called: its alias, and its model's name, else the task's and target's."""

    alias: str = "champion"
    name: str = ""

    def check(self) -> None:
        """Raise UserError for what MLflow does not take."""
        from upgate.store.registry import check_alias, check_name

        check_alias(self.alias)
        if self.name:
            check_name(self.name)


def read_promotion(words: Sequence[str]) -> tuple[Promotion | None, list[str]]:
    """What is to be registered when training has ended, if anything, and the other words.

    Raises UserError.
    """
    pairs = [word.lstrip("+").partition("=") for word in words]
    own = [(key, value) for key, _, value in pairs if f"{key}.".startswith(BELOW)]
    rest = [word for word, pair in zip(words, pairs, strict=True) if (pair[0], pair[2]) not in own]
    if not own:
        return None, rest
    given = dict(own)
    known = (PROMOTE, f"{BELOW}alias", f"{BELOW}name")
    for key, value in own:
        if key not in known:
            raise unknown_key(key, did_you_mean(key, known))
        if not value or len(given) < len(own):
            raise UserError(say("one_value", key=key))
    wanted = given.pop(PROMOTE, "")
    if wanted not in ("true", "false", ""):
        raise UserError(say("true_or_false", key=PROMOTE, value=wanted))
    if wanted != "true":
        for key, value in given.items():
            raise UserError(say("goes_with", key=key, value=value, other=PROMOTE))
        return None, rest
    promotion = Promotion(**{key.removeprefix(BELOW): value for key, value in given.items()})
    promotion.check()
    return promotion, rest


def check_promoted(runs: Sequence[Sequence[str]]) -> None:
    """Raise UserError unless these are the words of one run that a model can be made of."""
    from upgate.config.choices import choices

    if len(runs) > 1:
        raise UserError(say("promote_several", key=PROMOTE, count=len(runs)))
    values = dict(word.split("=", 1) for word in runs[0])
    if values.get("trainer.fast_dev_run", "false") not in ("false", "0"):
        raise UserError(say("promote_and_dry_run", key=PROMOTE))
    if (task := values.get("task", "")) and task not in choices("task"):
        raise UserError(say("own_code", name=task))
