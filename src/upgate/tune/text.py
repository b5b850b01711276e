"""A search on a terminal: its plan, a table of at most 100 characters, and the next command."""

import math
import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from upgate.config.schema import format_value
from upgate.console import format_duration, new_table, number, print_lines
from upgate.experiment.records import looks_line
from upgate.tune.result import TUNED, UNTUNED, ArmResult, Search, SearchResult, mean_metric
from upgate.tune.trial import FAILED

BOTH = (UNTUNED, TUNED)
SAMPLERS = {
    "grid": "a grid",
    "random": "a random list",
    "sobol": "a scrambled Sobol list",
    "tpe": "tree-structured Parzen estimators",
}


def print_search_plan(
    console: Console, search: Search, runs: int, seconds: float, done: int, measured: bool
) -> None:
    """The plan: trials, runs, time, and the space. runs: at most; done: of these."""
    print_lines(console, describe_plan(search))
    console.print(space_table(search))
    source = "measured" if measured else "from a few steps of each recipe"
    line = (
        f"runs: at most {runs:,}, of which {done:,} are done; one after the other about"
        f" {format_duration(seconds)} if all take as long as the recipe as it is ({source})"
    )
    print_lines(console, [line])


def describe_plan(search: Search) -> list[str]:
    """The trials, the folds, the further seeds, and the test."""
    block = search.blocks[0]
    trials = _count(search.trials, "trial")
    if len(search.arms) > 1:
        trials += f" of each of {_count(len(search.arms), 'arm')}"
    lines = [
        f"search {search.id}: {trials} from {SAMPLERS[search.sampler]}, trial 0 the recipe as it"
        f" is; {_count(len(block.folds), 'fold')} ({block.search[0]}), seed {search.seeds[0]}"
    ]
    if len(search.blocks) > 1:
        lines.append(f"nested: a search of its own before each of {len(search.blocks)} test blocks")
    if len(search.seeds) > 1:
        further = format_value(search.seeds[1:])[1:-1]
        lines.append(f"the best {min(search.top, search.trials)} get seeds {further} too")
    if search.test:
        lines.append(
            "then the winner and the recipe as it is, on train + validation, tested once with seed"
            f" {search.test_seed}"
        )
    else:
        lines.append("the test part stays closed")
    return lines


def space_table(search: Search) -> Table:
    """A row per key, a column of untuned values per arm."""
    table = new_table("searched", "key", "range", *(arm.name for arm in search.arms), left=2)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for arm in search.arms:
        for dim in arm.space:
            value = format_value(arm.baseline[dim.key])
            rows.setdefault((dim.key, dim.text), {})[arm.name] = value
    for (key, text), values in rows.items():
        table.add_row(Text(key), text, *(values.get(arm.name, "") for arm in search.arms))
    return table


def print_search(console: Console, result: SearchResult) -> None:
    """The table, the chosen values, what a reader must know, and the sentence."""
    console.print(search_table(result))
    print_lines(
        console, [*describe_chosen(result), *search_notes(result), summarize_search(result)]
    )


def search_table(result: SearchResult) -> Table:
    """A row per arm and block."""
    search, many = result.search, len(result.blocks) > 1
    better = "higher" if search.score.higher_is_better else "lower"
    title = (
        f"{search.score.label}, {better} is better; untuned, best: validation, means over folds"
        " and seeds; test: after the refit"
    )
    block_heading = ["block"] if many else []
    scores = ("untuned", "best", "trial", "test, untuned", "test, tuned")
    table = new_table(title, "arm", *block_heading, *scores, left=1 + many)
    for arm in search.arms:
        for i, block in enumerate(result.blocks):
            names: list[str | Text] = [Text(arm.name), *([block.name] if many else [])]
            cells = arm_cells(search, block.arm(arm.name))
            table.add_row(*names, *cells, end_section=many and i == len(result.blocks) - 1)
    return table


def arm_cells(search: Search, arm: ArmResult) -> tuple[str, ...]:
    """Untuned and best validation score, the chosen trial, untuned and tuned test score."""
    best = arm.best
    tests = [test_score(search, arm, which) for which in (UNTUNED, TUNED)]
    untuned = format_loss(search, arm.trials[0].final)
    if best is None:
        return (untuned, "", "none", *tests)
    return (untuned, format_loss(search, best.final), str(best.number), *tests)


def format_loss(search: Search, loss: float) -> str:
    return number(search.metric_of(loss)) if math.isfinite(loss) else "diverged"


