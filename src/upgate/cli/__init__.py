"""The `upgate` command."""

from upgate.cli.entry import main
from upgate.cli.help import HELP

__all__ = ["HELP", "main"]
