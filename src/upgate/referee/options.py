"""The words of `upgate judge`, checked. Imports nothing heavy: a typo is answered at once."""

from collections.abc import Mapping

from upgate import messages
from upgate.errors import UserError, did_you_mean
from upgate.referee.question import Question, Source, ask
from upgate.referee.texts import say

SOURCES = ("data.path", "mlflow.uri", "mlflow.experiment", "mlflow.filter", "mlflow.artifact")
KEYS = (*SOURCES, "write", *Question.__dataclass_fields__, "out", "report.language")
NEEDED = ("metric", "group", "baseline")
FLAGS = ("true", "false")
NUMBERS = ("smallest_effect", "alpha", "test_share")


def read_source(options: Mapping[str, str]) -> Source:
    """Raises UserError where it is not one file or one experiment."""
    store = [key for key in options if key.startswith("mlflow.")]
    if "data.path" in options and store:
        raise UserError(say("two_sources", other=store[0]))
    write = _flag(options.get("write", "false"))
    if "data.path" in options:
        if write:
            raise UserError(say("write_to_table"))
        return Source(path=options["data.path"])
    for key in ("mlflow.uri", "mlflow.experiment"):
        if key not in options:
            other = say("path_or") if not store else ""
            raise UserError(say("source_missing", key=key, other=other))
    if "mlflow.artifact" in options and "items" not in options:
        raise UserError(say("artifact_needs_items"))
    return Source(
        uri=options["mlflow.uri"],
        experiment=options["mlflow.experiment"],
        filter_string=options.get("mlflow.filter", ""),
        artifact=options.get("mlflow.artifact", ""),
        write=write,
    )


def _flag(text: str) -> bool:
    if text not in FLAGS:
        raise UserError(say("write_flag", text=text, hint=did_you_mean(text, FLAGS)))
    return text == "true"


def read_question(options: Mapping[str, str]) -> Question:
    """The question of the command's words. Raises UserError for a missing or wrong one."""
    values: dict[str, object] = {}
    for key in NEEDED:
        if key not in options:
            raise UserError(messages.say("is_missing", prefix="", key=key))
    for key in Question.__dataclass_fields__:
        if key in options:
            values[key] = _number(options[key]) if key in NUMBERS else options[key]
    if "pair" in options:
        names = options["pair"].strip().removeprefix("[").removesuffix("]").split(",")
        values["pair"] = [name.strip() for name in names if name.strip()]
    return ask(**values)


def _number(text: str) -> float | str:
    """A number where the text is one; the text is refused by the question's own check."""
    try:
        return float(text)
    except ValueError:
        return text
