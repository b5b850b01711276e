"""`upgate judge` on files and on MLflow stores that Upgate never made."""

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.files import arrow_files
from helpers.project import REPO
from upgate import cli
from upgate.store.foreign import ClientRuns, find_experiment, open_client, open_runs

SEEDS = 6
WORDS = ["metric=accuracy", "group=model", "baseline=lstm"]


def accuracy(model: str, seed: int) -> float:
    """A score per run; seeds matter more than models."""
    rng = np.random.default_rng([seed, 0])
    own = np.random.default_rng([seed, len(model)])
    return float(0.8 + rng.normal(0, 0.02) + own.normal(0, 0.003) + 0.02 * (model == "gru"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow store as user code makes it: 6 seeds of 2 models, a failed and a running run."""
    folder = tmp_path_factory.mktemp("foreign")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    number = client.create_experiment("models", artifact_location=str(folder / "artifacts"))
    for model in ("lstm", "gru", "odd"):
        for seed in range(SEEDS):
            run = client.create_run(number).info.run_id
            client.log_param(run, "model", model)
            client.log_param(run, "seed", seed)
            client.log_metric(run, "accuracy", 0.1, step=0)
            client.log_metric(run, "accuracy", accuracy(model, seed), step=1)
            client.set_terminated(run)
    for status in ("FAILED", "RUNNING"):
        run = client.create_run(number).info.run_id
        client.log_param(run, "model", "odd")
        client.log_param(run, "seed", SEEDS)
        client.set_terminated(run, status) if status == "FAILED" else None
    client.set_terminated(client.create_run(number).info.run_id)  # a parent without parameters
    yield uri


def judged(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:  # type: ignore[type-arg]
    assert cli.main(["judge", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_store_is_judged_as_scipy_does(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = judged([f"mlflow.uri={store}", "mlflow.experiment=models", *WORDS], capsys)
    rows = {row["group"]: row for row in found["verdicts"]}
    values = [[accuracy(model, seed) for seed in range(SEEDS)] for model in ("gru", "lstm")]
    test = stats.ttest_rel(*values)
    assert rows["gru"]["p"] == pytest.approx(test.pvalue)
    level = rows["gru"]["level"]  # of Holm's step: another group is asked about too
    assert level == pytest.approx(0.025)
    assert rows["gru"]["low"] == pytest.approx(test.confidence_interval(1 - level).low)
    assert "97.5% interval" in found["sentence"]
    assert rows["gru"]["verdict"] == "helps" and rows["gru"]["n"] == SEEDS
    assert "Unfinished runs, left out: 1." in found["sentence"]
    assert "Runs without accuracy, left out: 1." in found["sentence"]
    assert "Diverged runs: 1." in found["sentence"]


def test_a_filter_selects_the_same_runs_as_mlflows_own_search(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = [f"mlflow.uri={store}", "mlflow.experiment=models"]
    found = judged([*source, "mlflow.filter=params.model != 'odd'", *WORDS], capsys)
    (row,) = found["verdicts"]
    whole = judged([*source, *WORDS], capsys)["verdicts"][0]
    assert [row["group"], row["p"]] == ["gru", whole["p"]]
    client = open_client(store)
    experiment = find_experiment(client, store, "models")
    for text in FILTERS:
        rows = open_runs(store, "models", text).read(["metrics.accuracy"])
        searched = ClientRuns(client, experiment, text).read(["metrics.accuracy"])
        assert sorted(rows["run_id"]) == sorted(searched["run_id"]), text
        assert 0 < len(rows) < 21 or text == FILTERS[-1]
    one, other = open_runs(store, "models"), ClientRuns(client, experiment, "")
    assert set(one.columns) == {"params.model", "params.seed", "metrics.accuracy"} | {
        name for name in one.columns if name.startswith("tags.mlflow.")
    }
    columns = ["params.model", "metrics.accuracy"]
    read = [runs.read(columns).dropna() for runs in (one, other)]
    frames = [frame.sort_values("run_id", ignore_index=True) for frame in read]
    assert len(frames[0]) == 3 * SEEDS
    pd.testing.assert_frame_equal(*frames)


FILTERS = (
    "params.model = 'gru'",
    "params.model != 'gru' and metrics.accuracy > 0.8",
    "params.model LIKE 'g%' and params.seed != '2'",
    "attributes.status = 'FAILED'",
    "params.model IS NULL",
    "tags.mlflow.runName IS NOT NULL and params.seed = '6'",
    "datasets.name = 'a data set that no run has'",
)


def test_a_filter_that_nothing_matches_or_nobody_can_read_is_one_sentence(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, sentence in (
        ("params.model = 'rnn'", "has no runs that match mlflow.filter=params.model = 'rnn'"),
        ("paramz.model = 'gru'", "cannot be read: Invalid entity type 'paramz'"),
    ):
        words = [f"mlflow.uri={store}", "mlflow.experiment=models", f"mlflow.filter={text}"]
        assert cli.main(["judge", *words, *WORDS]) == 2
        assert sentence in capsys.readouterr().err


def test_items_of_runs_without_artifacts_leave_a_verdict_over_seeds_only(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = [f"mlflow.uri={store}", "mlflow.experiment=models"]
    found = judged([*source, *WORDS, "items=review"], capsys)
    assert found["verdicts"] == judged([*source, *WORDS], capsys)["verdicts"]
    assert "6 pairs, over seeds only" in found["sentence"]
    assert "No run has an artifact table with the column review" in found["sentence"]


@pytest.mark.skipif(not (REPO / "docs" / "judge.md").exists(), reason="not a checkout")
def test_the_commands_of_its_page_run(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pages = [(REPO / "docs" / name).read_text("utf-8") for name in ("judge.md", "judge.zh-CN.md")]
    blocks = [re.findall(r"^```bash\n(.*?)^```$", page, re.M | re.S) for page in pages]
    assert len(blocks[0]) == 1 and blocks[0] == blocks[1]
    line = blocks[0][0].replace("\\\n", "").replace("sqlite:///mlflow.db", store)
    assert cli.main(shlex.split(line)[1:]) == 0 and capsys.readouterr().out
    assert (tmp_path / "judgement.html").stat().st_size > 1000


def test_a_store_is_only_read(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(store.removeprefix("sqlite:///"))
    before = path.read_bytes(), sorted(path.parent.iterdir())
    judged([f"mlflow.uri={store}", "mlflow.experiment=models", *WORDS], capsys)
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before


def test_a_verdict_is_written_to_the_store_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    number = client.create_experiment("models", artifact_location=str(tmp_path / "files" / "1"))
    for model in ("lstm", "lr=0.1"):
        for seed in range(SEEDS):
            run = client.create_run(number).info.run_id
            client.log_param(run, "model", model)
            client.log_param(run, "seed", seed)
            client.log_metric(run, "accuracy", accuracy(model[:3], seed))
            client.set_terminated(run)
    words = [f"mlflow.uri={uri}", "mlflow.experiment=models", *WORDS]
    found = judged(words, capsys)
    assert client.get_experiment_by_name("upgate-judge") is None
    for _ in range(2):
        assert cli.main(["judge", *words, "write=true"]) == 0
        assert "written to the store: experiment upgate-judge, run " in capsys.readouterr().out
    experiment = client.get_experiment_by_name("upgate-judge")
    assert experiment.artifact_location == str(tmp_path / "files" / "upgate-judge")
    written, _ = client.search_runs([experiment.experiment_id])
    (row,) = found["verdicts"]
    assert written.info.status == "FINISHED" and written.data.params["baseline"] == "lstm"
    assert written.data.metrics["lr_0.1/effect"] == pytest.approx(row["effect"])
    assert written.data.tags["upgate.verdict.lr_0.1"] == row["verdict"]
    assert written.data.tags["upgate.sentence"] == found["sentence"]
    files = {file.path for file in client.list_artifacts(written.info.run_id)}
    assert files == {"judgement.json", "judgement.html"}
    assert judged(words, capsys) == found  # verdicts are not runs of the experiment


def test_a_store_that_takes_no_verdict_is_one_sentence(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"mlflow.uri={store}", "mlflow.experiment=models", *WORDS, "write=true"]
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert cli.main(["judge", *words]) == 2
    assert "must be writable" in capsys.readouterr().err
    monkeypatch.undo()
    path = Path(store.removeprefix("sqlite:///"))
    refuse = "create trigger closed before insert on runs begin select raise(abort, 'closed'); end"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(refuse)
    try:
        assert cli.main(["judge", *words]) == 2
        out, err = capsys.readouterr()
        assert f"write=true: {store} cannot be written (" in err and out == ""
    finally:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("drop trigger closed")


@pytest.mark.parametrize("more", [[], ["mlflow.filter=params.lr = '0.1'"]])
@pytest.mark.long
def test_twenty_thousand_runs_take_less_than_ten_seconds(tmp_path: Path, more: list[str]) -> None:
    """Its processor time, which other tests do not lengthen."""
    from mlflow import MlflowClient

    path = tmp_path / "large.db"
    number = MlflowClient(tracking_uri=f"sqlite:///{path}").create_experiment("large")
    fill(path, int(number), 20_000)
    words = ["judge", f"mlflow.uri=sqlite:///{path}", "mlflow.experiment=large", "--json", *more]
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "upgate.cli", *words, "metric=acc", "group=model", "baseline=a"],
        capture_output=True,
        text=True,
        check=True,
    )
    after = os.times()
    assert json.loads(done.stdout)["verdicts"][0]["n"] == 10_000
    used = after.children_user + after.children_system
    assert used - before.children_user - before.children_system < 10


def fill(path: Path, experiment: int, runs: int) -> None:
    """Runs of two models, with six parameters and five metrics each, straight into the tables."""
    rng = np.random.default_rng(0)
    now = int(time.time() * 1000)
    with closing(sqlite3.connect(path)) as connection, connection:
        for i in range(runs):
            run = f"{i:032x}"
            connection.execute(
                "insert into runs(run_uuid, name, status, start_time, end_time, lifecycle_stage,"
                " experiment_id, source_type)"
                " values (?, ?, 'FINISHED', ?, ?, 'active', ?, 'LOCAL')",
                (run, f"run {i}", now, now, experiment),
            )
            given = {"model": "ab"[i % 2], "seed": i // 2, "lr": 0.1, "batch": 32, "epochs": 3}
            rows = [(key, str(value), run) for key, value in (given | {"hidden": 64}).items()]
            connection.executemany(
                "insert into params(key, value, run_uuid) values (?, ?, ?)", rows
            )
            names = ("acc", "loss", "val_acc", "val_loss", "seconds")
            values = [(name, rng.normal(0.8, 0.02), now, 0, 0, run) for name in names]
            connection.executemany(
                "insert into latest_metrics(key, value, timestamp, step, is_nan, run_uuid)"
                " values (?, ?, ?, ?, ?, ?)",
                values,
            )


def test_a_folder_of_runs_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Lightning's MLFlowLogger makes where nothing is set."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    folder = tmp_path / "mlruns"
    client = MlflowClient(tracking_uri=folder.as_uri())
    number = client.create_experiment("plain")
    for seed in range(2):
        run = client.create_run(number).info.run_id
        client.log_param(run, "seed", seed)
        client.log_metric(run, "accuracy", float("nan") if seed else 0.5)
        client.set_terminated(run)
    frame = open_runs(str(folder), "plain").read(["params.seed", "metrics.accuracy"])
    assert sorted(frame["params.seed"]) == ["0", "1"] and len(frame) == 2


@pytest.mark.long
def test_scikit_learns_autolog_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: autolog changes scikit-learn for good."""
    pytest.importorskip("sklearn")
    uri = f"sqlite:///{tmp_path / 'sk.db'}"
    code = f"""
import warnings; warnings.simplefilter("ignore")
import mlflow
from sklearn.datasets import make_classification
from sklearn.tree import DecisionTreeClassifier
mlflow.set_tracking_uri({uri!r})
mlflow.set_experiment("trees")
mlflow.sklearn.autolog(log_models=False, silent=True, log_datasets=False)
for seed in range(6):
    X, y = make_classification(400, flip_y=.2, random_state=seed)
    for depth in (1, 4):
        with mlflow.start_run():
            model = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(X[:200], y[:200])
            mlflow.log_metric("test_accuracy", model.score(X[200:], y[200:]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)
    words = [f"mlflow.uri={uri}", "mlflow.experiment=trees", "metric=test_accuracy"]
    found = judged([*words, "group=max_depth", "baseline=1", "pair=random_state"], capsys)
    (row,) = found["verdicts"]
    assert row["group"] == "4" and row["n"] == 6
    frame = open_runs(uri, "trees").read(["params.max_depth", "metrics.test_accuracy"])
    groups = frame.groupby("params.max_depth")["metrics.test_accuracy"]
    means = {name: float(np.mean(list(values))) for name, values in groups}
    assert row["effect"] == pytest.approx(means["4"] - means["1"])


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    rows = [
        {"model": model, "seed": seed, "accuracy": accuracy(model, seed)}
        for model in ("lstm", "gru")
        for seed in range(SEEDS)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "runs.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "runs.parquet")
    return tmp_path / "runs.csv"


def test_a_table_is_judged_and_written_as_a_page(
    csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = csv.with_name("page.html")
    assert cli.main(["judge", f"data.path={csv}", *WORDS, f"out={page}"]) == 0
    out = capsys.readouterr().out
    assert "gru helps: accuracy" in out and "6 pairs, over seeds only" in out and str(page) in out
    html = page.read_text(encoding="utf-8")
    assert "gru helps: accuracy" in html and "<script" not in html and "://" not in html
    feather = csv.with_suffix(".feather")
    feather.write_bytes(arrow_files(pd.read_csv(csv))["zstd.feather"])
    assert cli.main(["judge", f"data.path={feather}", *WORDS]) == 0
    assert capsys.readouterr().out == out.removesuffix(f"{page}\n")
    feather.write_bytes(feather.read_bytes()[:-1])
    assert cli.main(["judge", f"data.path={feather}", *WORDS]) == 2
    assert "runs.feather cannot be read: its end is missing" in capsys.readouterr().err
    words = [f"data.path={csv.with_suffix('.parquet')}", *WORDS, f"out={page}"]
    assert cli.main(["judge", *words, "report.language=zh"]) == 0
    assert "gru 有益" in capsys.readouterr().out
    assert 'lang="zh-Hans"' in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["metrc=accuracy"], "unknown key metrc, did you mean 'metric'?"),
        (["data.path=runs.csv", "group=model"], "metric is missing"),
        (["metric=accuracy"], "mlflow.uri is missing: give data.path=FILE, or mlflow.uri=URI"),
        (["data.path=a.csv", "mlflow.uri=b"], "data.path and mlflow.uri are two sources"),
        (["data.path=runs.csv", *WORDS, "write=true"], "write=true writes to an MLflow store"),
        (["mlflow.uri=a", "mlflow.experiment=b", "write=ture"], "write=ture must be true or false"),
        (["data.path=no.csv", *WORDS], "data.path=no.csv is not a file"),
        (["data.path=runs.csv", *WORDS, "alpha=high"], "alpha=high must be a number"),
        (["data.path=runs.csv", *WORDS, "better=highr"], "did you mean 'higher'?"),
        (["data.path=runs.csv", *WORDS, "report.language=cn"], "report.language=cn is not a"),
        (["data.path=runs.csv", *WORDS, "out=no/page.html"], "there is no folder no"),
        (["data.path=runs.csv", *WORDS, "--jsno"], "did you mean '--json'?"),
        (["mlflow.uri=sqlite:///no.db", "mlflow.experiment=a", *WORDS], "there is no file"),
        (["mlflow.uri=nowhere", "mlflow.experiment=a", *WORDS], "is not a store: give sqlite:///"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    csv: Path,
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(csv.parent)
    assert cli.main(["judge", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and sentence in err
    assert not (csv.parent / "no.db").exists()


def test_an_experiment_that_is_not_there_is_answered_with_the_nearest(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["mlflow.filter=params.a = 'b'"]):
        words = [f"mlflow.uri={store}", "mlflow.experiment=model", *more]
        assert cli.main(["judge", *words, *WORDS]) == 2
        assert "did you mean 'models'?" in capsys.readouterr().err


def test_another_database_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table runs (a int)")
    assert cli.main(["judge", f"mlflow.uri=sqlite:///{path}", "mlflow.experiment=a", *WORDS]) == 2
    assert "is not a database of MLflow" in capsys.readouterr().err
