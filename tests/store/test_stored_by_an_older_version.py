"""A store written before every module moved still lists, reports, predicts and resumes.

`fixtures/make_old_store.py` made the store, and recorded what the code of that time printed of it.
The tests go through the command line, so that no name that a refactoring may change stands here;
the exceptions are `run_keys`, `cached_tables` and `numerics_of_then`.
"""

import io
import json
import math
import re
import sqlite3
from contextlib import closing, redirect_stdout
from csv import DictReader
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

from helpers.old_store import ARCHIVE, RECORD, decimals, differences, listing, timeless, unpack
from upgate.cli import main


def run_keys(commands: list[str]) -> dict[str, str]:
    """The key of the run that each of these commands would train."""
    from upgate.experiment.jobs import make_job
    from upgate.run.datasets import Datasets

    datasets, keys = Datasets(), {}
    for command in commands:
        overrides = [*command.split(), "trainer.accelerator=cpu"]
        if "threads=1" not in overrides:
            overrides.append("threads=2")  # the default where there are two cores
        keys[command] = make_job(overrides, datasets, None).spec.key
    return keys


def cached_tables(digests: list[str]) -> list[Any]:
    """The tables of these content hashes, from the folder `prepared`."""
    import pyarrow.parquet as pq

    from upgate.run.table_cache import TableCache
    from upgate.tasks.names import packages
    from upgate.tasks.registry import get_task

    types = {get_task(name).table_type.__name__: get_task(name).table_type for name in packages()}
    cache = TableCache.at("prepared")
    tables = []
    for digest in digests:
        stored = json.loads(pq.read_schema(cache.path(digest)).metadata[b"upgate"])
        tables.append(cache.load(digest, types[stored["kind"]]))
    return tables


