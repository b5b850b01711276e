"""experiment=article: the claim decided by intervals; both tasks end to end on tiny budgets; one
page that holds it all.
"""

import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from helpers.report import Tables, outline, result
from helpers.study import tiny
from upgate import cli
from upgate.report.article import article_page
from upgate.report.tune import search_files
from upgate.stats.estimate import Interval
from upgate.stats.paired import ratio_of_means
from upgate.store.store import Store
from upgate.study.article import article_command, settings
from upgate.study.command import study_command
from upgate.study.facts import check_claims, excess, judge_claim
from upgate.study.load import Experiment, list_experiments, load_experiment, newest_id
from upgate.tasks.sentiment.article import PLAIN

STOCK = [
    "study.seeds=2",
    "study.folds=[0]",
    "study.aa=false",
    "study.zero=false",
    "model.num_layers=1",
]
TEXT = [
    "task=sentiment",
    "study.seeds=2",
    "study.aa=false",
    "study.zero=false",
    "data.train=200",
    "data.test=60",
]


def article(root: Path, *words: str) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=80)
    code = article_command(["experiment=article", *tiny(root, *words)], None, True, console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("article") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        code, said = article(root, *STOCK)
    assert code == 0, said
    return root, said


@pytest.mark.parametrize(
    ("gain", "claimed", "n", "word"),
    [
        ((25.0, 21.0, 29.0), 20.0, 6, "confirmed"),
        ((25.0, 19.0, 31.0), 20.0, 6, "not shown"),
        ((10.0, 1.0, 19.0), 20.0, 6, "refuted"),
        ((-5.0, -9.0, -1.0), 20.0, 6, "refuted"),
        ((25.0, 21.0, 29.0), 20.0, 5, "not shown"),  # as few as a study decides nothing on
        ((1.0, 0.5, 1.5), 0.0, 6, "confirmed"),
        ((0.0, 0.0, 0.0), 0.0, 6, "refuted"),  # the same is not better
        ((math.nan, math.nan, math.nan), math.nan, 6, "not shown"),
    ],
)
def test_the_interval_decides_against_the_claimed_size(
    gain: tuple[float, float, float], claimed: float, n: int, word: str
) -> None:
    assert judge_claim(Interval(*gain), claimed, n) == word


def test_the_share_of_excess_has_the_interval_that_the_paired_t_test_inverts_to() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(1.0, 0.2, 8)
    x = 0.4 * y + rng.normal(0, 0.05, 8)
    share, low, high = ratio_of_means(x, y, 0.05)
    assert share == pytest.approx(x.mean() / y.mean()) and low < share < high
    for bound in (low, high):
        assert stats.ttest_1samp(x - bound * y, 0).pvalue == pytest.approx(0.05)
    assert all(
        math.isnan(one) for one in ratio_of_means(x, y - 1, 0.05)
    )  # nothing sure to divide by
    assert all(math.isnan(one) for one in ratio_of_means(x, -y, 0.05))


def test_the_claim_as_a_share_of_the_excess() -> None:
    base = np.array([1.99, 2.0, 2.01, 2.0, 1.98, 2.02])
    (share, low, high), claimed = excess(base - 0.5, base, 1.0, 0.05, 0.2)
    assert share == pytest.approx(50, rel=0.01) and low < share < high
    assert claimed == pytest.approx(
        40
    )  # a fifth less of 2 is .4 of the 1 by which it is worse than persistence
    assert all(math.isnan(one) for one in excess(base, base, 2.5, 0.05, 0.2)[0])
    assert math.isnan(excess(np.append(base[1:], np.inf), base, 1.0, 0.05, 0.2)[1])  # diverged


def test_facts_of_made_up_studies() -> None:
    found = {
        (f.claim, f.setting): f
        for f in check_claims({"volatility": result(design="pair"), "level": result(design="pair")})
    }
    less = found["less", "level"]
    one = result(design="pair").verdicts[0]
    assert (less.gain, less.low, less.high) == pytest.approx(
        tuple(-100 * math.expm1(x) for x in (one.effect, one.high, one.low))
    )
    assert (less.verdict, less.role, less.claimed) == ("refuted", "article", 20.0)  # 6% is not 20%
    assert (
        found["beyond", "level"].verdict == "confirmed"
        and found["beyond", "volatility"].against == "har"
    )
    assert found["excess", "level"].verdict == "not shown" and math.isnan(
        found["excess", "level"].gain
    )  # .93: better than persistence
    text = {f.claim: f for f in check_claims({"reviews": result("sentiment", design="pair")})}
    assert text["less"].gain == pytest.approx(
        100 * result("sentiment", design="pair").verdicts[0].effect
    )
    assert (
        text["less"].verdict == "refuted"
        and text["linear"].role == "honest"
        and text["linear"].claimed == 5
    )
    assert text["beyond"].gain == text["linear"].gain and text["beyond"].claimed == 0


def test_the_words_reach_every_study_and_the_split_those_that_have_one() -> None:
    asked = settings(
        [
            "experiment=article",
            "task=stock",
            "data=sp500",
            "split=walk_forward",
            "split.folds=2",
            "study.folds=[1]",
        ],
        None,
    )
    assert list(asked) == ["level", "return", "volatility"]
    assert all(
        {"study=pair", "task=stock", "data=sp500", f"task.target={name}"} <= set(words)
        for name, words in asked.items()
    )
    assert "split=holdout" in asked["level"] and not any(
        word.startswith(("split.", "study.folds")) for word in asked["level"]
    )
    assert {"split=walk_forward", "split.folds=2", "study.folds=[1]"} <= set(asked["return"])
    assert "split=walk_forward" in settings(["experiment=article"], None)["volatility"]
    assert settings(["experiment=article", "task=sentiment", "split.test=0.3"], None) == {
        "reviews": ["task=sentiment", "split.test=0.3", *PLAIN, "study.rates=given"]
    }


def test_one_plan_for_all_then_the_studies_then_the_claim(stock: tuple[Path, str]) -> None:
    _, said = stock
    order = [
        "study stock-pair-",
        "all studies: 12 runs, 0 done and 12 to do; about",
        "level: stock-pair-",
        "the article's claim",
    ]
    assert [said.index(one) for one in order] == sorted(said.index(one) for one in order)
    table = said[said.index("the article's claim") :]
    for words in (
        "MSE over persistence's",
        "article's setting",
        "honest setting",
        "MSE at least 20% lower",
        "har",
        "not shown",
    ):
        assert words in " ".join(table.split())
    assert max(map(len, table[: table.index("\nMSE at least")].splitlines())) <= 80
    assert "2 seeds: fewer than 6 show nothing" in said and "confirmed" not in table
    assert re.search(r"next: upgate report study=stock-article-\w{8} root=", said)


def test_the_same_command_trains_nothing_again_and_says_the_same(stock: tuple[Path, str]) -> None:
    root, said = stock
    code, again = article(root, *STOCK)
    assert code == 0 and "all studies: 12 runs, 12 done and 0 to do" in again
    assert again[again.index("the article's claim") :] == said[said.index("the article's claim") :]
    store = Store(root)
    (name,) = list_experiments(store)
    (parent,) = (row for row in store.rows() if row.tags.get("upgate.level") == "experiment")
    studies = [row for row in store.rows() if row.tags.get("upgate.level") == "study"]
    assert (
        len(studies) == 3
        and {row.parent for row in studies} == {parent.run_id}
        and parent.status == "FINISHED"
    )
    assert {"less/level/gain", "less/return/claimed", "beyond/volatility/gain_low"} <= set(
        parent.metrics
    )
    assert newest_id(store) == name


def test_the_page_holds_the_claim_and_every_study(
    stock: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = stock
    store = Store(root)
    (name,) = list_experiments(store)
    pages = {}
    for key, words in {
        "latest": [],
        "article": ["experiment=article"],
        "zh": [f"study={name}", "report.language=zh"],
    }.items():
        assert cli.main(["report", f"root={root}", f"out={tmp_path / key}.html", *words]) == 0
        assert name in capsys.readouterr().out
        pages[key] = (tmp_path / f"{key}.html").read_text(encoding="utf-8")
    assert pages["latest"] == pages["article"]
    found = outline(pages["latest"])
    assert [one["id"] for one in found.named("article")] == ["level", "return", "volatility"]
    assert [tag for tag, _ in found.tags].count("h1") == 1
    for study_id in load_experiment(store, name).studies.values():
        assert study_id in pages["latest"]
    assert "文章的设定" in pages["zh"] and "the article" not in "".join(outline(pages["zh"]).text)
    pair = load_experiment(store, name).studies["return"]
    assert (
        cli.main(["report", f"root={root}", f"study={pair}", f"out={tmp_path / 'pair.html'}"]) == 0
    )
    assert "Fact-check" not in (tmp_path / "pair.html").read_text(encoding="utf-8")


def test_a_study_that_is_done_again_by_itself_is_the_latest(stock: tuple[Path, str]) -> None:
    root, _ = stock
    store = Store(root)
    words = settings(["experiment=article", *tiny(root, *STOCK)], None)["volatility"]
    assert study_command(words, None, True, Console(quiet=True), search_files) == 0
    assert (
        newest_id(store)
        == load_experiment(store, next(iter(list_experiments(store)))).studies["volatility"]
    )
    assert newest_id(store, experiment=True) == next(iter(list_experiments(store)))


@pytest.mark.long
def test_reviews_end_to_end(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    code, said = article(root, *TEXT)
    table = " ".join(said[said.index("the article's claim") :].split())
    assert code == 0 and "accuracy at least 5 points" in table and "linear" in table
    assert cli.main(["report", f"root={root}", f"out={tmp_path / 'r.html'}"]) == 0
    assert "the same, compared with the linear model" in (tmp_path / "r.html").read_text(
        encoding="utf-8"
    ).replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["experiment=artcle"], "experiment=artcle is not a choice, did you mean 'article'?"),
        (
            ["experiment=article", "task.target=level"],
            "task.target=level cannot be given to experiment=article",
        ),
        (
            ["experiment=article", "study.design=parts"],
            "study.design=parts cannot be given to experiment=article",
        ),
        (
            ["experiment=article", "study=parts"],
            "study=parts cannot be given to experiment=article",
        ),
        (
            ["experiment=article", "study.rates=auto"],
            "study.rates=auto cannot be given to experiment=article",
        ),
        (["experiment=article", "optimizer.lrr=1"], "unknown key optimizer.lrr"),
    ],
)
def test_wrong_words_are_one_sentence(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["study", *words, f"root={tmp_path / 'runs'}"]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_page_of_made_up_studies_says_every_claim(language: str) -> None:
    results = {name: result(design="pair") for name in ("level", "return", "volatility")}
    asked = Experiment(
        "stock-article-1",
        "stock",
        ["task=stock"],
        dict.fromkeys(results, "x"),
        ["upgate study <b>"],
    )
    html = article_page(
        asked, results, check_claims(results), dict.fromkeys(results, Tables()), language
    )
    found = outline(html)
    assert "study &lt;b&gt;" in html and [one["href"] for one in found.named("a")] == [
        "#level",
        "#return",
        "#volatility",
    ]
    assert ("refuted" if language == "en" else "否定") in "".join(found.text)
