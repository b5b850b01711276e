"""Parts and tasks whose code stands outside this package.

The code of a choice `<group>=<name>` is `DIR/<group>/<name>.py` (or a package of that name) beside
its yaml, where DIR is what `--config-dir` gave: a folder, or the name of an entry point in the
group `upgate.parts`, whose value is a package laid out as such a folder. The code runs when its
name is requested, and only then: a folder is never searched for code, and other files in it are
not imported.
"""

import hashlib
import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from upgate.config.texts import say
from upgate.errors import UserError, did_you_mean

FOLDERS = "upgate.parts"  # entry points of installed packages that are laid out as conf/

_folders: list[Path] = []  # of this process, the newest first; workers get them with each run


def find_folder(config_dir: str) -> Path:
    """The folder of a path or of an entry point. Raises UserError where there is none."""
    if Path(config_dir).is_dir():
        return Path(config_dir).resolve()
    installed = entry_points(group=FOLDERS)
    for entry in installed:
        if entry.name == config_dir:
            return _package_folder(entry.value, config_dir)
    near = did_you_mean(config_dir, installed.names) if installed.names else ""
    raise UserError(say("no_folder", folder=config_dir, near=near))


def _package_folder(package: str, name: str) -> Path:
    """Where a package lies; it is not imported. Raises UserError where it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(say("no_package", name=name, package=package))
    return Path(spec.submodule_search_locations[0]).resolve()


def use_folder(config_dir: str | None) -> None:
    """Let names be looked up in a folder, from now on in this process. Raises UserError."""
    if config_dir is None:
        return
    folder = find_folder(config_dir)
    if folder in _folders:
        _folders.remove(folder)
    _folders.insert(0, folder)


def find_code(group: str, name: str) -> Path | None:
    """The file that holds the code of `<group>=<name>`; None where no folder has one."""
    for folder in _folders:
        for path in (folder / group / f"{name}.py", folder / group / name / "__init__.py"):
            if path.is_file():
                return path
    return None


def find_yaml(group: str, name: str) -> Path | None:
    """The yaml of that choice in a folder from outside; None where none has one."""
    paths = [folder / group / f"{name}.yaml" for folder in _folders]
    return next((path for path in paths if path.is_file()), None)


def hash_code(path: Path) -> str:
    """sha256 of a file, or of all Python files of a package, given its `__init__.py`."""
    if path.name != "__init__.py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(path.parent.rglob("*.py")):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(path.parent).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def load(group: str, name: str, entry_point_group: str) -> bool:
    """Import the code of `<group>=<name>`, which registers it; False where there is none."""
    path = find_code(group, name)
    if path is not None:
        import_file(path, f"upgate_extension_{group}_{name}")
        return True
    for entry in entry_points(group=entry_point_group, name=name):
        entry.load()
        return True
    return False


def import_file(path: Path, module_name: str) -> ModuleType:
    """Import a file, or a package by its `__init__.py`, under a module name; once in a process.

    Raises UserError with the line where the file raises anything.
    """
    known = sys.modules.get(module_name)
    if known is not None and known.__file__ == str(path):
        return known
    locations = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(
        module_name, path, submodule_search_locations=locations
    )
    assert spec is not None and spec.loader is not None  # as the path ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise UserError(_import_failure(path, error)) from error
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _import_failure(path: Path, error: Exception) -> str:
    """One sentence with the file, the line and what was raised there."""
    if isinstance(error, SyntaxError):
        line, message = error.lineno, error.msg
    else:
        lines = [
            frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)
        ]
        line, message = (lines[-1] if lines else None), " ".join(str(error).split())
    position = say("position", path=str(path), line=line) if line else str(path)
    return say("import_failed", position=position, error=type(error).__name__, message=message)
