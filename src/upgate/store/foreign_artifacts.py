"""Artifacts of anybody's runs: which a run has, and one of them as a local file."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from upgate.errors import UserError
from upgate.store.artifact_folder import check_artifact_size
from upgate.store.connect import SETTINGS, first_line, redact
from upgate.store.texts import say

QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}  # a bar for each file
DEPTH = 3  # folders below a run's own that are searched


class Artifacts:
    """The artifacts of one run. location: the run's artifact_uri; store: the URI of its store."""

    def __init__(self, location: str, store: str) -> None:
        for name, value in (SETTINGS | QUIET).items():
            os.environ.setdefault(name, value)
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._location = location
        self._repository: Any = self._ask(lambda: get_artifact_repository(location, store))

    def paths(self, suffixes: Sequence[str]) -> list[str]:
        """Files with one of these suffixes, to a depth of three folders."""
        return sorted(self._walk(None, tuple(suffixes), DEPTH))

    def has(self, path: str) -> bool:
        return self._size(path) is not None

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        """A copy of a file, for as long as it is needed. Raises UserError for too large a one."""
        check_artifact_size(
            say("file_at", path=str(path), uri=redact(self._location)), self._size(path) or 0
        )
        with tempfile.TemporaryDirectory() as folder:
            yield Path(self._ask(lambda: self._repository.download_artifacts(path, folder)))

    def _size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""
        parent = path.rpartition("/")[0] or None
        files = (info for info in self._list(parent) if info.path == path and not info.is_dir)
        return next((info.file_size or 0 for info in files), None)

    def _walk(self, folder: str | None, suffixes: tuple[str, ...], depth: int) -> Iterator[str]:
        for info in self._list(folder):
            if info.is_dir and depth:
                yield from self._walk(info.path, suffixes, depth - 1)
            elif not info.is_dir and info.path.lower().endswith(suffixes):
                yield info.path

    def _list(self, folder: str | None) -> list[Any]:
        found: list[Any] = self._ask(lambda: self._repository.list_artifacts(folder))
        return found

    def _ask(self, question: Callable[[], Any]) -> Any:
        """Raises UserError for what no repository answers: each kind has errors of its own."""
        try:
            return question()
        except Exception as error:
            raise UserError(
                say("unreadable_artifacts", uri=redact(self._location), cause=first_line(error))
            ) from None
