"""The names of the tasks, and what a task says without its training: none of it needs PyTorch.

A task from outside this package is one class, so that asking for its facts imports all of it.
"""

import pkgutil
from importlib import import_module

import upgate.tasks
from upgate.config.extensions import load
from upgate.errors import UserError, did_you_mean
from upgate.messages import say
from upgate.tasks.facts import TaskFacts

ENTRY_POINTS = "upgate.tasks"  # of installed packages: the name of a task and its module


OUTSIDE: dict[str, TaskFacts] = {}  # tasks that code outside this package has registered


def get_facts(name: str) -> TaskFacts:
    """The facts of the task of that name. Raises UserError where nothing registers it."""
    if name in packages():
        facts: TaskFacts = import_module(f"upgate.tasks.{name}.facts").FACTS
        return facts
    if name not in OUTSIDE:
        load("task", name, ENTRY_POINTS)
    if name not in OUTSIDE:
        raise unknown_task(name, packages())
    return OUTSIDE[name]


def find_facts(name: str) -> TaskFacts | None:
    """The same; None where nothing registers it, as where its folder is not given."""
    try:
        return get_facts(name)
    except UserError:
        return None


def packages() -> list[str]:
    """The names of the tasks in this package: each is a package with modules `facts` and `task`."""
    return [module.name for module in pkgutil.iter_modules(upgate.tasks.__path__) if module.ispkg]


def module_of(name: str) -> str:
    """The module that registers a task of this package."""
    return f"upgate.tasks.{name}.task"


def unknown_task(name: str, available: list[str]) -> UserError:
    return UserError(say("not_a_task", name=name, hint=did_you_mean(name, available)))
