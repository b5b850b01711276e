"""`upgate predict`: the next forecast from a stored run, preprocessing included."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from rich.console import Console

from upgate import config
from upgate.data.features import Panel
from upgate.data.sources import load_prices
from upgate.data.windows import apply_scaling, take, to_price, unscale
from upgate.errors import UserError
from upgate.model.stock import StockLearner
from upgate.run.listing import ROOT, open_store
from upgate.run.show import new_table, number
from upgate.run.store import Row, Store

OWN = ("run", "out", "root")


def predict_command(words: Sequence[str]) -> int:
    """run=<latest, a run id or the start of a key> [data=... data.path=...] [out=file.csv]; without data, the run's own."""
    own = {key: value for key, _, value in (word.partition("=") for word in words) if key in OWN}
    rest = [word for word in words if word.partition("=")[0] not in OWN]
    for word in rest:
        if word.partition("=")[0].split(".")[0] != "data":
            raise UserError(f"unknown key {word.partition('=')[0]}; predict knows run, out, root, data and data....")
    root = own.get("root", ROOT)
    row = find(open_store({"root": root}), own.get("run", "latest"))
    folder = Path(root).resolve() / row.key[:16]
    forecasts = forecast(checkpoint(folder, row), load_prices(source(rest, folder)).table)
    if "out" in own:
        write(forecasts, Path(own["out"]))
        return 0
    show(forecasts, row)
    return 0


def find(store: Store, wanted: str) -> Row:
    """The newest finished run that was asked for itself (not as a twin), or the one of that id or key."""
    rows = [row for row in store.rows(status="FINISHED") if not row.is_parent]
    if wanted == "latest":
        rows = [row for row in rows if row.tags.get("upgate.role") == "run"]
    else:
        rows = [row for row in rows if row.run_id == wanted or (len(wanted) >= 4 and row.key.startswith(wanted))]
    if not rows:
        raise UserError(f"run={wanted} is not a finished run of this store; upgate runs lists them")
    return rows[0]


def checkpoint(folder: Path, row: Row) -> dict[str, Any]:
    path = folder / "best.ckpt"
    if not path.exists():
        raise UserError(f"{row.name} kept no weights at {path}; choose another run with run=..., upgate runs lists them")
    return torch.load(path, map_location="cpu", weights_only=True)


def source(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """The data that the words ask for; `data.path` alone means price files; nothing means the run's own."""
    if not words:
        return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["data"]
    chosen = any(word.startswith("data=") for word in words)
    return config.compose([*words] if chosen else ["data=prices", *words])["data"]


def forecast(kept: dict[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Forecast from each ticker's last day: a row per ticker, in target units and, where the target means one, in price."""
    spec, scaling = kept["hyper_parameters"]["spec"], kept["hyper_parameters"]["scaling"]
    learner = StockLearner(spec, scaling)
    learner.load_state_dict(kept["state_dict"])
    panel = Panel.of(table)
    x, origin = apply_scaling(panel, scaling, spec["task"]["window"])
    with torch.inference_mode():
        scaled = learner.eval().net(take(x, torch.zeros(len(x)), spec["task"]["window"])(origin))
    row = origin.numpy()
    value = unscale(scaled.double().numpy(), row, panel, scaling)
    frame = pd.DataFrame(
        {
            "ticker": panel.tickers,
            "last_day": panel.dates[panel.date[row]],
            "days_ahead": spec["task"]["horizon"],
            "last_close": panel.close[row],
            spec["task"]["target"]: value,
        }
    )
    price = to_price(value, row, panel, scaling)
    if price is None:
        frame["daily_volatility_percent"] = 100 * np.exp(value)
    else:
        frame["price"] = price
        frame["change_percent"] = 100 * (price / frame["last_close"] - 1)
    return frame


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write the csv whole or not at all."""
    if not path.parent.exists():
        raise UserError(f"out={path}: there is no folder {path.parent}")
    partial = path.with_name(path.name + ".partial")
    frame.to_csv(partial, index=False, date_format="%Y-%m-%d")
    partial.replace(path)
    print(f"{len(frame)} forecasts written to {path}")


def show(frame: pd.DataFrame, row: Row) -> None:
    headings = [str(column).replace("_", " ") for column in frame]
    table = new_table(f"forecast by {row.name} ({row.key[:8]})", *headings, left=2)
    for values in frame.itertuples(index=False):
        table.add_row(*(f"{v:%Y-%m-%d}" if hasattr(v, "year") else v if isinstance(v, str) else text(v) for v in values))
    Console().print(table)


def text(value: float) -> str:
    return str(value) if isinstance(value, int) else number(value, ".2f" if abs(value) >= 1 else ".5f")
