"""Fill the end of each card in docs/parts, "Measured", from what bench/screen.py found, and write the table of cards.

python bench/cards.py [cards=docs/parts] [results=docs/results]     after a screen; the rest of a card is written by hand
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upgate.cli.entry import overridden
from upgate.config.compose import PARTS, choices

SCREENS = {"stock": "Stock (volatility of 8 tickers)", "sentiment": "Sentiment (SST-2, sentences)"}
METRICS = {
    "val/mse_ratio": "MSE ratio to persistence, lower is better",
    "val/accuracy": "accuracy, higher is better",
}
MEASURED = "**Measured.**"
CLAIM = "**Claim.** "
ABOUT = (
    "One choice changed in the upgraded recipe, small budget, validation part: with it minus without it. It says what engages; whether"
    " a part helps is for `make study` to say."
)
HEAD = """# Cards: one for every choice of every part

What each claims, its equation, where its defaults come from, when to use it, what to watch, what it costs, and what a screen measured.
`python bench/screen.py` measures (tables: docs/results/screen-*.md), and `python bench/cards.py` fills the cards and writes this page.
Which choices cannot be combined: `upgate train --combinations`.
"""
Row = Mapping[str, Any]
Found = dict[tuple[str, str, str], Row]  # (task, group, name)


def read(results: Path) -> Found:
    found: Found = {}
    for task in SCREENS:
        path = results / f"screen-{task}.json"
        if path.exists():
            found |= {
                (task, row["group"], row["name"]): row
                for row in json.loads(path.read_text(encoding="utf-8"))
            }
    return found


def effect(row: Row) -> str:
    """With its sign and, from two seeds on, its standard error."""
    return f"{row['effect']:+.4f}" + (f" ± {row['se']:.4f}" if row["se"] is not None else "")


def sentence(task: str, row: Row | None) -> str:
    if row is None:
        return (
            f"- {SCREENS[task]}: not measured yet: `python bench/screen.py task={task}` fills this."
        )
    if not row["seeds"]:
        return f"- {SCREENS[task]}: not measured: {row['engaged']}."
    change = (
        "no effect to tell"
        if row["effect"] is None
        else f"{effect(row)} in {METRICS[row['metric']]}"
    )
    compared = f"`{row['arm']}` against `{row['against']}`, {row['seeds']} seeds"
    numbers = (
        f"Engagement: {row['engaged']}. Seconds per step: ×{row['seconds_per_step_ratio']:.2f}."
    )
    return f"- {SCREENS[task]}: {change} ({compared}). {numbers} Data {row['data']}, code {row['code']}."


def filled(card: str, group: str, name: str, found: Found) -> str:
    """The card with what follows "Measured" written anew."""
    by_hand, mark, _ = card.partition(MEASURED)
    assert mark, f"the card of {group}={name} has no {MEASURED}"
    return (
        "\n".join(
            [
                f"{by_hand}{MEASURED} {ABOUT}\n",
                *(sentence(task, found.get((task, group, name))) for task in SCREENS),
            ]
        )
        + "\n"
    )


def short(row: Row | None) -> str:
    """A cell of the table."""
    return "" if row is None or row["effect"] is None else effect(row)


def index(cards: Path, found: Found) -> str:
    lines = [HEAD, "| choice | claim | stock | sentiment |\n|---|---|--:|--:|"]
    for group in PARTS:
        for name in choices(group):
            text = (cards / f"{group}-{name}.md").read_text(encoding="utf-8")
            claim = text.partition(CLAIM)[2].partition("\n")[0]
            cells = " | ".join(short(found.get((task, group, name))) for task in SCREENS)
            lines.append(f"| [{group}={name}]({group}-{name}.md) | {claim} | {cells} |")
    return "\n".join(lines) + "\n"


def pages(cards: Path, results: Path) -> dict[Path, str]:
    """What each page should hold."""
    found = read(results)
    there = {
        cards / f"{group}-{name}.md": (group, name) for group in PARTS for name in choices(group)
    }
    texts = {
        path: filled(path.read_text(encoding="utf-8"), *choice, found)
        for path, choice in there.items()
    }
    return texts | {cards / "README.md": index(cards, found)}


def main(words: list[str]) -> None:
    asked = overridden({"cards": "docs/parts", "results": "docs/results"}, words)
    for path, text in pages(Path(asked["cards"]), Path(asked["results"])).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
