"""The `upgate` command."""

from upgate.cli.main import main

__all__ = ["main"]
