"""The words of `upgate export`. Imports nothing heavy: a typo is answered before PyTorch."""

from collections.abc import Mapping

from upgate.cli.arguments import need_run
from upgate.errors import UserError, did_you_mean

KEYS = ("run", "to", "out", "root")
FORMS = ("onnx", "torch")


def check_export(words: Mapping[str, str]) -> None:
    """Raise UserError for a word that is missing, or a format that there is not."""
    need_run("export", words)
    if "to" not in words:
        raise UserError("export needs to=onnx or to=torch")
    if (to := words["to"]) not in FORMS:
        raise UserError(f"to={to} is no format{did_you_mean(to, FORMS)}")
