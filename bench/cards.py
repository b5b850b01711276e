"""Fill the end of each card in docs/parts, "Measured", from what bench/screen.py measured.

python bench/cards.py [cards=docs/parts] [results=docs/results]

Run it after a screen; it writes the table of cards too. The rest of a card is written by hand.
Where a result does not say which commit's code was measured, nothing is written: exit code 2.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upgate.cli.arguments import read_options
from upgate.config.choices import PARTS, choices
from upgate.errors import UserError

SCREENS = {"stock": "Stock (volatility of 8 tickers)", "sentiment": "Sentiment (SST-2, sentences)"}
METRICS = {
    "val/mse_ratio": "MSE ratio to persistence, lower is better",
    "val/accuracy": "accuracy, higher is better",
}
MEASURED = "**Measured.**"
CLAIM = "**Claim.** "
ABOUT = (
    "One choice changed in the upgraded recipe, small budget, validation part: with it minus "
    "without it. It says what engages; whether a part helps is for `make study` to say."
)
HEAD = """# Cards: one for every choice of every part

What each claims, its equation, where its defaults come from, when to use it, what to watch, what
it costs, and what a screen measured. `python bench/screen.py` measures (tables:
docs/results/screen-*.md), and `python bench/cards.py` fills the cards and writes this page.
Which choices cannot be combined: `upgate train --combinations`.
"""
Row = Mapping[str, Any]
Rows = dict[tuple[str, str, str], Row]  # (task, group, name)


def read(results: Path) -> Rows:
    """The rows of all screens."""
    rows: Rows = {}
    for task in SCREENS:
        path = results / f"screen-{task}.json"
        if path.exists():
            for row in json.loads(path.read_text(encoding="utf-8")):
                rows[task, row["group"], row["name"]] = row
    return rows


def check_commits(rows: Rows) -> None:
    """Raise UserError where a measured row does not say which commit's code was measured."""
    unknown = [key for key, row in rows.items() if row["seeds"] and not row["code"]]
    if unknown:
        task, group, name = unknown[0]
        raise UserError(
            f"screen-{task}.json does not say which commit's code measured {group}={name} "
            f"({len(unknown)} rows in all); run python bench/screen.py task={task} in a checkout"
        )


def describe_effect(row: Row) -> str:
    """With its sign and, from two seeds on, its standard error."""
    return f"{row['effect']:+.4f}" + (f" ± {row['se']:.4f}" if row["se"] is not None else "")


def describe(task: str, row: Row | None) -> str:
    """The line of a card about one screen."""
    if row is None:
        return (
            f"- {SCREENS[task]}: not measured yet: `python bench/screen.py task={task}` fills this."
        )
    if not row["seeds"]:
        return f"- {SCREENS[task]}: not measured: {row['engaged']}."
    change = "no effect to tell"
    if row["effect"] is not None:
        change = f"{describe_effect(row)} in {METRICS[row['metric']]}"
    compared = f"`{row['arm']}` against `{row['against']}`, {row['seeds']} seeds"
    seconds = f"Seconds per step: ×{row['seconds_per_step_ratio']:.2f}."
    source = f"Data {row['data']}, code {row['code']}."
    return (
        f"- {SCREENS[task]}: {change} ({compared}). "
        f"Engagement: {row['engaged']}. {seconds} {source}"
    )


def fill(card: str, group: str, name: str, rows: Rows) -> str:
    """The card with what follows "Measured" written anew."""
    by_hand, mark, _ = card.partition(MEASURED)
    assert mark, f"the card of {group}={name} has no {MEASURED}"
    measured = [describe(task, rows.get((task, group, name))) for task in SCREENS]
    return "\n".join([f"{by_hand}{MEASURED} {ABOUT}\n", *measured]) + "\n"


def cell(row: Row | None) -> str:
    """A cell of the table."""
    return "" if row is None or row["effect"] is None else describe_effect(row)


def index(cards: Path, rows: Rows) -> str:
    """The page that lists all cards."""
    lines = [HEAD, "| choice | claim | stock | sentiment |\n|---|---|--:|--:|"]
    for group in PARTS:
        for name in choices(group):
            text = (cards / f"{group}-{name}.md").read_text(encoding="utf-8")
            claim = text.partition(CLAIM)[2].partition("\n")[0]
            cells = " | ".join(cell(rows.get((task, group, name))) for task in SCREENS)
            lines.append(f"| [{group}={name}]({group}-{name}.md) | {claim} | {cells} |")
    return "\n".join(lines) + "\n"


def pages(cards: Path, results: Path) -> dict[Path, str]:
    """What each page should hold. Raises UserError where a commit is not known."""
    rows = read(results)
    check_commits(rows)
    texts = {}
    for group in PARTS:
        for name in choices(group):
            path = cards / f"{group}-{name}.md"
            texts[path] = fill(path.read_text(encoding="utf-8"), group, name, rows)
    return texts | {cards / "README.md": index(cards, rows)}


def main(words: list[str]) -> None:
    options = read_options({"cards": "docs/parts", "results": "docs/results"}, words)
    try:
        texts = pages(Path(options["cards"]), Path(options["results"]))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
