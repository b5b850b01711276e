"""The network of prices as a file of its own: scaled windows in, scaled forecasts out."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from upgate.config.values import Section
from upgate.data.prices.windows import CLIP
from upgate.generators import generator
from upgate.model.export.network import Network, Port, Sizes
from upgate.tasks.stock.module import StockModule

# The formulas of `data.prices.features`, for who computes them without this package. t: a day of
# the ticker, t-1 the one before.
FORMULAS = {
    "open_return": "log(open[t] / close[t-1])",
    "high_return": "log(high[t] / close[t-1])",
    "low_return": "log(low[t] / close[t-1])",
    "close_return": "log(close[t] / close[t-1])",
    "range_volatility": "0.5 log(log(high[t] / low[t])**2 / (4 log 2) + 1e-8)",
    "volume_change": "log(volume[t] / volume[t-1]); 0 where one of them is missing or 0",
    **{name: f"{name}[t]" for name in ("open", "high", "low", "close")},
    "volume": "volume[t]; 0 where it is missing",
}
MARKET = {"market_volatility": "range_volatility", "market_return": "close_return"}
REFERENCES = {  # of model.skip=reference: what its weights are multiplied with, at the last day
    "return": ["1"],
    "level": ["close[t]"],
    "volatility": [
        "1",
        *(f"0.5 log(mean over the last {n} days of log(high/low)**2 / (4 log 2))" for n in (1, 5)),
        "the same over the last 22 days",
    ],
}


class Windows(nn.Module):
    """(B, T, F) -> (B,)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        forecast: Tensor = self.net({"x": x})
        return forecast


class WindowsAndSkip(Windows):
    """(B, T, F), (B,) -> (B,)."""

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:  # type: ignore[override]
        forecast: Tensor = self.net({"x": x, "skip": skip})
        return forecast


def formula(feature: str) -> str:
    """How a feature is computed."""
    name, _, days = feature.rpartition("_")
    if feature in FORMULAS:
        return FORMULAS[feature]
    if name in MARKET:
        return f"{MARKET[name]}'s mean over the tickers of a day, averaged over {days} days"
    return f"{name}, averaged over the last {days} days of the ticker"


def export_prices(checkpoint: Section) -> Network:
    """The network of a checkpoint."""
    parameters = checkpoint["hyper_parameters"]
    spec, scaling, skip = parameters["spec"], parameters["scaling"], parameters.get("skip")
    module = StockModule(spec, scaling, skip)
    module.load_state_dict(checkpoint["state_dict"])
    width = len(scaling["features"])
    text = "scaled features of consecutive days of a ticker, the last day last"
    inputs = [Port("x", ("batch", "length", width), "float32", text)]
    if skip is not None:
        inputs.append(Port("skip", ("batch",), "float32", "the reference's scaled forecast"))

    def sample(sizes: Sizes) -> tuple[Tensor, ...]:
        draws = generator(0, "export")
        x = torch.randn(sizes["batch"], sizes["length"], width, generator=draws)
        return (x, torch.randn(sizes["batch"], generator=draws))[: len(inputs)]

    output = Port("forecast", ("batch",), "float32", "scaled; forecast * scale + centre of y")
    graph = Windows(module.net) if skip is None else WindowsAndSkip(module.net)
    about = describe_prices(spec["task"], scaling, skip, checkpoint.get("finish", {}))
    return Network(graph.eval(), tuple(inputs), output, sample, about)


def describe_prices(
    task: Section, scaling: Section, skip: Section | None, finish: Section
) -> dict[str, Any]:
    """What prepares the inputs and reads the output, as JSON."""
    target = scaling["target"]
    clip = CLIP[target]
    about: dict[str, Any] = {
        "target": target,
        "target_text": {
            "return": "log(close[t+horizon] / close[t])",
            "level": "close[t+horizon]",
            "volatility": "0.5 log(mean of log(high/low)**2 / (4 log 2), days t+1 to t+horizon)",
        }[target],
        "horizon": scaling["horizon"],
        "window": task["window"],  # days it was trained on
        "features": {name: formula(name) for name in scaling["features"]},
        "scaling_text": "x = (feature - centre) / scale, cut to [-clip, clip]; a ticker's own"
        " statistics where it has them, else the pooled ones",
        "scaling": {"x": scaling["x"], "y": scaling["y"]},
        "clip": clip if math.isfinite(clip) else None,
        "intervals_text": "level -> what is added to the scaled forecast, and subtracted",
        "intervals": dict(finish.get("radii", {})),
    }
    if skip is not None:
        about["skip_text"] = "the sum of weights * terms, minus centre of y, over scale of y"
        about["skip"] = {"terms": REFERENCES[target], **skip}
    return about
