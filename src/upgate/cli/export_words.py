"""The words of `upgate export`. Imports nothing heavy: a typo is answered before PyTorch."""

from collections.abc import Mapping

from upgate.cli.arguments import need_run
from upgate.cli.texts import say
from upgate.errors import UserError, did_you_mean

KEYS = ("run", "to", "out", "root")
FORMS = ("onnx", "torch")


def check_export(words: Mapping[str, str]) -> None:
    """Raise UserError for a word that is missing, or a format that there is not."""
    need_run("export", words)
    if "to" not in words:
        raise UserError(say("export_needs_to"))
    if (to := words["to"]) not in FORMS:
        raise UserError(say("no_format", name=to, hint=did_you_mean(to, FORMS)))
