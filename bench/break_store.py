"""A small sweep is broken on purpose and given again: nothing may be lost, doubled or stuck.

python bench/break_store.py [tries=10] [kinds=all] [seed=0] [minutes=600] [root=runs/break]
                            [out=docs/results/trust.md]

Each try has a store of its own. Its sweep is disturbed at a random moment, then given again as it
was, and must end with the histories of the undisturbed one, point by point. `tries` is the number
of the first kind, kill -9; the others have a tenth of it, one at least. Kinds are separated by
semicolons. Each try is kept in <root>/tries.jsonl: the same command goes on where it was stopped,
and writes the table between the two marks of the page. Kinds that need a mount are tried as root
only.
"""

import json
import random
import re
import shutil
import sys
import time
import traceback
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

from break_store_kinds import KINDS
from break_store_place import Place, Stopped, Undisturbed, compare, preload

from upgate.cli.arguments import read_options

BEGIN, END = "<!-- kinds: begin -->", "<!-- kinds: end -->"
COLUMNS = ("lost", "doubled", "stuck", "tracebacks")


def try_once(kind: str, number: int, root: Path, undisturbed: Undisturbed, seed: int) -> dict:
    """Break one sweep, finish it, and compare; the row of its try."""
    folder = root / re.sub(r"\W+", "-", f"{kind} {number}")
    shutil.rmtree(folder, ignore_errors=True)
    place = Place(folder, undisturbed)
    chance, began = random.Random(f"{kind} {number} {seed}"), time.monotonic()
    row: dict[str, Any] = {"kind": kind, "number": number, "seed": seed}
    try:
        KINDS[kind](place, chance)
        place.finish()
        row |= compare(place)
    except Stopped as error:
        row |= {**dict.fromkeys(COLUMNS, 0), "stuck": 1, "why": str(error)}
    except Exception:  # of this script: the try counts as none
        row["error"] = traceback.format_exc()
    finally:
        place.close()
    row |= {"disturbed": place.disturbed, "tracebacks": place.tracebacks()}
    row["seconds"] = round(time.monotonic() - began, 1)
    faultless = "error" not in row and not any(row[name] for name in COLUMNS)
    if faultless:
        shutil.rmtree(folder, ignore_errors=True)
    return row


def table(rows: list[dict]) -> str:
    """A row for each kind, with the sums of its tries."""
    by_kind = defaultdict(list)
    for row in rows:
        if "error" not in row:
            by_kind[row["kind"]].append(row)
    lines = [
        "| kind | tries | disturbed | lost | doubled | stuck | tracebacks | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for kind in KINDS:
        if tries := by_kind.get(kind):
            sums = [sum(row[name] for row in tries) for name in ("disturbed", *COLUMNS)]
            seconds = sum(row["seconds"] for row in tries)
            lines.append(
                f"| {kind} | {len(tries)} | {' | '.join(map(str, sums))} | {seconds:,.0f} |"
            )
    return "\n".join(lines)


def write_page(path: Path, rows: list[dict], command: str) -> None:
    """Write the table between the page's marks."""
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"`{command}`, {date.today()}, {len(rows)} tries."
    text = f"{before}{BEGIN}\n{made}\n\n{table(rows)}\n{END}{after}"
    path.write_text(text, encoding="utf-8")


def main(words: list[str]) -> None:
    asked = {"tries": "10", "kinds": "all", "seed": "0", "minutes": "600", "root": "runs/break"}
    asked = read_options(asked | {"out": "docs/results/trust.md"}, words)
    root, until = Path(asked["root"]).resolve(), time.monotonic() + 60 * float(asked["minutes"])
    root.mkdir(parents=True, exist_ok=True)
    kinds = list(KINDS) if asked["kinds"] == "all" else asked["kinds"].split(";")
    preload()
    undisturbed = Undisturbed(root / "undisturbed")
    path = root / "tries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["kind"], row["number"]) for row in rows if "error" not in row}
    wanted = {kind: max(1, int(asked["tries"]) // (10 if i else 1)) for i, kind in enumerate(kinds)}
    # the first try of every kind comes first
    todo = sorted((n, kinds.index(kind), kind) for kind in kinds for n in range(wanted[kind]))
    for number, _, kind in todo:
        if (kind, number) in done or time.monotonic() > until:
            continue
        row = try_once(kind, number, root, undisturbed, int(asked["seed"]))
        rows.append(row)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        write_page(
            Path(asked["out"]), rows, f"make break ARGS='{' '.join(words)}'".replace("''", "")
        )


if __name__ == "__main__":
    main(sys.argv[1:])
