"""What can be asked of a source of prices in words: kinds that annotate the sources' parameters."""

from datetime import date
from typing import Annotated, Any, Literal

from upgate.config.schema import Range


def listed(asked: Any) -> list[Any]:
    """Return what is asked for as a list; None, which leaves the choice to the source, is an empty one."""
    return list(asked) if isinstance(asked, list | tuple) else [] if asked is None else [asked]


def _is_day(asked: Any) -> bool:
    return asked is None or type(asked) in (str, int, date)


def _are_tickers(asked: Any) -> bool:
    return all(
        type(one) in (str, int) and str(one).strip() for one in listed(asked)
    )  # a whole number is a Chinese code


Bad = Literal["refuse", "drop"]
Day = Annotated[Any, Range("a day, a month or a year, as in 2010-12-31", _is_day)]
Tickers = Annotated[Any, Range("a ticker or a list of them, as in [AAPL,MSFT]", _are_tickers)]
