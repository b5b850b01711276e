"""Reviews end to end on a real store: run, twin and references; leaks; A, B, A; a kill; labels for
new text.
"""

import io
import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.execution import wait_for
from helpers.report import outline
from helpers.run import numbers, results, small, start, train
from upgate.cli.entry import main
from upgate.config.compose import compose
from upgate.experiment.jobs import make_pair
from upgate.run.checkpoint import load_checkpoint
from upgate.run.datasets import Datasets
from upgate.store.store import Store
from upgate.tasks.registry import get_task
from upgate.tasks.sentiment.datamodule import SentimentDataModule
from upgate.tasks.sentiment.explain import explain_texts
from upgate.tasks.sentiment.explained import REVIEWS

pytestmark = pytest.mark.pictures
RUN, TWIN = "upgraded seed=0", "traditional seed=0"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("reviews") / "runs"
    code, said = train(root, "task=sentiment")
    assert code == 0
    return root, said


def test_a_run_stands_beside_its_twin_and_the_references(trained: tuple[Path, str]) -> None:
    runs = results(trained[0])
    run, twin = runs[RUN], runs[TWIN]
    assert run["twin"]["key"] == twin["key"]
    assert (
        run["difference"]["test/accuracy"]
        == run["metrics"]["test/accuracy"] - twin["metrics"]["test/accuracy"]
    )
    assert run["metrics"]["test/linear/accuracy"] == twin["metrics"]["test/linear/accuracy"]
    for word in (
        RUN,
        "twin, traditional",
        "difference",
        "majority",
        "linear",
        "best attainable accuracy",
        "next, for a verdict",
    ):
        assert word in trained[1]


def test_the_files_of_a_run_agree_with_its_numbers(trained: tuple[Path, str]) -> None:
    run = results(trained[0])[RUN]
    folder = Path(run["folder"])
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert (predictions["truth"] == predictions["predicted"]).mean() == pytest.approx(
        run["metrics"]["test/accuracy"]
    )
    twin = pd.read_parquet(Path(results(trained[0])[TWIN]["folder"]) / "predictions.parquet")
    apart = pd.read_csv(folder / "disagreements.csv")
    assert len(apart) == min(50, (predictions["predicted"] != twin["predicted"]).sum())
    stored = {artifact.path for artifact in Store(trained[0]).client.list_artifacts(run["run_id"])}
    assert {
        "confusion.png",
        "curves.png",
        "predictions.parquet",
        "disagreements.csv",
        "best.ckpt",
    } <= stored


def test_the_same_spec_gives_the_same_numbers_whatever_ran_before(
    trained: tuple[Path, str], tmp_path: Path
) -> None:
    train(
        tmp_path / "b" / "runs",
        "task=sentiment",
        "optimizer=rmsprop",
        "regularization=[dropout,l1]",
        "seed=5",
        "data.language=both",
    )
    train(tmp_path / "a" / "runs", "task=sentiment")
    again, first = results(tmp_path / "a" / "runs"), results(trained[0])
    for name in (RUN, TWIN):
        assert numbers(again[name]) == numbers(first[name])


def test_what_stands_in_test_reviews_reaches_nothing_that_trains(tmp_path: Path) -> None:
    """The leak test: other test reviews, and the vocabulary and every training batch are the same,
    bit for bit.
    """
    job, _ = make_pair(small("task=sentiment", f"cache={tmp_path}"), Datasets(), None)
    task = get_task("sentiment")
    reviews = task.load(job.config.data.to_dict())
    before = task.datamodule(
        reviews, job.spec.task.to_dict(), job.spec.split.to_dict(), 0, job.config.to_dict()
    )
    assert isinstance(before, SentimentDataModule)
    test = before.rows["test"].numpy()
    changed = reviews.table.copy()
    changed.loc[test, "text"] = [f"unheard wörter {i} 好" for i in range(len(test))]
    changed.loc[test, "label"] = 1 - changed.loc[test, "label"]
    object.__setattr__(reviews, "table", changed)
    after = task.datamodule(
        reviews, job.spec.task.to_dict(), job.spec.split.to_dict(), 0, job.config.to_dict()
    )
    assert isinstance(after, SentimentDataModule)
    ratios, others = before.state.pop("ratios"), after.state.pop("ratios")
    assert before.state == after.state
    assert torch.equal(ratios.pop("keys"), others.pop("keys"))
    assert torch.equal(ratios.pop("values"), others.pop("values"))
    assert ratios == others
    for a, b in zip(
        before.with_batching(64, 3).train_dataloader(),
        after.with_batching(64, 3).train_dataloader(),
        strict=True,
    ):
        assert all(torch.equal(a[key], b[key]) for key in a)
    for a, b in zip(before.part("validation"), after.part("validation"), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
    for name, probabilities in before.references("validation").items():
        assert np.array_equal(probabilities, after.references("validation")[name])


@pytest.mark.long
def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    words = ["task=sentiment", "trainer.max_epochs=12"]
    root = tmp_path / "killed" / "runs"
    root.parent.mkdir()
    process = start(root, *words)
    wait_for(lambda: list(root.glob("*/last.ckpt")), 90, "an epoch")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    for place in (root, tmp_path / "undisturbed" / "runs"):
        assert train(place, *words)[0] == 0
    undisturbed = results(tmp_path / "undisturbed" / "runs")
    assert {name: numbers(run) for name, run in results(root).items()} == {
        name: numbers(run) for name, run in undisturbed.items()
    }


def test_predict_labels_texts_as_the_run_did(
    trained: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scored = pd.read_parquet(Path(results(trained[0])[RUN]["folder"]) / "predictions.parquet")
    file, out = tmp_path / "new.txt", tmp_path / "labels.csv"
    file.write_text("\n".join(scored["text"]) + "\n", encoding="utf-8")
    assert main(["predict", f"root={trained[0]}", f"data.path={file}", f"out={out}"]) == 0
    told = pd.read_csv(out)
    assert told["probability"].to_numpy() == pytest.approx(
        scored["probability"].to_numpy(), abs=1e-6
    )
    assert told["text"].tolist() == scored["text"].tolist()
    monkeypatch.setattr("sys.stdin", io.StringIO(scored["text"].iloc[0] + "\n\n"))
    assert main(["predict", f"root={trained[0]}"]) == 0
    assert told["label"].iloc[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["split=holdout"], "split=holdout cuts prices by date; reviews take split=stratified"),
        (["task.tokenizer=letters"], "task.tokenizer"),
        (["fold=10"], "fold=10 is not there"),
        (["data.train=3", "data.test=3"], "more reviews"),
        (["task.window=5"], "window belongs to task=stock"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "train",
                *small("task=sentiment", *words, f"root={tmp_path / 'runs'}", f"cache={tmp_path}"),
            ]
        )
        == 2
    )
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data=sp500"], "data=sp500 is not for task=sentiment"),
        (["data=texts"], "data.path is missing"),
    ],
)
def test_a_wrong_source_is_one_sentence(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "task=sentiment", *words]) == 2
    assert told in capsys.readouterr().err


