"""The tasks by name.

Only the modules of a requested task are imported, for that takes seconds: those of its package
here, of its file in the folder of `--config-dir`, or of an entry point `upgate.tasks`.
"""

import pkgutil
import sys
from importlib import import_module
from pathlib import Path

import upgate.tasks
from upgate.config.extensions import hash_code, load
from upgate.errors import UserError, did_you_mean
from upgate.tasks.base import Task

ENTRY_POINTS = "upgate.tasks"  # of installed packages: the name of a task and its module

_TASKS: dict[str, Task] = {}


def register_task(task: type[Task]) -> type[Task]:
    """Make a task known under its `name`. Raises ValueError where another task has that name."""
    known = _TASKS.setdefault(task.name, task())
    if type(known) is not task:
        first, second = type(known).__module__, task.__module__
        raise ValueError(f"task={task.name} is registered twice, by {first} and by {second}")
    return task


def get_task(name: str) -> Task:
    """The task of that name. Raises UserError where nothing registers it."""
    if name not in _TASKS and name in packages():
        import_module(module_of(name))
    elif name not in _TASKS and load("task", name, ENTRY_POINTS) and name in _TASKS:
        code = sys.modules[type(_TASKS[name]).__module__].__file__
        _TASKS[name].source = hash_code(Path(code)) if code else None
    if name not in _TASKS:
        available = {*_TASKS, *packages()}
        raise UserError(f"task={name} is not a task{did_you_mean(name, available)}")
    return _TASKS[name]


def find_task(name: str) -> Task | None:
    """The task of that name; None where nothing registers it, as where its folder is not given."""
    try:
        return get_task(name)
    except UserError:
        return None


def packages() -> list[str]:
    """The names of the tasks in this package: each is a package with a module `task`."""
    return [module.name for module in pkgutil.iter_modules(upgate.tasks.__path__) if module.ispkg]


def module_of(name: str) -> str:
    """The module that registers a task of this package."""
    return f"upgate.tasks.{name}.task"