def without_skip(value: Any) -> Any:
    """A record of today without the word that stands for what the old version had no key for."""
    if isinstance(value, dict):
        return {key: without_skip(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_skip(one) for one in value if one not in SINCE]
    if isinstance(value, str):
        for word in SINCE:
            value = value.replace(f" {word}", "")
    return value


def as_then(arguments: list[str]) -> list[str]:
    """A recorded command in today's words: defaults have changed since.

    Both tasks start from a reference, and nesterov has a searched rate for volatility. The network
    of reviews reads n-grams and both ends of a text, is smaller, and sgd and adamw have new rates.
    """
    rate = {"task.target=volatility", "optimizer=nesterov"} <= set(arguments)
    words = [*arguments, *SINCE] if "task=sentiment" in arguments else arguments
    if "task=sentiment" in arguments and not any("task.embedding=" in word for word in arguments):
        words = [*words, WIDE]
    words = [*words, NO_SKIP] if "task=stock" in arguments else words
    return [*words, "optimizer.lr=0.01"] if rate else words


def by_key(listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Runs by their keys; each stands once."""
    assert len({run["key"] for run in listed}) == len(listed)
    return {run["key"]: run for run in listed}


NO_SKIP = "model.skip=none"
SINCE = (
    NO_SKIP,
    "task.ngrams=0",
    "task.keep=head",
    "tuned.adamw=0.01",
    "tuned.sgd=1.0",
    "bilstm_size=128",
)
WIDE = "task.embedding=128"
OLD: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
BEFORE = by_key(OLD["runs"])
INTERRUPTED = OLD["interrupted"]["result"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a fresh copy of the old store; commands run in the folder that holds it."""
    folder = unpack(tmp_path)
    monkeypatch.chdir(folder)
    return folder / "store"


@pytest.fixture
def numerics_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no change of the numbers had come between; they are the same but for rounding."""
    monkeypatch.setattr("upgate.run.spec.NUMERICS", 2)


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The file that each training resumes from; "" where it starts anew."""
    seen: list[str] = []
    fit = pl.Trainer.fit

    def watched(self: pl.Trainer, *args: Any, **more: Any) -> None:
        seen.append(Path(more.get("ckpt_path") or "").name)
        fit(self, *args, **more)

    monkeypatch.setattr(pl.Trainer, "fit", watched)
    return seen


def upgate(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    text = io.StringIO()
    with redirect_stdout(text):
        assert main(arguments) == 0
    return text.getvalue()


def runs() -> list[dict[str, Any]]:
    return listing(upgate("runs", "root=store", "--json"))


def result(store: Path, pattern: str) -> dict[str, Any]:
    """The one result.json of a study or a search."""
    (path,) = store.glob(f"{pattern}/result.json")
    return json.loads(path.read_text(encoding="utf-8"))


def query(path: Path, text: str, *values: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(text, values).fetchall()


def statuses(store: Path) -> set[str]:
    return {status for (status,) in query(store / "mlflow.db", "select status from runs")}


def test_the_archive_is_small() -> None:
    assert ARCHIVE.stat().st_size < 400_000


def test_runs_are_listed_as_before(store: Path) -> None:
    assert statuses(store) == {"RUNNING", "KILLED", "FINISHED"}
    assert len(list(store.glob("open/*/*.jsonl"))) == 2  # of a killed command and of its run
    assert differences(runs(), OLD["runs"], rel=0, tiny=0) == []
    assert not list(store.glob("open/*/*.jsonl"))
    assert statuses(store) == {"KILLED", "FINISHED"}


def test_a_run_whose_journal_is_gone_is_killed_by_its_tags(store: Path) -> None:
    """The tags of host, process and root keep their meaning."""
    for path in store.glob("open/*/*.jsonl"):
        path.unlink()
    listed = {run["key"]: run["status"] for run in runs()}
    assert listed == {key: run["status"] for key, run in BEFORE.items()}
    assert statuses(store) == {"KILLED", "FINISHED"}


def test_the_same_commands_have_the_same_run_keys(
    store: Path, request: pytest.FixtureRequest
) -> None:
    assert len(OLD["keys"]) > 25
    commands = [" ".join(as_then(command.split())) for command in OLD["keys"]]
    now = run_keys(commands)  # other numbers since: no result of then is taken for one of today
    assert not set(now.values()) & set(OLD["keys"].values())
    request.getfixturevalue("numerics_of_then")
    assert list(run_keys(commands).values()) == list(OLD["keys"].values())


def test_cached_tables_are_read(store: Path) -> None:
    digests = sorted(path.stem for path in store.with_name("prepared").glob("tables/*.parquet"))
    tables = cached_tables(digests)
    assert [table.hash() for table in tables] == digests
    assert sorted(len(table.table) for table in tables) == [200, 320]


@pytest.mark.usefixtures("numerics_of_then")
def test_finished_commands_train_nothing_and_end_as_before(store: Path) -> None:
    """Their plans try recipes out for a few steps, of which the store keeps nothing."""
    optuna = (store / "optuna.db", "select study_id, number, state from trials")
    trials = query(*optuna)
    for arguments in OLD["commands"].values():
        upgate(*as_then(arguments))
    assert differences(runs(), OLD["runs"], rel=0, tiny=0) == []
    study = without_skip(result(store, "studies/stock-*"))
    assert differences(measured(study, OLD["study"]), measured(OLD["study"])) == []
    assert (
        differences(
            without_bands(without_skip(result(store, "tunes/*"))), without_bands(OLD["tune"])
        )
        == []
    )
    assert query(*optuna) == trials and len(trials) == 2
    ids = {OLD["study"]["study"]["id"], INTERRUPTED["study"]["id"]}
    assert {path.name for path in store.glob("studies/*")} == ids


@pytest.mark.parametrize("name", OLD["predict"])
def test_kept_weights_predict_as_before(name: str, store: Path) -> None:
    """The files of the reviews' run are MLflow artifacts only, as on another machine."""
    arguments = OLD["predict"][name]["arguments"]
    upgate(*arguments)
    written = Path(arguments[-1].removeprefix("out=")).read_text(encoding="utf-8")
    rows = [typed(row) for row in DictReader(io.StringIO(written))]
    assert rows and differences(rows, [typed(row) for row in OLD["predict"][name]["csv"]]) == []


def typed(row: dict[str, str]) -> dict[str, float | str]:
    number = re.compile(r"-?\d*\.?\d+(e-?\d+)?")
    return {key: float(text) if number.fullmatch(text) else text for key, text in row.items()}


@pytest.mark.parametrize("name", OLD["reports"])
def test_reports_show_the_same_numbers(name: str, store: Path) -> None:
    upgate(*OLD["reports"][name]["arguments"])
    numbers = set(OLD["reports"][name]["numbers"])
    if name == "study":
        numbers -= inferred(OLD["study"])
    assert numbers and numbers <= set(decimals(Path("page.html")))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_interrupted_study_is_reported(language: str, store: Path) -> None:
    """It is the latest one, and half of its runs are there."""
    upgate("report", "study=latest", f"report.language={language}", "root=store", "out=page.html")
    assert INTERRUPTED["study"]["id"] in Path("page.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("numerics_of_then")
def test_the_interrupted_study_resumes(store: Path, resumed: list[str]) -> None:
    """One of its missing runs had passed an epoch, the other had not started."""
    upgate(*as_then(OLD["interrupted"]["arguments"]))
    after, study = by_key(runs()), result(store, "studies/sentiment-*")
    keys = {key for arm in study["study"]["keys"].values() for key in arm.values()}
    finished = {key for key in keys & BEFORE.keys() if BEFORE[key]["status"] == "FINISHED"}
    (half,) = (keys & BEFORE.keys()) - finished
    assert len(keys) == 4 and len(finished) == 2 and BEFORE[half]["status"] == "KILLED"
    assert {key for key in after if after[key] != BEFORE.get(key)} == keys - finished
    assert {after[key]["status"] for key in keys} == {"FINISHED"}
    assert after[half]["run_id"] == BEFORE[half]["run_id"]
    assert resumed[-2:] == ["last.ckpt", ""]  # those before them tried the recipes out
    then = alone(INTERRUPTED)
    assert differences(measured(alone(without_skip(study)), then), measured(then)) == []


def measured(study: dict[str, Any], like: dict[str, Any] | None = None) -> dict[str, Any]:
    """A study's result without what the judge infers, for it has learned since; fields of `like`.

    Effects stay; their intervals, p and verdicts go.
    """
    then = like or study
    inferred = {"sentence", "parts", "attribution", "ticker_interval"}
    kept = {key: study[key] for key in then.keys() - inferred}
    kept["references"] = {key: study["references"][key] for key in then["references"]}
    kept["study"] = {key: study["study"][key] for key in then["study"]}
    for key in ("verdicts", "aa"):
        kept[key] = estimates(study[key])
    return kept


def without_bands(search: dict[str, Any]) -> dict[str, Any]:
    """A search's result without the bands of its curves, which are inferred too."""
    blocks = []
    for block in search["blocks"]:
        arms = [arm | {"curve": {"mean": arm["curve"]["mean"]}} for arm in block["arms"]]
        blocks.append(block | {"arms": arms})
    return search | {"blocks": blocks}


def estimates(verdicts: Any) -> list[dict[str, Any]]:
    fields = ("arm", "effect", "n", "diverged", "score")
    found = verdicts if isinstance(verdicts, list) else [verdicts] if verdicts else []
    return [{field: one[field] for field in fields} for one in found]


def inferred(study: dict[str, Any]) -> set[str]:
    """The ends of intervals and the p-values of an old study, as its page shows them."""
    shown = set()
    for one in [*study["verdicts"], study["aa"]]:
        ends = [f"{100 * math.expm1(one[end]):+.2f}" for end in ("low", "high")]
        shown |= {*ends, *(end.replace("-", "\u2212") for end in ends), f"{one['p']:.3f}"}
    for interval in study["ticker_interval"].values():  # none below six seeds, today
        shown |= {f"{number:.4g}" for number in interval}
    return shown


def alone(study: dict[str, Any]) -> dict[str, Any]:
    """A study's result without its clock and its looks, which count every run of a store."""
    return {key: value for key, value in timeless(study).items() if key != "looks"}


def without_new_references(run: dict[str, Any]) -> dict[str, float]:
    """A run's metrics but those of forecasts and intervals that the older version did not make."""
    references = ("/ar1/", "/ridge/", "/har_leverage/", "/ewma/", "/nb_logistic/")
    new = (*references, "test/coverage_", "test/width_")
    return {key: x for key, x in run["metrics"].items() if not any(name in key for name in new)}


@pytest.mark.usefixtures("numerics_of_then")
@pytest.mark.parametrize("name", OLD["killed"])
def test_a_killed_run_resumes_to_the_undisturbed_numbers(
    name: str, store: Path, resumed: list[str]
) -> None:
    """From the checkpoint of its second epoch of four; the curve gets each epoch once."""
    killed = OLD["killed"][name]
    before = BEFORE[killed["key"]]
    assert before["status"] == "KILLED" and before["metrics"]["seconds"]
    upgate(*as_then(killed["arguments"]))
    after = by_key(runs())
    run = after.pop(killed["key"])
    assert resumed == ["last.ckpt"]
    assert (run["status"], run["run_id"]) == ("FINISHED", before["run_id"])
    assert after == {key: other for key, other in BEFORE.items() if key != killed["key"]}
    assert differences(timeless(without_new_references(run)), killed["metrics"]) == []
    curve = "select step from metrics where run_uuid = ? and key = 'train/loss' order by step"
    assert query(store / "mlflow.db", curve, run["run_id"]) == [(1,), (2,), (3,), (4,)]
