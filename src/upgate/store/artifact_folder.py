"""A run's artifacts where they are files in a folder of this machine."""

import shutil
from pathlib import Path

from upgate.errors import UserError
from upgate.files import make_private, write_atomic
from upgate.store.texts import say

LARGEST = 1 << 30  # bytes of an artifact that is fetched: what others wrote may fill no disk


def check_artifact_size(what: str, size: int) -> None:
    """Raise UserError for an artifact that is too large to be fetched."""
    if size > LARGEST:
        raise UserError(say("too_large", what=what, size=f"{size:,}", most=f"{LARGEST:,}"))


class ArtifactFolder:
    """`top`: the folder; it is made with the first file."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def keep(self, path: Path, folder: str) -> None:
        """Copy a file, or what is in a folder, into a folder of the artifacts."""
        target = self._inside(folder)
        make_private(self.top)
        target.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
            return
        with path.open("rb") as source:
            write_atomic(target / path.name, lambda file: shutil.copyfileobj(source, file))
        shutil.copymode(path, target / path.name)

    def write(self, text: str, name: str) -> None:
        path = self._inside(name)
        make_private(self.top)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: file.write(text.encode()))

    def sizes(self) -> dict[str, int | None]:
        """The files and folders at the top: name -> bytes, None for a folder."""
        paths = sorted(self.top.iterdir()) if self.top.is_dir() else []
        return {path.name: None if path.is_dir() else path.lstat().st_size for path in paths}

    def copy(self, name: str, folder: Path) -> Path:
        """Copy an artifact out, into a folder; where it is then."""
        source, target = self._inside(name), folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        return target

    def _inside(self, name: str) -> Path:
        """Raises FileNotFoundError, which the flusher takes for a no, for a path out of here."""
        path = (self.top / name).resolve()
        if not path.is_relative_to(self.top.resolve()):
            raise FileNotFoundError(f"{name} is not in {self.top}")
        return path
