"""The file that a user names by `out=`: a file and nothing else, written whole or not at all."""

from pathlib import Path

from upgate.errors import UserError
from upgate.files import write_atomic
from upgate.messages import say


def output_path(name: str | Path) -> Path:
    """Where to write. Raises UserError where no file can be: no folder, or a folder or device."""
    path = Path(name).expanduser().resolve()
    if path.exists() and not path.is_file():
        kind = say("out_is_folder") if path.is_dir() else say("out_is_no_file")
        raise UserError(say("out_no_file", name=str(name), kind=kind))
    if not path.parent.is_dir():
        raise UserError(say("out_no_folder", name=str(name), folder=str(Path(name).parent)))
    return path


def write_output(path: Path, content: str | bytes) -> None:
    """Write the file; text as UTF-8. Raises UserError where it cannot be written."""
    written = content if isinstance(content, bytes) else content.encode()
    try:
        write_atomic(path, lambda file: file.write(written))
    except OSError as error:
        raise UserError(say("out_unwritable", path=str(path), cause=str(error.strerror))) from None