def test_score(search: Search, arm: ArmResult, which: str) -> str:
    """The mean over folds; empty where the test part was not opened."""
    tests = arm.tests.get(which) if search.test else None
    return number(mean_metric(tests.values(), search.score)) if tests else ""


def describe_chosen(result: SearchResult) -> list[str]:
    """The values of each winner."""
    lines = []
    for block in result.blocks:
        for arm in block.arms:
            if arm.best is not None:
                values = " ".join(arm.best.overrides) or "the recipe as it is"
                lines.append(f"{arm.name}{block.label}: trial {arm.best.number}: {values}")
    return lines


def search_notes(result: SearchResult) -> list[str]:
    """What a reader of the table must know."""
    lines = []
    for block in result.blocks:
        for arm in block.arms:
            states = ", ".join(f"{n} {state}" for state, n in arm.notes.items() if n)
            if states:
                name = f"{arm.name}{block.label}"
                lines.append(f"{name}: of {len(arm.trials)} trials {states}; they rank last")
    if result.failed:
        lines.append(f"last runs that failed: {', '.join(result.failed)}")
    if result.search.test:
        lines.append(looks_line(result.looks))
    return lines


def summarize_search(result: SearchResult) -> str:
    """Before and after, in one sentence."""
    search = result.search
    if not search.test:
        return "The test part was not opened."
    phrases = [phrase for arm in search.arms if (phrase := _before_after(result, arm.name))]
    if len(search.arms) == 2:
        phrases += _between_arms(result)
    if not phrases:
        return "Nothing was tested."
    return (
        f"On the test part, {'; '.join(phrases)}. One test run of each is an anecdote:"
        " a study says how sure it is."
    )


def _before_after(result: SearchResult, arm: str) -> str:
    name = result.search.score.label
    before, after = result.test(arm, UNTUNED), result.test(arm, TUNED)
    if math.isnan(after):
        return ""
    if not (math.isfinite(before) and math.isfinite(after)):
        untuned = "nothing" if math.isnan(before) else number(before)
        return f"{arm} gets {name} {number(after)} tuned, and {untuned} untuned"
    if before == after:
        return f"{arm} stays at {name} {number(after)}"
    change = format_change(result.search, after, before)
    return f"tuning takes {arm} from {name} {number(before)} to {number(after)} ({change})"


def _between_arms(result: SearchResult) -> list[str]:
    """The second arm against the first one, untuned and with both tuned."""
    search = result.search
    base, other = (arm.name for arm in search.arms)
    tests = {(arm, which): result.test(arm, which) for arm in (base, other) for which in BOTH}
    if not all(map(math.isfinite, tests.values())):
        return []
    untuned, tuned = (
        format_change(search, tests[other, which], tests[base, which]) for which in BOTH
    )
    return [f"{other} against {base}: {untuned} untuned, {tuned} with both tuned"]


def list_changes(result: SearchResult) -> list[str]:
    """What tuning changed on the test part, of each arm that was tested before and after."""
    arms = [arm.name for arm in result.search.arms]
    tests = {arm: (result.test(arm, TUNED), result.test(arm, UNTUNED)) for arm in arms}
    return [
        f"{format_change(result.search, *pair)} {arm}"
        for arm, pair in tests.items()
        if all(map(math.isfinite, pair))
    ]


def format_change(search: Search, candidate: float, baseline: float) -> str:
    """The difference as a study shows it: percent of a ratio, points of an accuracy."""
    change = search.score.change(candidate, baseline)
    return "" if change is None else f"{change:+.2f}{search.score.unit}"


def next_command(result: SearchResult) -> str:
    """What to type next: the winner's full training."""
    overrides = winner_overrides(result)
    return shlex.join(["upgate", "train", *overrides]) if overrides else result.search.commands[0]


def winner_overrides(result: SearchResult) -> Sequence[str]:
    """The best arm's last run, of the last block and fold: its full overrides."""
    best = {arm.name: arm.best.final for arm in result.blocks[-1].arms if arm.best is not None}
    if not best:
        return []
    name = min(best, key=lambda name: best[name])
    overrides = result.blocks[-1].arm(name).overrides.get(TUNED, [])
    fold = result.search.blocks[-1].tests[-1]
    return [*overrides, f"fold={fold}"] if overrides and fold else overrides


def any_failed(result: SearchResult) -> bool:
    return bool(result.failed) or any(arm.count(FAILED) for arm in result.all_arms)


def _count(n: int, name: str) -> str:
    return f"{n:,} {name}{'s' * (n != 1)}"
