"""The days that made the forecasts in which a run and its twin differ, as a section of a page."""

import numpy as np
import pandas as pd

from upgate.data.prices.features import Panel
from upgate.data.prices.sources import load_prices
from upgate.errors import UserError
from upgate.page.figure import Figure, note, section, titled_figure
from upgate.page.html import Child, Html, el
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.tasks.account import Account, account_table, colours, side, signed_share, strongest
from upgate.tasks.base import StoredRun
from upgate.tasks.stock.explain import ExplainedForecast, explain_forecasts, find_differences
from upgate.tasks.stock.predict import source
from upgate.tasks.stock.texts import say

DATES = 6
TABLE = "forecasts.parquet"
UNITS = {"return": "why_return", "level": "why_level", "volatility": "why_volatility"}
WIDTH, BARS, ROW = 480.0, 70.0, 18.0  # of a picture, its days' sums, a feature's row
CHARACTER = 8.0  # width of a letter on a phone
FAINT = 0.02  # of the largest share: what is less is not seen


def explain_days(run: StoredRun, twin: StoredRun, w: Translator) -> list[Html]:
    """A section of the dates whose two forecasts differ most. Raises UserError for other prices."""
    parameters = run.checkpoint["hyper_parameters"]
    spec, scaling = parameters["spec"], parameters["scaling"]
    prices = load_prices(source((), run.fetch))
    if prices.hash() != spec["data"]:
        raise UserError(say("other_prices"))
    panel = Panel.of(prices.table)
    first, second = (pd.read_parquet(stored.fetch(TABLE)) for stored in (run, twin))
    window, target = spec["task"]["window"], spec["task"]["target"]
    differing = find_differences(first, second, panel, scaling, window, DATES)
    shown = explain_forecasts(differing, panel, run.checkpoint, twin.checkpoint)
    skipped = "skip" in parameters or "skip" in twin.checkpoint["hyper_parameters"]
    about = w("why_note", shown=len(shown), all=f"{len(first):,}", unit=w(UNITS[target]))
    empty = w("why_lowest" if target == "level" else "why_mean")
    return [
        section(
            w("why"),
            note(w.sentences(about, empty, w("why_skip") if skipped else "")),
            colours(w("why_for"), w("why_against")),
            [one_forecast(forecast, skipped, w) for forecast in shown],
        )
    ]


def one_forecast(explained: ExplainedForecast, skipped: bool, w: Translator) -> Html:
    """One date: a picture of either network's shares, then the sums."""
    about = explained.about
    numbers = {name: format_number(about[name]) for name in ("run", "twin", "truth")}
    day = f"{about['label_date']:%Y-%m-%d}"
    heading = w("why_item", ticker=about["ticker"], date=day, **numbers)
    both = np.stack([explained.run.shares, explained.twin.shares])  # (2, W, F)
    most = float(np.abs(both).max()), float(np.abs(both.sum(-1)).max())
    pictures = [
        titled_figure(day_figure(explained, account, most, name, w), w)
        for name, account in ((w("run"), explained.run), (w("twin"), explained.twin))
    ]
    reference = w("why_reference" if skipped else "why_centre")
    terms = reference, w("why_start"), w("why_sum"), w("why_total")
    return el(
        "div",
        el("h3", heading),
        el("div", pictures, class_="columns"),
        account_table(explained.run, explained.twin, terms, w),
    )


def day_figure(
    explained: ExplainedForecast,
    account: Account,
    most: tuple[float, float],
    name: str,
    w: Translator,
) -> Figure:
    """The shares of one network. most: the largest of a number and of a day, of both networks."""
    days = [f"{day:%Y-%m-%d}" for day in explained.days]
    sums = account.shares.sum(-1)
    unbroken = [day.replace("-", "\N{NON-BREAKING HYPHEN}") for day in days]
    largest = strongest(unbroken, sums, w)
    rows = [
        [day, *map(signed_share, shares), signed_share(total)]
        for day, shares, total in zip(days, account.shares.tolist(), sums.tolist(), strict=True)
    ]
    features = [feature.replace("_", " ") for feature in explained.features]
    picture = draw_days(days, features, account.shares, most)
    columns = [w("date"), *features, w("why_day")]
    return Figure(name, picture, f"{name}: {largest}", columns, rows, largest)


def draw_days(
    days: list[str], features: list[str], shares: np.ndarray, most: tuple[float, float]
) -> Html:
    """Above, each day's sum as a bar; below, days by features, the deeper the larger."""
    left = CHARACTER * max(map(len, features)) + 10
    step = (WIDTH - left) / len(days)
    marks: list[Child] = [el("line", class_="zero", x1=left, x2=WIDTH, y1=BARS / 2, y2=BARS / 2)]
    for i, total in enumerate(shares.sum(-1).tolist()):
        height = BARS / 2 * abs(total) / (most[1] or 1.0)
        top = BARS / 2 - (height if total > 0 else 0)
        x = left + i * step
        marks.append(el("rect", class_=side(total), x=x, y=top, width=0.8 * step, height=height))
    for j, feature in enumerate(features):
        y = BARS + 8 + j * ROW
        marks.append(el("text", feature, x=left - 6, y=y + 0.75 * ROW, text_anchor="end"))
        for i, share in enumerate(shares[:, j].tolist()):
            depth = abs(share) / (most[0] or 1.0)
            if depth >= FAINT:
                box = {"x": left + i * step, "y": y, "width": step, "height": ROW - 2}
                marks.append(el("rect", class_=side(share), fill_opacity=f"{depth:.2f}", **box))
    height = BARS + 8 + len(features) * ROW + 20
    marks.append(el("text", days[0], x=left, y=height - 4))
    marks.append(el("text", days[-1], x=WIDTH, y=height - 4, text_anchor="end"))
    return el("svg", marks, viewBox=f"0 0 {WIDTH:g} {height:g}", aria_hidden="true")
