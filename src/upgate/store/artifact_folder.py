"""A run's artifacts where they are files in a folder of this machine."""

import shutil
from pathlib import Path

from upgate.files import make_private, write_atomic


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

    def names(self) -> list[str]:
        """The files and folders at the top."""
        return sorted(path.name for path in self.top.iterdir()) if self.top.is_dir() else []

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
