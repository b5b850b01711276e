"""Which days of a window made a forecast: integrated gradients of the network's output.

The path leads from a window of zeros, which in scaled units are the training means (of the target
`level`: the lowest values in training), to the window. With model.skip=reference the output is what
the network adds; the reference's own forecast stands beside it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from upgate.config.values import Section
from upgate.data.prices.features import Panel, inputs
from upgate.data.prices.skip import skip_forecasts
from upgate.data.prices.windows import Scaling, scale_inputs, unscale, window_batches
from upgate.model.integrated_gradients import InputShares, integrated_gradients
from upgate.tasks.account import Account
from upgate.tasks.generic import SequenceNet
from upgate.tasks.stock.module import StockModule


@dataclass(frozen=True)
class ExplainedForecast:
    """about: a row of `find_differences`. shares of run and twin: (W, F), in target units."""

    about: pd.Series
    days: pd.DatetimeIndex  # (W,)
    features: list[str]  # F
    run: Account
    twin: Account


def find_differences(
    run: pd.DataFrame, twin: pd.DataFrame, panel: Panel, scaling: Scaling, window: int, count: int
) -> pd.DataFrame:
    """The samples whose two forecasts differ most, in scaled units; no two windows share a day.

    run, twin: tables `forecasts`. Columns: ticker, date, label_date, truth, run, twin, row (of the
    panel).
    """
    keys = ["ticker", "date"]
    both = run.rename(columns={"forecast": "run"}).merge(
        twin[[*keys, "forecast"]].rename(columns={"forecast": "twin"}), on=keys
    )
    rows = pd.DataFrame(
        {
            "ticker": np.array(panel.tickers, dtype=object)[panel.ticker],
            "date": panel.dates[panel.date],
            "day": panel.date,
            "row": np.arange(len(panel.date)),
        }
    )
    both = both.merge(rows, on=keys)
    scale = target_unit(panel, scaling, both["row"].to_numpy())
    difference = np.abs(both["run"] - both["twin"]) / scale
    chosen: list[int] = []
    for index in difference.sort_values(ascending=False, kind="stable").index:
        if all(abs(both["day"][index] - both["day"][i]) >= window for i in chosen):
            chosen.append(index)
    columns = [*keys, "label_date", "truth", "run", "twin", "row"]
    return both.loc[chosen[:count], columns].reset_index(drop=True)


def target_unit(panel: Panel, scaling: Scaling, row: np.ndarray) -> np.ndarray:
    """One scaled unit in target units, at these rows."""
    one, zero = (unscale(np.full(len(row), x), row, panel, scaling) for x in (1.0, 0.0))
    return one - zero


def explain_forecasts(
    differing: pd.DataFrame, panel: Panel, run: Section, twin: Section
) -> list[ExplainedForecast]:
    """Both networks' forecasts of the samples of `find_differences`. run, twin: checkpoints."""
    row = differing["row"].to_numpy()
    task = run["hyper_parameters"]["spec"]["task"]
    accounts = [forecast_accounts(checkpoint, panel, row) for checkpoint in (run, twin)]
    explained = []
    for (_, about), first, second in zip(differing.iterrows(), *accounts, strict=True):
        last = int(about["row"])
        days = pd.DatetimeIndex(panel.dates[panel.date[last + 1 - task["window"] : last + 1]])
        explained.append(ExplainedForecast(about, days, list(task["features"]), first, second))
    return explained


def forecast_accounts(checkpoint: Section, panel: Panel, row: np.ndarray) -> list[Account]:
    """Of each sample, named by its origin's row, the forecast by days and features."""
    parameters = checkpoint["hyper_parameters"]
    spec, scaling, fitted = parameters["spec"], parameters["scaling"], parameters.get("skip")
    module = StockModule(spec, scaling, fitted)
    module.load_state_dict(checkpoint["state_dict"])
    x = scale_inputs(panel, inputs(panel, scaling["features"]), scaling)
    origin = torch.tensor(row)
    windows = window_batches(x, torch.zeros(len(x)), spec["task"]["window"])(origin)["x"]
    start = np.zeros(len(row))
    if fitted is not None:
        start = skip_forecasts(panel, fitted, scaling)[origin].double().numpy()
    references = unscale(start, row, panel, scaling)
    scale = target_unit(panel, scaling, row)
    return [
        Account.of(day_shares(module.net, window), float(reference), float(one))
        for window, reference, one in zip(windows, references, scale, strict=True)
    ]


def day_shares(net: SequenceNet, x: Tensor) -> InputShares:
    """The shares of a window's numbers, (W, F), in what the network's head gives."""

    def output(path: Tensor) -> Tensor:  # (N, W, F) -> (N,)
        forecast: Tensor = net.head(net.backbone(path)).squeeze(-1)
        return forecast

    return integrated_gradients(net, output, x, torch.zeros_like(x))
