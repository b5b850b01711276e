"""Made-up shares of a text's words and of a window's days, as the page of a run shows them."""

from typing import Any

import numpy as np
import pandas as pd

from helpers.report import EVIL
from upgate.page.document import document
from upgate.page.translations import Translator
from upgate.report.texts import report_translator
from upgate.tasks.account import Account
from upgate.tasks.sentiment.explain import ExplainedText, Word
from upgate.tasks.sentiment.explained import review
from upgate.tasks.sentiment.texts import TEXTS as SENTIMENT_TEXTS
from upgate.tasks.stock.explain import ExplainedForecast
from upgate.tasks.stock.explained import one_forecast
from upgate.tasks.stock.texts import TEXTS as STOCK_TEXTS


def explained_text(
    content: str = "Not bad at all", shares: tuple[float, ...] = (-0.5, 2.0)
) -> ExplainedText:
    about = {"text": content, "truth": EVIL, "run": f"+{EVIL}", "twin": f"-{EVIL}"}
    about |= {"run_probability": 0.9, "twin_probability": 0.6}
    words = [Word(0, 3, shares[0], 0.25), Word(4, 7, shares[1], 0.0)]
    run, twin = Account(1.0, 0.5, np.array(shares), 0.0), Account(0.0, -1.0, np.zeros(2), 0.0)
    return ExplainedText(pd.Series(about), run, twin, words)


def explained_forecast(days: int = 5) -> ExplainedForecast:
    about: dict[str, Any] = {"ticker": EVIL, "label_date": pd.Timestamp("2020-01-10")}
    about |= {"run": 0.1, "twin": 0.2, "truth": 0.3}
    shares = np.arange(2.0 * days).reshape(days, 2) - 3
    account = Account(0.0, 0.1, shares, 1e-5)
    names = ["close_return", EVIL]
    dates = pd.bdate_range("2020-01-03", periods=days)
    return ExplainedForecast(pd.Series(about), dates, names, account, account)


def translators(language: str) -> dict[str, Translator]:
    w = report_translator(language)
    return {"sentiment": w.extended(SENTIMENT_TEXTS), "stock": w.extended(STOCK_TEXTS)}


def explained_page() -> str:
    """A page with one of each."""
    w = translators("en")
    shown = [
        review(explained_text("bad bad " * 60), w["sentiment"]),
        one_forecast(explained_forecast(60), True, w["stock"]),
    ]
    return document("Run", shown, w["stock"])
