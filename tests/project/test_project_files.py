"""The files around the code agree with pyproject.toml and with each other."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from helpers.project import REPO

PYPROJECT = REPO / "pyproject.toml"
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}  # Keep a Changelog's

pytestmark = pytest.mark.skipif(not PYPROJECT.exists(), reason="no pyproject: not a checkout")


def text(name: str) -> str:
    return (REPO / name).read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    """The `[project]` table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
    return table


def released() -> list[tuple[str, str]]:
    """Version and date of the changelog's sections, the newest first, without Unreleased."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", text("CHANGELOG.md"), re.M)


def test_the_citation_says_what_pyproject_and_the_changelog_say() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"]
    assert (citation["version"], str(citation["date-released"])) == released()[0]
    for key in ("version", "license", "authors", "keywords"):
        assert citation[key] == project()[key], key
    assert citation["abstract"] == project()["description"]
    assert citation["repository-code"] == project()["urls"]["Homepage"]


def test_the_license_is_apache_2() -> None:
    lines = [line.strip() for line in text("LICENSE").splitlines() if line.strip()]
    assert lines[:2] == ["Apache License", "Version 2.0, January 2004"] and len(lines) > 150
    assert project()["license"] == "Apache-2.0"


def test_the_changelog_keeps_its_form() -> None:
    sections = re.findall(r"^## (.*)$", text("CHANGELOG.md"), re.M)
    dated = [f"[{version}] - {date}" for version, date in released()]
    assert sections == ["[Unreleased]", *dated] and dated
    dates = [date for _, date in released()]
    assert dates == sorted(dates, reverse=True)
    assert set(re.findall(r"^### (.*)$", text("CHANGELOG.md"), re.M)) <= CHANGES


def test_hooks_are_few_and_run_the_tools_of_the_environment() -> None:
    (repo,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert repo["repo"] == "local" and 0 < len(repo["hooks"]) <= 4
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    tools = {hook["entry"].split()[0] for hook in repo["hooks"]}
    assert tools == {f".venv/bin/{name}" for name in ("ruff", "mypy", "lint-imports")}


def test_the_workflow_runs_what_any_ci_runs() -> None:
    workflow = yaml.safe_load(text(".github/workflows/ci.yml"))
    assert workflow[True] == ["push", "pull_request"]  # YAML 1.1 reads `on` as true
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    (python,) = (step["with"]["python-version"] for step in job["steps"] if "with" in step)
    assert project()["requires-python"] == f">={python}"
    assert (REPO / ".ci" / "run").stat().st_mode & 0o111


def test_the_contributing_page_names_files_that_exist() -> None:
    page = text("CONTRIBUTING.md")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page) if "://" not in link]
    paths = [path for path in re.findall(r"`([\w./-]+/[\w./-]*)`", page) if "<" not in path]
    assert len(paths) > 10 and len(links) > 3
    named = {*links, *paths} - {".venv"}
    assert not [path for path in named if not (REPO / path).exists()]
