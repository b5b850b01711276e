"""Parts and tasks whose code stands outside this package.

The code of a choice `<group>=<name>` is `DIR/<group>/<name>.py` (or a package of that name) beside
its yaml, where DIR is the folder that `--config-dir` gave; or an entry point `<name>` of an
installed package. It runs when that name is requested, and only then: a folder is never searched
for code, and other files in it are not imported.
"""

import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path

from upgate.errors import UserError

_folders: list[Path] = []  # of this process, the newest first; workers get them with each run


def use_folder(config_dir: str | None) -> None:
    """Let names be looked up in a folder, from now on in this process. Raises UserError."""
    if config_dir is None:
        return
    folder = Path(config_dir).resolve()
    if not folder.is_dir():
        raise UserError(
            f"--config-dir {config_dir} is not a folder; "
            "give one that holds your choices, laid out as conf/"
        )
    if folder in _folders:
        _folders.remove(folder)
    _folders.insert(0, folder)


def folder_in_use() -> str | None:
    """The folder that was given last, absolute: what a worker must be given too."""
    return str(_folders[0]) if _folders else None


def load(group: str, name: str, entry_point_group: str) -> bool:
    """Import the code of `<group>=<name>`, which registers it; False where there is none."""
    for folder in _folders:
        for path in (folder / group / f"{name}.py", folder / group / name / "__init__.py"):
            if path.is_file():
                import_file(path, f"upgate_extension_{group}_{name}")
                return True
    for entry in entry_points(group=entry_point_group, name=name):
        entry.load()
        return True
    return False


def import_file(path: Path, module_name: str) -> None:
    """Import a file, or a package by its `__init__.py`, under a module name; once in a process."""
    known = sys.modules.get(module_name)
    if known is not None and known.__file__ == str(path):
        return
    places = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(
        module_name, path, submodule_search_locations=places
    )
    assert spec is not None and spec.loader is not None  # as the path ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
