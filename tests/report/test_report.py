"""The report: complete, escaped, in two languages, from the store alone.

Pictures and tables show the same numbers.
"""

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.report import EVIL, Tables, outline, result, study
from helpers.study import study as run_study
from upgate.cli.entry import main
from upgate.page.effects import format_effect
from upgate.page.figure import MAX_ROWS, Comparison, Figure, RunTables
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import el
from upgate.page.svg import (
    Scale,
    date_ticks,
    format_number,
    padded_scale,
    path_data,
    thin_indices,
    ticks,
)
from upgate.page.translations import Translator
from upgate.report import figures
from upgate.report.attribution import shares
from upgate.report.curves import curves
from upgate.report.phrases import margin_text
from upgate.report.study import study_page as page
from upgate.report.summary import chosen_arm, result_sentence
from upgate.report.texts import report_translator
from upgate.study.result import StudyResult
from upgate.tasks.sentiment import report as text
from upgate.tasks.sentiment.texts import TEXTS as SENTIMENT_TEXTS
from upgate.tasks.stock import report as stock
from upgate.tasks.stock.texts import TEXTS as STOCK_TEXTS

EN = report_translator("en")
STOCK, SENTIMENT = EN.extended(STOCK_TEXTS), EN.extended(SENTIMENT_TEXTS)


def texts(task: str, language: str) -> Translator:
    paths = {"stock": STOCK_TEXTS, "sentiment": SENTIMENT_TEXTS}
    return report_translator(language).extended(paths[task])


def comparison(made: StudyResult) -> Comparison:
    return Comparison(
        "traditional", "upgraded", Tables(), made.dates, made.losses, made.tickers["upgraded"]
    )


