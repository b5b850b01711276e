"""The `upgate` command."""

from upgate.cli.entry import HELP, main

__all__ = ["HELP", "main"]