def test_word_dropout_is_not_for_prices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "task=stock", "regularization=[word]"]) == 2
    assert "regularization=word" in capsys.readouterr().err


def test_runs_lists_both_tasks(
    trained: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", f"root={trained[0]}", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {run["name"] for run in listed} == {RUN, TWIN}
    assert main(["runs", f"root={trained[0]}"]) == 0
    assert "accuracy on the test part" in capsys.readouterr().out


def test_the_upgraded_recipe_has_its_own_parts_for_each_task() -> None:
    reviews, prices = compose(["task=sentiment"]), compose(["task=stock"])
    assert set(reviews["regularization"]) == {"locked", "word"} and set(
        prices["regularization"]
    ) == {"dropout"}
    assert set(compose(["task=sentiment", "regularization=[l1]"])["regularization"]) == {"l1"}
    assert compose(["task=sentiment", "recipe=traditional"])["regularization"] == {}


def test_the_words_shares_and_the_linear_models_make_the_answer(
    trained: tuple[Path, str],
) -> None:
    """The sum is the log-odds of the stored probabilities, in any order of the reviews."""
    folders = [Path(results(trained[0])[name]["folder"]) for name in (RUN, TWIN)]
    run, twin = (load_checkpoint(folder / "best.ckpt") for folder in folders)
    stored = [pd.read_parquet(folder / "predictions.parquet") for folder in folders]
    about = stored[0][["row", "text"]].iloc[:4].assign(run="positive", twin="negative")
    explained = explain_texts(about, run, twin)
    for one in explained:
        for account, table in zip((one.run, one.twin), stored, strict=True):
            p = table.set_index("row").loc[one.about["row"]]
            odds = np.log(p["p_positive"] / p["p_negative"])
            assert account.total == pytest.approx(odds, abs=1e-4)
            assert abs(account.gap) < 0.05 * max(1, np.abs(account.shares).sum())
            assert account.reference != 0
        text, words = one.about["text"], one.words
        assert "".join(text[w.start : w.end] for w in words) == text.replace(" ", "")
        for name in ("run", "twin"):
            total = sum(getattr(word, name) for word in words)
            assert total == pytest.approx(getattr(one, name).shares.sum(), abs=1e-6)
    back = explain_texts(about[::-1], run, twin)[::-1]
    for one, other in zip(explained, back, strict=True):
        assert one.words == other.words and one.run.total == other.run.total


def test_the_page_of_a_run_shows_the_reviews_with_different_answers(
    trained: tuple[Path, str], tmp_path: Path
) -> None:
    root, out = trained[0], tmp_path / "run.html"
    folders = [Path(results(root)[name]["folder"]) for name in (RUN, TWIN)]
    first, second = (pd.read_parquet(folder / "predictions.parquet") for folder in folders)
    count = int((first["predicted"] != second["predicted"]).sum())
    for language in ("en", "zh"):
        words = ["report", "run=latest", f"root={root}", f"out={out}"]
        assert main([*words, f"report.language={language}"]) == 0
        found = outline(out.read_text())
        assert [tag for tag, _ in found.tags].count("h3") == min(count, REVIEWS)
    assert "report run=" in trained[1]
