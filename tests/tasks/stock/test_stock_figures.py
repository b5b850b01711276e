"""The picture of a run on prices."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.files import flip
from upgate.files import write_atomic
from upgate.tasks.figures import stored
from upgate.tasks.stock.figures import draw_forecast

DAYS = 30


def table(seed: int, in_price: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-01", periods=DAYS)
    frame = pd.DataFrame({"ticker": "A", "label_date": dates, "truth": np.arange(DAYS) / DAYS})
    for name in ("forecast", "persistence"):
        frame[name] = frame["truth"] + rng.normal(size=DAYS)
    if in_price:
        for name in ("truth", "forecast", "persistence"):
            frame[f"price_{name}"] = 100 + frame[name]
    return frame


def lines(axes: object) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("target", ["return", "level", "volatility"])
def test_it_shows_the_lead_over_the_twin(target: str) -> None:
    in_price = target != "volatility"
    own, twin = table(0, in_price), table(1, in_price).iloc[5:]
    axes = draw_forecast(own, twin, target, "upgraded").axes
    drawn = lines(axes[-1])
    errors = (twin["forecast"] - own["truth"]) ** 2 - (own["forecast"] - own["truth"]) ** 2
    assert drawn["against twin"][5:] == pytest.approx(errors.iloc[5:].cumsum().to_numpy())
    assert "against persistence" in drawn
    assert len(axes) == (1 if target == "return" else 2)
    if target != "return":
        assert {"truth", "forecast", "twin", "persistence"} <= lines(axes[0]).keys()


def test_without_a_twin_there_is_no_line_of_it() -> None:
    axes = draw_forecast(table(0), None, "level", "upgraded").axes
    assert "twin" not in lines(axes[0]) and "against twin" not in lines(axes[1])


def test_a_damaged_table_of_another_run_is_none(tmp_path: Path) -> None:
    assert stored(None, "curve") is None and stored(tmp_path, "curve") is None
    (tmp_path / "curve.parquet").write_bytes(b"PAR1 nothing of a table PAR1")
    assert stored(tmp_path, "curve") is None
    table(0).to_parquet(tmp_path / "curve.parquet")
    assert stored(tmp_path, "curve") is not None
    path, frame = tmp_path / "curve.parquet", table(0)[["forecast"]]
    write_atomic(path, lambda file: frame.to_parquet(file, compression=None), hashed=True)
    assert stored(tmp_path, "curve") is not None
    flip(path, 8 * path.read_bytes().index(frame["forecast"].to_numpy().tobytes()))
    assert not pd.read_parquet(path).equals(frame)  # the picture would show another number
    assert stored(tmp_path, "curve") is None
