"""`upgate predict horizon=all`: several days ahead, each by a run of its own."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import upgate
from helpers.run import train
from upgate.cli.entry import main
from upgate.run.checkpoint import load_checkpoint
from upgate.run.spec import RunSpec
from upgate.store.store import Store
from upgate.tasks.stock.path import HorizonPath

ONE = ("twin=false", "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path of three horizons, trained in another order; then a fourth's runs of something else,
    and one that is alone.
    """
    root = tmp_path_factory.mktemp("path") / "runs"
    typed = ["upgate", "train", "task=stock", "task.target=volatility", "promote=true"]
    for words in (
        ("task.horizon=3,1,2",),
        ("task.horizon=4", "seed=1"),
        ("task.horizon=4", "optimizer.lr=1e-5"),
        ("task.horizon=4", "data.start=2016"),
        ("task.horizon=7", "task.target=volatility", "seed=0"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [*typed, words[0]])
            assert train(root, *words, *ONE, sweep=True)[0] == 0
    return root


def key(root: Path, horizon: int, **params: str) -> str:
    wanted = {"task.horizon": str(horizon), "task.target": "return", "seed": "0", **params}
    rows = [row for row in Store(root).rows() if not row.is_parent]
    return next(row.key for row in rows if wanted.items() <= row.params.items())


def test_a_path_is_what_each_of_its_runs_predicts(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "path.csv"
    for horizon in (3, 1, 2):  # whichever of them is named
        words = ["predict", f"root={root}", f"run={key(root, horizon)}", "horizon=all"]
        assert main([*words, "interval=0.8", f"out={out}"]) == 0
        path = pd.read_csv(out, parse_dates=["last_day", "date"])
        assert path["days_ahead"].tolist() == [1, 2, 3]
        assert path["date"].tolist() == list(pd.bdate_range("2019-01-02", periods=3))
        assert path["run"].tolist() == [key(root, days)[:16] for days in (1, 2, 3)]
    for i, days in enumerate((1, 2, 3)):
        row = next(row for row in Store(root).rows() if row.key == key(root, days))
        alone = upgate.predict(run=row.key, interval=0.8, root=root)
        kept = path.iloc[[i]].reset_index(drop=True)[list(alone)]
        pd.testing.assert_frame_equal(kept, alone, check_dtype=False)
        for name in ("mse_ratio", "coverage_80"):
            assert path.loc[i, name] == row.metrics[f"test/{name}"]
    told = upgate.predict(run=key(root, 2), interval=0.8, horizon="all", root=root)
    pd.testing.assert_frame_equal(told, path, check_dtype=False)
    assert "all of them hold together less often" in capsys.readouterr().err


def test_the_table_fits_a_terminal_and_the_picture_is_one(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = ["predict", f"root={root}", f"run={key(root, 1)}", "horizon=all"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "SP500 at 2506.85" in said and max(map(len, said.splitlines())) <= 80
    rows = [line.split() for line in said.splitlines() if "2019-01-" in line]
    assert [row[:2] for row in rows] == [
        ["1", "2019-01-02"],
        ["2", "2019-01-03"],
        ["3", "2019-01-04"],
    ]
    assert main([*words, f"out={tmp_path / 'path.png'}"]) == 0
    assert (tmp_path / "path.png").read_bytes().startswith(b"\x89PNG")
    assert main([*words[:-1], f"out={tmp_path / 'one.png'}"]) == 2
    assert "of horizon=all alone; name a csv" in capsys.readouterr().err
    assert not (tmp_path / "one.png").exists()


def test_every_ticker_has_its_path_and_its_days(root: Path, tmp_path: Path) -> None:
    days = pd.bdate_range("2020-01-01", periods=60)
    close = 100 + pd.Series(range(60)) % 7
    bars = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0}
    frames = [
        pd.DataFrame({"ticker": name, "date": days - pd.Timedelta(days=back), **bars})
        for name, back in (("B", 7), ("A", 0))
    ]
    told = upgate.predict(pd.concat(frames), run=key(root, 1), horizon="all", root=root)
    assert told["ticker"].tolist() == ["A"] * 3 + ["B"] * 3
    assert told["days_ahead"].tolist() == [1, 2, 3] * 2
    for ticker, last in (("A", days[-1]), ("B", days[-1] - pd.Timedelta(days=7))):
        own = told[told["ticker"] == ticker]
        assert own["date"].tolist() == list(pd.bdate_range(last, periods=4)[1:])
    figure = HorizonPath().draw(told, pd.concat(frames).rename(columns={"close": "value"}))
    assert [axes.get_title(loc="left")[:2] for axes in figure.axes] == ["A,", "B,"]


@pytest.mark.parametrize("other", [{"seed": "1"}, {"optimizer.lr": "1e-05"}])
def test_a_run_alone_is_told_how_the_others_are_trained(
    other: dict[str, str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where runs of other horizons differ in something else: they are no part of its path."""
    assert main(["predict", f"root={root}", f"run={key(root, 4, **other)}", "horizon=all"]) == 2
    said = capsys.readouterr().err
    assert "no other run differs in task.horizon alone" in said and said.count("\n") == 1
    assert main(["predict", f"root={root}", f"run={key(root, 7, **{'task.target': 'volatility'})}",
                 "horizon=all"]) == 2  # fmt: skip
    command = "upgate train -m task=stock task.target=volatility task.horizon=1,2,3,4,5,7 trains"
    assert command in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["predict", "horizon=3"], "horizon=3: horizon=all takes the runs of all"),
        (
            ["train", "task=stock", "task.horizon=[1,2,3,4,5]"],
            "upgate train -m task=stock task.horizon=1,2,3,4,5",
        ),
        (["train", "-m", "task=stock", "task.horizon=[1,2]"], "-m task=stock task.horizon=1,2"),
    ],
)
def test_what_is_no_path_is_one_sentence(
    words: list[str], told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, f"root={root}"]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_a_gap_that_was_given_stays_and_one_that_was_the_horizon_follows(root: Path) -> None:
    kept = load_checkpoint(root / key(root, 3)[:16] / "best.ckpt")["hyper_parameters"]["spec"]
    assert (
        yaml.safe_load((root / key(root, 3)[:16] / "config.yaml").read_text())["split"]["gap"]
        is None
    )
    follows, stays = HorizonPath().specs(kept, [1, 2, 3])
    assert [RunSpec.from_dict(spec).key for spec in follows] == [key(root, h) for h in (1, 2, 3)]
    assert [spec["split"]["gap"] for spec in stays] == [3, 3, 3]
    given = {**kept, "split": {**kept["split"], "gap": 5}}
    (only,) = HorizonPath().specs(given, [1, 2, 3])
    assert [spec["split"]["gap"] for spec in only] == [5, 5, 5] and only[2] == given
