"""The words that made the answers on which a run and its twin differ, as a section of a page."""

import pandas as pd

from upgate.page.figure import folded, note, section
from upgate.page.html import Child, Html, el, table
from upgate.page.translations import Translator
from upgate.tasks.account import account_table, colours, shaded, signed_share, strongest
from upgate.tasks.base import StoredRun
from upgate.tasks.sentiment.explain import ExplainedText, explain_texts
from upgate.tasks.sentiment.figures import find_disagreements

REVIEWS = 6
TABLE = "predictions.parquet"


def explain_words(run: StoredRun, twin: StoredRun, w: Translator) -> list[Html]:
    """A section of the reviews with different answers where both networks are surest."""
    first, second = (pd.read_parquet(stored.fetch(TABLE)) for stored in (run, twin))
    total = f"{len(first):,}"
    differing = find_disagreements(first, second, len(first))
    shown = explain_texts(differing[:REVIEWS], run.checkpoint, twin.checkpoint)
    if not shown:
        return [section(w("why"), note(w("why_agree", all=total)))]
    about = w("why_note", shown=len(shown), differing=f"{len(differing):,}", all=total)
    skipped = "finish" in run.checkpoint or "finish" in twin.checkpoint
    return [
        section(
            w("why"),
            note(w.sentences(about, w("why_share"), w("why_skip") if skipped else "")),
            colours(w("why_for"), w("why_against")),
            [review(text, w) for text in shown],
        )
    ]


def review(explained: ExplainedText, w: Translator) -> Html:
    """One review: marked by either network, then the sums, then all numbers."""
    about, words = explained.about, explained.words
    most = max(abs(share) for word in words for share in (word.run, word.twin))
    heading = w(
        "why_item",
        run=about["run"],
        twin=about["twin"],
        truth=about["truth"],
        run_p=f"{about['run_probability']:.2f}",
        twin_p=f"{about['twin_probability']:.2f}",
    )
    names = [about["text"][word.start : word.end] for word in words]
    sides = []
    for title, shares in ((w("run"), [x.run for x in words]), (w("twin"), [x.twin for x in words])):
        marked = el("p", mark(explained, shares, most), class_="marked")
        sides.append(el("div", el("h4", title), marked, note(strongest(names, shares, w))))
    rows: list[list[Child]] = [
        [name, signed_share(word.run), signed_share(word.twin)]
        for name, word in zip(names, words, strict=True)
    ]
    terms = w("why_linear"), w("why_start"), w("why_sum"), w("why_total")
    return el(
        "div",
        el("h3", heading),
        el("div", sides, class_="columns"),
        account_table(explained.run, explained.twin, terms, w),
        folded(w("numbers"), table([w("why_word"), w("run"), w("twin")], rows)),
    )


def mark(explained: ExplainedText, shares: list[float], most: float) -> list[Child]:
    """The text, the words shaded; what the network does not read is as it is."""
    text, at = explained.about["text"], 0
    parts: list[Child] = []
    for word, share in zip(explained.words, shares, strict=True):
        parts += [text[at : word.start], shaded(text[word.start : word.end], share, most)]
        at = word.end
    return [*parts, text[at:]]