@pytest.mark.parametrize("task", ["stock", "sentiment"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_page_has_every_section_and_its_tags_match(task: str, language: str) -> None:
    w, html = texts(task, language), page(result(task), Tables(), language)
    found = outline(html)
    said = "".join(found.text)
    mine = {"stock": ("forecast", "lead", "tickers"), "sentiment": ("confusion", "disagree")}[task]
    for key in (
        "effects",
        "scores",
        "attribution",
        "curves",
        "engagement",
        "cost",
        "controls",
        "frozen",
        "commands",
        *mine,
    ):
        assert w(key) in said
    assert f"upgate study --yes study=parts task={task}" in said  # the exact command
    assert "133" in said  # looks
    assert found.named("html") == [{"lang": {"en": "en", "zh": "zh-Hans"}[language]}]
    assert [tag for tag, _ in found.tags].count("h1") == 1


@pytest.mark.parametrize("task", ["stock", "sentiment"])
def test_every_picture_says_in_words_and_in_a_table_what_it_shows(task: str) -> None:
    html = page(result(task), Tables())
    pictures = [
        attributes for attributes in outline(html).named("div") if attributes.get("role") == "img"
    ]
    assert len(pictures) >= 7
    assert all(len(attributes["aria-label"] or "") > 20 for attributes in pictures)
    for figure in re.findall(r"<figure>.*?</figure>", html, re.DOTALL):
        assert figure.count('role="img"') == 1
        assert "<details>" in figure and figure.count("<tr>") >= 2


def test_nothing_on_the_page_comes_from_elsewhere() -> None:
    html = page(result(), Tables()) + page(result("sentiment"), Tables())
    assert not re.search(r"(src|href|action)=\"(?!data:)", html)
    assert (
        "http" not in html
        and "@import" not in html
        and "url(" not in html
        and "<script" not in html
    )


def test_text_from_data_is_escaped_wherever_it_comes_from() -> None:
    bad = result("sentiment", source=EVIL)
    bad = replace(
        bad,
        sentence=EVIL,
        engagement={"upgraded": {EVIL: 1.0}},
        study=replace(bad.study, commands=[EVIL], data=EVIL),
    )
    for made in (bad, replace(bad, study=replace(bad.study, task="stock"))):
        for language in ("en", "zh"):
            html = page(made, Tables(evil=True), language)
            assert EVIL not in html and "&lt;script&gt;" in html
            outline(html)
    assert el("p", 'a"b', title='"><b>') == '<p title="&quot;&gt;&lt;b&gt;">a&quot;b</p>'


def test_the_forest_has_aa_first_and_the_tables_numbers_are_the_results() -> None:
    made = result()
    forest = figures.effects(made, EN)
    assert str(forest.rows[0][0]).startswith("A/A")
    assert [row[0] for row in forest.rows[1:]] == [one.arm for one in made.verdicts]
    last = made.verdicts[-1]
    shown = [100 * math.expm1(x) for x in (last.effect, last.low, last.high)]
    assert forest.rows[-1][2:4] == [f"−{-shown[0]:.2f}%", f"[−{-shown[1]:.2f}, −{-shown[2]:.2f}]"]
    assert str(forest.picture).count('class="seed arm"') == 6 * 9  # a dot per seed and arm


def test_pairs_count_the_seeds_on_which_the_arm_is_better() -> None:
    for made in (result("stock"), result("sentiment")):
        figure = figures.pairs(made, "upgraded", EN)
        assert "better on 6 of 6" in figure.label
        assert len(figure.rows) == 6
    assert "better on 5 of 6" in figures.pairs(result(diverged=True), "upgraded", EN).label


def test_a_diverged_run_is_said_and_counted_and_does_not_stretch_the_picture() -> None:
    html = page(result(design="pair", diverged=True), Tables())
    assert "Diverged runs: 1" in html and "diverged" in html and "∞" in html
    assert not re.search(r'[ "](nan|inf|-inf)[%"]', html)


def test_shares_and_whole_stand_in_one_table() -> None:
    figure = shares(result(), EN)
    assert figure is not None and len(figure.rows) == 4 + 2
    assert shares(result(design="pair"), EN) is None


def test_curves_average_folds_first_and_a_stopped_run_keeps_its_last_value() -> None:
    def curve(*losses: float) -> pd.DataFrame:
        return pd.DataFrame({"val/loss": losses})

    runs = {(0, 0): curve(4, 2), (0, 1): curve(2), (1, 0): curve(1, 1), (1, 1): curve(1, 1)}
    figure = curves("base", runs, "arm", {}, EN)
    assert figure is not None
    assert figure.rows == [
        [1, "2", "1", "3"],
        [2, "1.5", "1", "2"],
    ]  # mean, lowest and highest seed
    assert curves("base", {}, "arm", {}, EN) is None


def test_an_exploding_curve_does_not_hide_the_others() -> None:
    good, bad = (
        pd.DataFrame({"val/loss": [1.0, 0.9, 0.8]}),
        pd.DataFrame({"val/loss": [1.0, 1e9, math.nan]}),
    )
    figure = curves("base", {(0, 0): good}, "arm", {(0, 0): bad}, EN)
    assert figure is not None and "e+" not in figure.picture and "1.0e9" not in figure.picture


def test_the_lead_is_the_summed_difference_of_losses() -> None:
    made = replace(
        result(),
        dates=["2020-01-02", "2020-01-03"],
        losses={"traditional": [1, 2], "upgraded": [0.5, 1], "persistence": [1, 1]},
    )
    figure = stock.lead(comparison(made), STOCK)
    assert figure is not None
    assert figure.rows == [["2020-01-02", "0.5", "0.5"], ["2020-01-03", "1.5", "0.5"]]
    assert stock.lead(comparison(replace(made, losses={"traditional": [1, 2]})), STOCK) is None


def test_tickers_are_ratios_to_persistence_and_many_are_thinned_but_not_in_the_table() -> None:
    def run(*ratios: float) -> pd.DataFrame:
        return pd.DataFrame({"ticker": ["A", "B"], "forecast": ratios, "persistence": 2.0})

    figure = stock.tickers(
        comparison(result()), {(0, 0): run(2, 2)}, {(0, 0): run(1, 4), (1, 0): run(4, 4)}, STOCK
    )
    assert figure is not None
    assert [row[:3] for row in figure.rows] == [
        ["A", "1", "1"],
        ["B", "1", "2"],
    ]  # geometric mean of 1/2 and 2; of 2 and 2
    many = Tables(tickers=505)
    figure = stock.tickers(
        comparison(result()),
        many.runs("traditional", "tickers"),
        many.runs("upgraded", "tickers"),
        STOCK,
    )
    assert (
        figure is not None
        and len(figure.rows) == 505
        and figure.picture.count('class="row"') == MAX_ROWS
    )
    assert "30 of 505" in figure.note


def test_confusion_and_disagreements() -> None:
    def run(*said: str) -> pd.DataFrame:
        frame = {
            "row": [0, 1, 2],
            "text": ["one", "two", "three"],
            "truth": ["no", "yes", "yes"],
            "predicted": said,
        }
        return pd.DataFrame(frame | {"p_no": 0.5, "p_yes": 0.5})

    base, arm = (
        {(0, 0): run("no", "no", "yes"), (1, 0): run("no", "no", "yes")},
        {(0, 0): run("no", "yes", "no"), (1, 0): run("no", "yes", "yes")},
    )
    figure = text.confusion("arm", arm, SENTIMENT)
    assert figure is not None and figure.title == "arm: 83.33%"
    assert figure.rows == [
        ["no", "1.0 (100.0%)", "0.0 (0.0%)"],
        ["yes", "0.5 (25.0%)", "1.5 (75.0%)"],
    ]
    said = str(text.disagreements("base", base, "arm", arm, SENTIMENT))
    assert said.index("two") < said.index("three") and "one" not in said.replace("None", "")
    assert "0% → 100%" in said and "100% → 50%" in said
    assert "equally often" in str(text.disagreements("base", base, "arm", base, SENTIMENT))


def test_english_takes_the_studys_own_sentence_and_chinese_says_the_same_numbers() -> None:
    made = result()
    assert result_sentence(made, EN) == made.sentence
    said = result_sentence(made, report_translator("zh"))
    assert (
        "upgraded 有益" in said
        and format_effect(made.study, made.verdicts[-1].effect) in said
        and "optimizer 有益" in said
    )
    for one in made.verdicts:
        only = replace(made, verdicts=[one], sentence="", parts=[])
        assert result_sentence(only, EN)


def test_the_chosen_arm_is_the_primary_one() -> None:
    made = result()
    assert chosen_arm(made) == "upgraded"
    assert chosen_arm(replace(made, verdicts=[])) is None
    other = made.verdicts[0].arm
    named = replace(made, study=replace(made.study, primary=other))
    assert chosen_arm(named) == other != "upgraded"


def test_recipes_and_references_are_not_ranked_by_their_test_score() -> None:
    made = result()
    first = [row[0] for row in figures.scores(made, EN).rows]
    swapped = replace(made, baseline_score=1e3)
    assert first[: 1 + len(made.verdicts)] == [
        made.study.baseline,
        *(one.arm for one in made.verdicts),
    ]
    assert [row[0] for row in figures.scores(swapped, EN).rows] == first


def test_warnings_stand_at_the_top() -> None:
    made = result()
    bad = replace(
        made,
        missing={"upgraded": ["0/0", "1/0"]},
        controls=[replace(made.controls[0], holds=False)],
    )
    assert made.aa is not None
    bad = replace(bad, aa=replace(made.aa, verdict="hurts"))
    html = page(bad, Tables())
    top = html[: html.index("<section>")]
    assert (
        "missing runs: 2" in top
        and "A/A control shows a difference" in top
        and "A control fails" in top
    )
    assert 'class="warning"' not in page(made, Tables())


@pytest.mark.parametrize("task", ["stock", "sentiment"])
def test_a_study_without_any_result_still_has_a_page(task: str) -> None:
    made = result(task)
    empty: dict[str, object] = {
        name: {}
        for name in (
            "scores",
            "differences",
            "folds",
            "significance",
            "confidence_set",
            "tickers",
            "losses",
        )
    }
    empty |= {
        name: {} for name in ("ticker_interval", "engagement", "cost", "references", "diverged")
    }
    empty |= {
        "verdicts": [],
        "parts": [],
        "controls": [],
        "dates": [],
        "aa": None,
        "attribution": None,
        "sentence": "",
    }
    bare = StudyResult(**{**made.__dict__, **empty, "baseline_score": math.nan})
    html = page(bare, NoTables())
    outline(html)
    assert "nan" not in html
    outline(page(made, NoTables()))  # judged, but the tables are gone


class NoTables(Tables):
    def runs(self, arm: str, name: str, fold: int | None = None) -> RunTables:
        return {}


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-7.3, 1.4), (0.861, 0.942), (1e-6, 3e-6), (-1e5, 2e5), (3, 3.0001)]
)
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-9 <= t <= high * (1 + 1e-9) + 1e-9 for t in found)
    assert np.allclose(np.diff(found), np.diff(found)[0])


