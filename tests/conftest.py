"""Shared by all tests. What they import from each other is in helpers/."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

gc.disable()  # until all tests are collected: with it that takes a quarter longer
pytest.register_assert_rewrite("helpers")  # so that their assertions show values as well

signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a shell's background job ignores Ctrl-C, and so would all that it starts


# Modules that take longest, the longest test at the head. Processes take whole modules in this
# order; were one of these the last, the other process would wait for it.
FIRST = (
    "test_readme.py",
    "test_study.py",
    "test_over.py",
    "test_article.py",
    "test_run.py",
    "test_run_kill.py",
    "test_store_away.py",
    "test_executor_local.py",
    "test_cards.py",
    "test_report_browser.py",
    "test_adding_a_task.py",
    "test_find_rates.py",
    "test_tune.py",
    "test_selftest.py",
    "test_stored_by_an_older_version.py",
    "test_space.py",
    "test_imports.py",
    "test_postgres.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The second process collects from the other end: each rewrites the assertions of half of the
    modules, and reads the bytecode of the other half, which takes a tenth of the time.
    """
    report = yield
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw1" and isinstance(collector, pytest.Directory):
        report.result.reverse()
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order is the same in all processes."""
    order = {name: i for i, name in enumerate(FIRST)}
    items.sort(key=lambda item: (order.get(item.path.name, len(FIRST)), item.path))


def pytest_collection_finish() -> None:
    """What is imported stays: no collection of garbage looks at it again."""
    gc.freeze()
    gc.enable()


for name in ("LC_ALL", "LC_MESSAGES", "LANG"):  # a developer's terminal may speak Chinese
    if os.environ.get(name, "").startswith("zh"):
        del os.environ[name]


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reaches a developer's own MLflow server, or the one of another test.

    Lightning's MLFlowLogger sets the variable for its whole process.
    """
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="module", autouse=True)
def pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """A run's pictures take longer than the training of a tiny run: they are drawn in the modules
    that are marked `pictures` alone, which look at them or run what a reader would.
    """
    drawing = sys.modules.get("upgate.execution.pictures")  # none where nothing trains
    with pytest.MonkeyPatch.context() as patch:
        if drawing and not request.node.get_closest_marker("pictures"):
            for module in (drawing, sys.modules["upgate.execution.run_job"]):
                patch.setattr(module, "draw_pictures", lambda *_: ())
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: it holds an environment that is ready, as far as make looks, and no
    store.
    """
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / ".ready").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path
