"""What src/upgate imports is declared and pinned, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.project import REPO

PYPROJECT = REPO / "pyproject.toml"
SOURCE = REPO / "src" / "upgate"
# SQLAlchemy loads it by the name in a store's URL; PyTorch's exporter imports the other.
UNIMPORTED_EXTRAS = {"psycopg", "onnxscript"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

pytestmark = pytest.mark.skipif(not PYPROJECT.exists(), reason="no pyproject: not a checkout")


def project() -> dict[str, Any]:
    """The `[project]` table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    return table


def names(requirements: list[str]) -> set[str]:
    """The distributions that requirements name, `upgate[...]` left out."""
    return {canonicalize_name(Requirement(line).name) for line in requirements} - {"upgate"}


def required() -> set[str]:
    return names(project()["dependencies"])


def optional() -> set[str]:
    """The distributions of the extras that users install."""
    extras = project()["optional-dependencies"]
    ours = ("dev", "docs")
    return set().union(*(names(lines) for extra, lines in extras.items() if extra not in ours))


def imported_modules(node: ast.AST) -> list[str]:
    """The modules that one statement imports; none if it imports nothing or relative to itself."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module]
    return []


def third_party(nodes: Iterator[ast.AST]) -> set[str]:
    """The top-level packages that these nodes import, without the standard library and ours."""
    packages = {name.partition(".")[0] for node in nodes for name in imported_modules(node)}
    return packages - set(sys.stdlib_module_names) - {"upgate"}


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: those outside of functions."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, FUNCTIONS):
            yield node
            yield from at_import(node)


@cache
def trees() -> dict[Path, ast.Module]:
    """Each source file, parsed."""
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 100
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}


@cache
def installed() -> Mapping[str, list[str]]:
    """Top-level package -> the installed distributions that provide it; it reads all of them."""
    return packages_distributions()


def distributions(package: str) -> set[str]:
    return {canonicalize_name(name) for name in installed().get(package, [])}


def test_every_import_is_a_declared_dependency() -> None:
    declared = required() | optional()
    for path, tree in trees().items():
        for package in third_party(ast.walk(tree)):
            assert distributions(package) & declared, f"{path} imports {package}: declare it"


def test_what_an_extra_brings_is_imported_within_functions_only() -> None:
    for path, tree in trees().items():
        for package in third_party(at_import(tree)):
            assert distributions(package) & required(), f"{path}: {package} is not always there"


def test_every_declared_dependency_is_imported() -> None:
    packages = set().union(*(third_party(ast.walk(tree)) for tree in trees().values()))
    imported = set().union(*(distributions(package) for package in packages))
    assert required() <= imported
    assert optional() - imported == UNIMPORTED_EXTRAS


def test_every_requirement_has_a_pin_that_satisfies_it() -> None:
    """So that `pip install -c constraints.txt` resolves to the versions that were tested."""
    text = (REPO / "constraints.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))
    groups = [project()["dependencies"], *project()["optional-dependencies"].values()]
    for requirement in map(Requirement, chain.from_iterable(groups)):
        name = canonicalize_name(requirement.name)
        if name != "upgate":
            assert name in pins and pins[name] in requirement.specifier, requirement


def test_developers_have_every_extra() -> None:
    extras = project()["optional-dependencies"]
    (itself,) = (line for line in extras["dev"] if line.startswith("upgate["))
    assert Requirement(itself).extras == set(extras) - {"dev"}


def test_an_import_inside_a_function_does_not_count_as_one_at_import() -> None:
    source = "import numpy\nclass A:\n  import torch\n  def f(self):\n    import ray.util\n"
    tree = ast.parse(source)
    assert third_party(ast.walk(tree)) == {"numpy", "torch", "ray"}
    assert third_party(at_import(tree)) == {"numpy", "torch"}