def test_day_ticks_are_firsts_of_months_and_never_many() -> None:
    for days in (1, 20, 90, 400, 3000, 20_000):
        found = date_ticks(10_000, 10_000 + days)
        assert 1 <= len(found) <= 7
        assert all(10_000 <= at <= 10_000 + days for at, _ in found)


def test_numbers_are_short() -> None:
    values = (0.0, 1.0, -0.25, 12345.6, 2e-7, math.inf, -math.inf, math.nan)
    assert [format_number(x) for x in values] == [
        "0", "1", "−0.25", "12,346", "2.0e−07", "∞", "−∞", "–",
    ]  # fmt: skip


def test_scales_lines_and_thinning() -> None:
    scale = Scale(0, 10, 100, 0)
    assert scale(2.5) == 75 and Scale(0, 10, 0, 100).percent(math.inf) == "100.00%"
    assert padded_scale([math.nan, math.inf], 0, 1).low == 0 - 0.05
    assert padded_scale([3.0, 3.0], 0, 1)(3.0) == 0.5
    assert (
        path_data(np.array([0.0, 1, 2, 3]), np.array([0, 1, math.nan, 3]))
        == "M0.0 0.0L1.0 1.0M3.0 3.0"
    )
    assert thin_indices(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert (thin_indices(1000, 3) == [0, 500, 999]).all() and len(thin_indices(0)) == 0


def test_an_interval_far_out_is_cut_with_an_arrow() -> None:
    near = forest_plot([ForestRow("a", 1.0, "", interval=(0.5, 1.5), dots=[0.9, 1.1])], 0.0)
    far = forest_plot([ForestRow("a", 1.0, "", interval=(-900.0, math.inf), dots=[0.9, 1.1])], 0.0)
    assert "◂" not in near and "▸" not in near
    assert "◂" in far and "▸" in far


def test_ratios_are_drawn_on_a_log_axis_and_zero_does_not_break_it() -> None:
    drawn = forest_plot(
        [
            ForestRow("a", 0.5, ""),
            ForestRow("b", 2.0, ""),
            ForestRow("c", 0.0, ""),
            ForestRow("d", math.inf, ""),
        ],
        1.0,
        log=True,
    )
    places = [float(x) for x in re.findall(r'cx="([\d.]+)%"', drawn)]
    stand = float(re.findall(r'class="zero" x1="([\d.]+)%"', drawn)[0])
    assert stand == pytest.approx((places[0] + places[1]) / 2, abs=0.02)
    assert places[2:] == [0.0, 100.0]


def test_the_same_result_gives_the_same_page() -> None:
    assert page(result(), Tables()) == page(result(), Tables())


def test_a_figure_is_a_value() -> None:
    assert isinstance(figures.scores(result(), EN), Figure)
    assert margin_text(study("sentiment"), EN) == "1 points"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real study: two recipes, one seed."""
    root = tmp_path_factory.mktemp("report") / "runs"
    words = (
        "task=sentiment",
        "study.seeds=1",
        "study.aa=false",
        "study.zero=false",
        "data.train=200",
        "data.test=60",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        code, said = run_study(root, *words)
    assert code == 0, said
    return root


def test_the_page_is_made_from_the_store_alone(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    assert main(["report", f"root={trained}", f"out={first}"]) == 0
    assert str(first) in capsys.readouterr().out
    for folder in trained.iterdir():  # what is left is what MLflow holds
        if folder.is_dir() and folder.name not in ("artifacts", "open"):
            shutil.rmtree(folder)
    assert main(["report", "study=latest", f"root={trained}", f"out={second}"]) == 0
    assert first.read_text(encoding="utf-8") == second.read_text(encoding="utf-8")
    said = "".join(outline(first.read_text(encoding="utf-8")).text)
    assert "undecided" in said and "Confusion matrices" in said and "Learning curves" in said


def test_bad_words_are_told_in_one_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in {
        ("study=nope", f"root={trained}"): "there is no study nope",
        (f"root={tmp_path / 'empty'}",): "there is no store",
        ("report.language=de",): "report.language=de is not a choice",
        (f"out={tmp_path}",): "is a folder",
        (f"out={tmp_path / 'x' / 'y.html'}",): "there is no folder",
        ("languge=en",): "unknown key languge",
    }.items():
        assert main(["report", *words]) == 2
        assert told in capsys.readouterr().err
