"""The tasks by name.

Only the modules of a requested task are imported, for that takes seconds: those of its package
here, of its file in the folder of `--config-dir`, or of an entry point `upgate.tasks`.
"""

import sys
from importlib import import_module
from pathlib import Path

from upgate.config.extensions import hash_code, load
from upgate.tasks.base import Task
from upgate.tasks.names import ENTRY_POINTS, OUTSIDE, module_of, packages, unknown_task

_TASKS: dict[str, Task] = {}


def register_task(task: type[Task]) -> type[Task]:
    """Make a task known under its `name`. Raises ValueError where another task has that name."""
    known = _TASKS.setdefault(task.name, task())
    if type(known) is not task:
        first, second = type(known).__module__, task.__module__
        raise ValueError(f"task={task.name} is registered twice, by {first} and by {second}")
    if task.name not in packages():
        code = getattr(sys.modules.get(task.__module__), "__file__", None)
        known.source = hash_code(Path(code)) if code else None
        OUTSIDE[task.name] = known
    return task


def get_task(name: str) -> Task:
    """The task of that name. Raises UserError where nothing registers it."""
    if name not in _TASKS and name in packages():
        import_module(module_of(name))
    elif name not in _TASKS:
        load("task", name, ENTRY_POINTS)
    if name not in _TASKS:
        raise unknown_task(name, sorted({*_TASKS, *packages()}))
    return _TASKS[name]
