"""study.over: the words for data sets, and real tiny studies of three with one answer over them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from helpers.report import result as made_up
from helpers.study import tiny
from upgate import cli
from upgate.errors import UserError
from upgate.report.over import over_page, over_sentence
from upgate.report.over_ranks import ranks
from upgate.report.texts import report_translator
from upgate.run.datasets import Datasets
from upgate.serialization import from_json, to_json
from upgate.stats.power import power
from upgate.stats.random_effects import outlook, random_effects
from upgate.store.store import Store
from upgate.study.data_sets import read_data_sets
from upgate.study.load import Experiment, analyze_stored, list_overs, load_over, load_study
from upgate.study.options import read_study_options
from upgate.study.over import over_command
from upgate.study.over_analyze import analyze_over, combine_studies
from upgate.study.over_result import OverResult
from upgate.study.over_text import over_table
from upgate.study.plan import plan_study
from upgate.study.result import StudyResult

NAMES = ["AAA", "BBB", "CCC"]
OPTIONS = ["data=prices", "study.seeds=2", "study.aa=false", "study.zero=false"]
SMALL = ["task=stock", "task.window=5", "model.hidden_size=4", "model.num_layers=1"]
SMALL += ["trainer.max_epochs=1", "trainer.accelerator=cpu", "threads=1"]


def write_prices(folder: Path) -> Path:
    """AAA.csv, BBB.csv, CCC.csv, and panel.csv with all of them."""
    folder.mkdir()
    tables = []
    for i, name in enumerate(NAMES):
        rng = np.random.default_rng(i)
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 300)))
        days = pd.bdate_range("2020-01-01", periods=300)
        bars = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
        tables.append(pd.DataFrame({"ticker": name, "date": days, **bars}))
        tables[-1].to_csv(folder / f"{name}.csv", index=False)
    pd.concat(tables).to_csv(folder / "panel.csv", index=False)
    return folder


def words(root: Path, over: str) -> list[str]:
    return [*SMALL, *OPTIONS, over, f"root={root}", f"cache={root.parent / 'prepared'}"]


def study_over(root: Path, over: str, *more: str) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=80)
    code = over_command([*words(root, over), *more], None, True, console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, OverResult]:
    folder = write_prices(tmp_path_factory.mktemp("over") / "prices")
    root = folder.parent / "runs"
    listed = ", ".join(f"data.path={folder / name}.csv" for name in NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        code, said = study_over(root, f"study.over={listed}")
    assert code == 0, said
    store = Store(root)
    (name,) = list_overs(store)
    return root, said, analyze_over(store, load_over(store, name))


def test_each_data_set_has_the_study_that_one_runs_by_itself(
    done: tuple[Path, str, OverResult],
) -> None:
    root, _, found = done
    for name, study_id in found.experiment.studies.items():
        own = words(root, f"data.path={root.parent / 'prices' / name}.csv")
        plan = plan_study(own, None, Datasets())
        assert plan.study.id == study_id
        assert load_study(Store(root), study_id).keys == plan.study.keys


def test_the_answer_is_random_effects_over_the_studies(done: tuple[Path, str, OverResult]) -> None:
    root, said, found = done
    verdicts = [one.verdict for one in found.sets if one.verdict is not None]
    assert [one.name for one in found.sets] == NAMES
    assert all(one.over == "seeds and units" and one.error > 0 for one in verdicts)
    effects = np.array([one.effect for one in verdicts])
    errors = np.array([one.error for one in verdicts])
    losses = []
    for study_id in found.experiment.studies.values():
        own = analyze_stored(Store(root), load_study(Store(root), study_id)).losses
        losses.append(np.subtract(own["upgraded"], own["traditional"]))
    correlations = np.corrcoef(losses)  # the files have the same days
    assert found.correlation == pytest.approx(correlations[np.triu_indices(3, 1)].mean())
    expected = random_effects(effects, errors**2, found.question.level, correlations)
    assert found.together is not None and found.new is not None
    one = found.together
    assert (one.effect, one.low, one.high, one.n) == pytest.approx(
        (expected.effect, expected.low, expected.high, 3)
    )
    new = outlook(expected, found.question.margin, "lower")
    assert (found.new.better, found.new.equivalent, found.new.worse) == pytest.approx(new)
    assert sum(new) == pytest.approx(1) and found.new.low < one.low < one.high < found.new.high
    assert found.sentence in said
    table = said[said.index("MSE ratio, lower is better") : said.index("a data set's verdict")]
    places = [table.index(name) for name in (*NAMES, "all together", "a new data set", "P(better")]
    assert places == sorted(places) and max(map(len, table.splitlines())) <= 80


def test_the_plan_sums_runs_and_names_every_study(done: tuple[Path, str, OverResult]) -> None:
    said, found = done[1], done[2]
    assert "all data sets: 12 runs, 0 done and 12 to do; about" in said
    plan = said[: said.index("all data sets: 12 runs")]
    assert all(study_id in plan for study_id in found.experiment.studies.values())


@pytest.mark.long
def test_the_same_command_trains_nothing_and_gives_the_same(
    done: tuple[Path, str, OverResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _, found = done
    trained = sorted(root.glob("*/result.json"))
    (folder,) = root.glob("studies/*-over-*")
    before = (folder / "result.json").read_text()
    times = [path.stat().st_mtime_ns for path in trained]
    monkeypatch.chdir(root.parent / "prices")
    panel = "study.over=tickers"  # the same data, so the same studies
    code, said = study_over(root, panel, "data.path=panel.csv")
    assert code == 0 and "12 done and 0 to do" in said and "run 1 of" not in said
    assert sorted(root.glob("*/result.json")) == trained
    assert [path.stat().st_mtime_ns for path in trained] == times
    code, said = study_over(root, "study.over=???.csv")
    assert code == 0 and "12 done and 0 to do" in said
    again = from_json(OverResult, (folder / "result.json").read_text())
    assert to_json(again.together) == to_json(found.together)
    assert to_json(from_json(OverResult, before)) == before


def test_the_store_alone_reports_it(done: tuple[Path, str, OverResult], tmp_path: Path) -> None:
    root, _, found = done
    for language, text in (("en", "all together"), ("zh", "全部合并")):
        out = tmp_path / f"{language}.html"
        own = f"study={found.experiment.id}"
        assert (
            cli.main(["report", own, f"root={root}", f"out={out}", f"report.language={language}"])
            == 0
        )
        page = out.read_text(encoding="utf-8")
        assert text in page and all(one.study in page for one in found.sets)
        assert f"{100 * found.new.better:.0f}%" in page  # type: ignore[union-attr]
    rows = pd.read_csv(next(root.glob("studies/*-over-*")) / "data_sets.csv")
    assert list(rows["data_set"][-2:]) == ["all together", "a new data set"]
    shown = found.question.shown(found.together.effect)  # type: ignore[union-attr]
    assert rows["effect"][3] == pytest.approx(shown)


def made_over(task: str = "stock", design: str = "pair", **counts: dict[str, bool]) -> OverResult:
    """Made-up studies. counts: name -> the arguments of the result."""
    results = {name: made_up(task, design=design, **more) for name, more in counts.items()}
    for name, one in results.items():
        known = [replace(verdict, error=0.01) for verdict in one.verdicts]
        results[name] = replace(one, verdicts=known)
    record = Experiment(f"{task}-over-1a2b3c4d", task, [], dict.fromkeys(results, "x"), ["a", "b"])
    return combine_studies(record, results)


def test_a_diverged_run_or_two_data_sets_leave_it_undecided() -> None:
    two = made_over(a={}, b={})
    assert two.together is not None and two.together.verdict == "undecided"
    bad = made_over(a={}, b={}, c={"diverged": True})
    assert bad.together is not None and bad.together.verdict == "undecided"
    for found in (two, bad):
        assert over_table(found).row_count >= len(found.sets) + 1
        assert "<h1>" in over_page(found, "zh")


@pytest.mark.parametrize("task", ["stock", "sentiment"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_many_recipes_have_ranks_and_profiles_on_the_page(task: str, language: str) -> None:
    found = made_over(task, "parts", a={}, b={}, c={})
    arms = [arm.name for arm in found.question.arms]
    assert found.losses.shape == (3, len(arms)) and len(found.others) == len(arms) - 2
    assert all(not one.verdict for one in found.others)  # parts' arms serve the attribution
    w = report_translator(language)
    figure = ranks(found, w)
    assert figure is not None and [row[0] for row in figure.rows] == arms
    order = np.argsort([float(str(row[1])) for row in figure.rows], kind="stable")
    assert found.losses[0, order].tolist() == sorted(found.losses[0].tolist())
    costs = found.costs
    assert costs is not None and (costs > 0).all()
    page = over_page(found, language)
    assert w("profiles") in page and w("ranks") in page and w("over_others") in page
    few = made_over(task, "parts", a={}, b={})
    assert ranks(few, w) is None and w("profiles") not in over_page(few, language)


def test_an_undecided_answer_says_how_many_more_data_sets_would_decide() -> None:
    found = made_over(a={}, b={}, c={})
    assert found.more_sets is None  # decided, so none is needed
    results = {}
    for i, name in enumerate("abcd"):
        made = made_up(design="pair")
        effect = (-0.05, 0.03, -0.04, 0.02)[i]
        judged = [replace(made.verdicts[0], effect=effect, error=0.001)]
        results[name] = replace(made, verdicts=judged, losses={})
    record = Experiment("stock-over-1a2b3c4d", "stock", [], dict.fromkeys("abcd", "x"), ["a", "b"])
    found = combine_studies(record, results)
    assert found.together is not None and found.together.verdict == "undecided"
    more = found.more_sets
    assert more is not None
    size = abs(found.together.effect) / (found.together.error * 2)
    level = found.question.level
    assert power(size, 4 + more, level) >= 0.8 > power(size, 3 + more, level)
    assert f"about {more} more data sets like these would decide" in found.sentence
    assert str(more) in over_sentence(found, report_translator("zh"))


def test_days_that_data_sets_share_widen_the_answer() -> None:
    made = made_up(design="pair")
    arm = made.verdicts[0].arm
    rng = np.random.default_rng(0)
    days = [f"{day:%Y-%m-%d}" for day in pd.bdate_range("2020-01-01", periods=200)]

    def moved(own: np.ndarray, days: list[str]) -> StudyResult:
        losses = {arm: own.tolist(), made.study.baseline: np.zeros(len(own)).tolist()}
        judged = [replace(made.verdicts[0], error=0.01)]
        return replace(made, dates=days, losses=losses, verdicts=judged)

    common = rng.normal(size=200)
    alike = {name: moved(common + rng.normal(size=200), days) for name in "abc"}
    apart = {name: moved(rng.normal(size=200), [f"{name}{day}" for day in days]) for name in "abc"}
    record = Experiment("stock-over-1a2b3c4d", "stock", [], dict.fromkeys("abc", "x"), ["a", "b"])
    wide, plain = combine_studies(record, alike), combine_studies(record, apart)
    assert wide.correlation == pytest.approx(0.5, abs=0.15) and np.isnan(plain.correlation)
    assert wide.together is not None and plain.together is not None
    expected = 0.01 / np.sqrt(3) * np.sqrt(1 + 2 * wide.correlation)
    assert wide.together.error == pytest.approx(expected, rel=1e-6)
    assert plain.together.error == pytest.approx(0.01 / np.sqrt(3), rel=1e-6)
    assert f"{wide.correlation:.2f}" in over_page(wide) and "independent" in over_page(plain)


@pytest.mark.parametrize(
    ("given", "names", "overrides"),
    [
        (
            "data.path=x/a.csv, data.path=y/b.csv",
            ["a", "b"],
            [["data.path=x/a.csv"], ["data.path=y/b.csv"]],
        ),
        (
            "data.path=x/a.csv, data.path=y/a.csv",
            ["x/a.csv", "y/a.csv"],
            [["data.path=x/a.csv"], ["data.path=y/a.csv"]],
        ),
        (
            "data.path=a.csv, data.path=a.tsv",
            ["a.csv", "a.tsv"],
            [["data.path=a.csv"], ["data.path=a.tsv"]],
        ),
        (
            "[data.tickers=[A,B],data.tickers=[C]]",
            ["A,B", "C"],
            [["data.tickers=[A,B]"], ["data.tickers=[C]"]],
        ),
        ("sst2, imdb", ["sst2", "imdb"], [["data=sst2"], ["data=imdb"]]),
        (
            "data=texts data.path=a.csv, data=texts data.path=b.csv split.folds=2",
            ["data.path=a.csv", "data.path=b.csv split.folds=2"],
            [
                ["data=texts", "data.path=a.csv"],
                ["data=texts", "data.path=b.csv", "split.folds=2"],
            ],
        ),
        ("tickers", ["A", "^B"], [["data.tickers=[A]"], ["data.tickers=[^B]"]]),
    ],
)
def test_what_the_words_mean(given: str, names: list[str], overrides: list[list[str]]) -> None:
    options, rest = read_study_options(["task=stock", f"study.over={given}"])
    assert options.over is not None and rest == ["task=stock"]
    found = read_data_sets(options.over, None, ["A", "^B"])
    assert list(found) == names and list(found.values()) == overrides


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("data=sst2", "is one data set data=sst2; name at least two"),
        ("tickers", "name at least two"),
        ("sst2, sst2", "names data=sst2 twice"),
        ("sst2, imbd", "imbd is neither a file nor a choice of data, did you mean 'imdb'"),
        ("no/such/*.csv", "no file has such a name"),
        ("dta.path=a, data.path=b", "dta.path=a does not choose data, did you mean 'data'"),
        ("clip=norm, clip=none", "clip=norm does not choose data;"),
    ],
)
def test_a_wrong_word_is_one_sentence(given: str, said: str) -> None:
    options, _ = read_study_options([f"study.over={given}"])
    with pytest.raises(UserError, match=said.replace("*", r"\*")):
        read_data_sets(options.over or [], None, ["A"])


def test_typos_exit_with_2_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_prices(tmp_path / "prices")
    own = tiny(tmp_path / "runs", "data=prices", "data.start=null")
    both = f"study.over=data.path={folder}/AAA.csv,"
    wrong = [
        ([f"{both}data.pth=x"], "data.path"),
        ([f"{both}data.path={folder}/panel.csv", "data.path=c.csv"], "both set data.path"),
        ([f"{both}{folder}/BBB.csv", "study.tune=3"], "do not go together"),
        ([f"{both}data.path={folder}/../prices/AAA.csv"], "hold the same data"),
    ]
    for more, said in wrong:
        assert cli.main(["study", "--yes", *own, *more]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()
