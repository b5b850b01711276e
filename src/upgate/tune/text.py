"""A search in words for a terminal: the plan before it, a table of at most 100 characters and the next command after it."""

import math
import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from upgate.config.schema import said
from upgate.console import new_table, number
from upgate.study.budget import minutes
from upgate.tune.plan import axes, runs_of
from upgate.tune.result import TUNED, UNTUNED, ArmResult, Search, SearchResult
from upgate.tune.trial import FAILED

SAMPLERS = {
    "grid": "a grid",
    "random": "a random list",
    "sobol": "a scrambled Sobol list",
    "tpe": "tree-structured Parzen estimators",
}


def tell(console: Console, search: Search, seconds: float, done: int, measured: bool) -> None:
    """The plan: trials, runs, time, and the space."""
    runs = runs_of(search)
    block = search.blocks[0]
    each = (
        f"{count(search.trials, 'trial')} of each of {count(len(search.arms), 'arm')}"
        if len(search.arms) > 1
        else count(search.trials, "trial")
    )
    lines = [
        f"search {search.id}: {each} from {SAMPLERS[search.sampler]}, trial 0 the recipe as it is; {count(len(block.folds), 'fold')} "
        f"({block.search[0]}), seed {search.seeds[0]}",
        *(
            [f"nested: searched anew before each of {len(search.blocks)} test blocks"]
            if len(search.blocks) > 1
            else []
        ),
        *(
            [
                f"the best {min(search.top, search.trials)} get seeds {said(search.seeds[1:])[1:-1]} too"
            ]
            if len(search.seeds) > 1
            else []
        ),
        f"then the winner and the recipe as it is, on train + validation, tested once with seed {search.test_seed}"
        if search.test
        else "the test part stays closed",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    space(console, search)
    how = "measured" if measured else "from a few steps of each recipe"
    told = f"runs: at most {runs:,}, of which {done:,} are done; one after the other about {minutes(seconds)} if all take as long "
    told += f"as the recipe as it is ({how})"
    console.print(told, highlight=False, markup=False, soft_wrap=True)


def space(console: Console, search: Search) -> None:
    """A row per key, a column of baselines per arm."""
    table = new_table("searched", "key", "range", *(arm.name for arm in search.arms), left=2)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for arm in search.arms:
        for key, found, value in axes(arm.space, arm.baseline):
            rows.setdefault((key, found), {})[arm.name] = said(value)
    for (key, found), values in rows.items():
        table.add_row(Text(key), found, *(values.get(arm.name, "") for arm in search.arms))
    console.print(table)


def count(n: int, name: str) -> str:
    return f"{n:,} {name}{'s' * (n != 1)}"


def show(console: Console, result: SearchResult) -> None:
    """The table, the chosen values, what must be known beside it, and the next command."""
    search = result.search
    name = search.score.label
    better = "higher" if search.score.higher_is_better else "lower"
    many = len(result.blocks) > 1
    title = f"{name}, {better} is better; untuned, best: validation, means over folds and seeds; test: after the refit"
    table = new_table(
        title,
        "arm",
        *(["block"] if many else []),
        "untuned",
        "best",
        "trial",
        "test, untuned",
        "test, tuned",
        left=1 + many,
    )
    for arm in search.arms:
        for i, block in enumerate(result.blocks):
            found = next(one for one in block.arms if one.name == arm.name)
            table.add_row(
                Text(arm.name),
                *([block.name] if many else []),
                *cells(search, found),
                end_section=many and i == len(result.blocks) - 1,
            )
    console.print(table)
    for line in [*chosen(result), *notes(result), sentence(result)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def cells(search: Search, arm: ArmResult) -> tuple[str, ...]:
    """Untuned and best validation score, the chosen trial, untuned and tuned test score."""
    best = arm.best
    tests = (
        [fold_mean(search, arm, which) for which in (UNTUNED, TUNED)]
        if search.test
        else [None, None]
    )
    return (
        score(search, arm.trials[0].final),
        score(search, best.final) if best else "",
        str(best.number) if best else "none",
        *(number(one) if one is None or math.isfinite(one) else "diverged" for one in tests),
    )


def score(search: Search, loss: float) -> str:
    return number(search.metric_of(loss)) if math.isfinite(loss) else "diverged"


def fold_mean(search: Search, arm: ArmResult, which: str) -> float | None:
    from upgate.tune.result import mean_metric

    found = arm.tests.get(which)
    return mean_metric(found.values(), search.score) if found else None


def chosen(result: SearchResult) -> list[str]:
    """The values of each winner."""
    lines = []
    for block in result.blocks:
        for arm in block.arms:
            if arm.best is not None:
                where = f"{arm.name}{', ' + block.name if block.name else ''}"
                values = " ".join(arm.best.words) or "the recipe as it is"
                lines.append(f"{where}: trial {arm.best.number}: {values}")
    return lines


def notes(result: SearchResult) -> list[str]:
    found = []
    for block in result.blocks:
        for arm in block.arms:
            told = ", ".join(f"{n} {state}" for state, n in arm.notes.items() if n)
            if told:
                where = f"{arm.name}{', ' + block.name if block.name else ''}"
                found.append(f"{where}: of {len(arm.trials)} trials {told}; they rank last")
    if result.failed:
        found.append(f"failed at the end: {', '.join(result.failed)}")
    if result.search.test:
        found.append(f"looks at this test part in this store: {result.looks} runs")
    return found


def sentence(result: SearchResult) -> str:
    """Before and after, in one sentence."""
    search = result.search
    name = search.score.label
    if not search.test:
        return "The test part was not opened."
    told = [one for arm in search.arms if (one := _before_after(result, arm.name, name))]
    pairs = [
        (arm.name, result.test(arm.name, UNTUNED), result.test(arm.name, TUNED))
        for arm in search.arms
    ]
    if len(pairs) == 2 and all(math.isfinite(x) for _, *both in pairs for x in both):
        (base, before, after), (other, its_before, its_after) = pairs
        told.append(
            f"{other} against {base}: {gap(search, its_before, before)} untuned, {gap(search, its_after, after)} with both tuned"
        )
    if not told:
        return "Nothing was tested."
    return f"On the test part, {'; '.join(told)}. One test run of each is an anecdote: a study says how sure it is."


def _before_after(result: SearchResult, arm: str, name: str) -> str:
    before, after = result.test(arm, UNTUNED), result.test(arm, TUNED)
    if math.isnan(after):
        return ""
    if not (math.isfinite(before) and math.isfinite(after)):
        return f"{arm} gets {name} {number(after)} tuned, and {'nothing' if math.isnan(before) else number(before)} untuned"
    if before == after:
        return f"{arm} stays at {name} {number(after)}"
    return f"tuning takes {arm} from {name} {number(before)} to {number(after)} ({gap(result.search, after, before)})"


def gap(search: Search, ours: float, theirs: float) -> str:
    """The difference as a study shows it: percent of a ratio, points of an accuracy."""
    change = search.score.change(ours, theirs)
    return "" if change is None else f"{change:+.2f}{search.score.unit}"


def next_line(result: SearchResult) -> str:
    """What to type next: the winner's whole training."""
    words = winner_words(result)
    return shlex.join(["upgate", "train", *words]) if words else result.search.commands[0]


def winner_words(result: SearchResult) -> Sequence[str]:
    """The best arm's last run, of the last block and fold: its full words."""
    arms = [arm for arm in result.blocks[-1].arms if arm.best is not None]
    if not arms:
        return []
    best = min(arms, key=lambda arm: arm.best.final if arm.best else math.inf)
    fold = result.search.blocks[-1].tests[-1]
    words = best.words.get(TUNED, [])
    return [*words, f"fold={fold}"] if words and fold else words


def any_failed(result: SearchResult) -> bool:
    return bool(result.failed) or any(
        arm.count(FAILED) for block in result.blocks for arm in block.arms
    )
