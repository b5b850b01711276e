"""What is written in the confusion matrix, that any class name can be drawn, and which
disagreements are shown.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from upgate.tasks.figures import save_figure
from upgate.tasks.sentiment import figures as figures_text
from upgate.tasks.sentiment.figures import draw_confusion, drawable, find_disagreements, installed

CLASSES = ("negative", "positive")


def predictions(
    truth: str,
    predicted: str,
    probability: list[float] | None = None,
    classes: tuple[str, ...] = CLASSES,
) -> pd.DataFrame:
    """Reviews `a`, `b`, ... from strings of class numbers."""
    return pd.DataFrame(
        {
            "row": np.arange(len(truth)),
            "text": [chr(ord("a") + i) for i in range(len(truth))],
            "truth": [classes[int(k)] for k in truth],
            "predicted": [classes[int(k)] for k in predicted],
            "probability": probability or [0.9] * len(truth),
        }
    )


def written(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def ticks(figure: Figure) -> list[list[str]]:
    return [
        [label.get_text() for label in labels]
        for labels in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels())
    ]


def test_a_cell_holds_the_count_and_its_share_of_the_true_class() -> None:
    figure = draw_confusion(predictions("00001111", "00011110"), CLASSES, "upgraded")
    assert written(figure) == ["3\n75.0%", "1\n25.0%", "1\n25.0%", "3\n75.0%"]  # truth by rows
    figure = draw_confusion(predictions("0000011", "0011111"), CLASSES, "upgraded")
    assert written(figure) == ["2\n40.0%", "3\n60.0%", "0\n0.0%", "2\n100.0%"]
    assert figure.axes[0].get_title(loc="left") == "upgraded: 57.14% of 7 right"
    assert ticks(figure) == [list(CLASSES)] * 2
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.4, 0.6], [0, 1]])


def test_a_class_that_never_occurs_has_its_row_and_column() -> None:
    classes = ("a", "b", "c")
    figure = draw_confusion(predictions("0011", "0110", classes=classes), classes, "run")
    assert written(figure) == [
        *(["1\n50.0%"] * 2),
        "0\n0.0%",
        *(["1\n50.0%"] * 2),
        "0\n0.0%",
        *(["0\n0.0%"] * 3),
    ]


@pytest.mark.parametrize(
    "classes",
    [
        CLASSES,
        ("负面", "正面"),
        ("🙁", "🙂"),
        ("$x$", "$y_{$"),
        ("1", "5"),
        ("a" * 60, "b"),
        ("\x07", ""),
        tuple(str(i) for i in range(12)),
    ],
)
def test_any_names_can_be_drawn_without_a_warning(classes: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("upgraded", "升级", "optimizer=adamw " * 12):
        figure = draw_confusion(predictions("0011", "0110", classes=classes), classes, name)
        assert save_figure(figure, tmp_path / "confusion.png").stat().st_size > 5000


def test_names_without_glyphs_become_numbers_and_all_of_them() -> None:
    alone = {"DejaVu Sans": installed()["DejaVu Sans"]}
    assert drawable(CLASSES, alone, ["class 0", "class 1"]) == CLASSES
    assert drawable(["good", "坏"], alone, ["class 0", "class 1"]) == ["class 0", "class 1"]
    if len(installed()) == 1:  # no font for Chinese on this machine
        figure = draw_confusion(predictions("01", "01", classes=("好", "坏")), ("好", "坏"), "升级")
        assert ticks(figure) == [["class 0", "class 1"]] * 2
        assert figure.axes[0].get_title(loc="left") == "run: 100.00% of 2 right"


def test_a_glyph_comes_from_the_first_font_that_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poor = "STIXSizeFourSym"  # comes with matplotlib and has brackets only
    assert poor in {font.name for font in fontManager.ttflist}
    monkeypatch.setattr(figures_text, "FONTS", (poor, "no such font"))
    assert list(installed()) == [poor] and drawable(CLASSES, installed(), ["0", "1"]) == ["0", "1"]
    monkeypatch.setattr(figures_text, "FONTS", (poor, "DejaVu Sans"))
    figure = draw_confusion(predictions("0011", "0110"), CLASSES, "upgraded")
    assert ticks(figure) == [list(CLASSES)] * 2
    save_figure(figure, tmp_path / "confusion.png")  # would warn, and so fail, of a missing glyph


def test_disagreements_are_shown_surest_first_with_who_is_right() -> None:
    run = predictions("01010", "00110", [0.6, 0.9, 0.8, 0.7, 0.99])
    twin = predictions("01010", "01001", [0.99, 0.8, 0.6, 0.9, 0.99])
    got = find_disagreements(run, twin)
    assert got.columns.tolist() == [
        "text",
        "truth",
        "run",
        "run_probability",
        "twin",
        "twin_probability",
        "right",
    ]
    assert got["text"].tolist() == ["e", "b", "d", "c"]  # sums 1.98, 1.7, 1.6, 1.4; on a both agree
    assert got["right"].tolist() == ["run", "twin", "run", "twin"]
    assert got.loc[0].tolist() == ["e", "negative", "negative", 0.99, "positive", 0.99, "run"]
    assert got.loc[1].tolist() == ["b", "positive", "negative", 0.9, "positive", 0.8, "twin"]
    assert got.index.tolist() == [0, 1, 2, 3]


def test_neither_is_right_where_both_are_wrong_in_different_ways() -> None:
    classes = ("a", "b", "c")
    got = find_disagreements(
        predictions("012", "100", classes=classes), predictions("012", "220", classes=classes)
    )
    assert got["right"].tolist() == ["neither", "neither"]
    assert got["text"].tolist() == ["a", "b"]  # equally sure: in their order


def test_at_most_count_are_shown_and_none_where_all_agree() -> None:
    run, twin = predictions("0" * 90, "0" * 90), predictions("0" * 90, "1" * 90)
    assert find_disagreements(run, twin, count=4)["text"].tolist() == [
        "a",
        "b",
        "c",
        "d",
    ]  # equally sure: the first ones
    assert len(find_disagreements(run, twin)) == 50
    none = find_disagreements(run, run)
    assert none.empty and "right" in none
