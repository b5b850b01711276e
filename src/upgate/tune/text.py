"""A search on a terminal: its plan, a table of at most 100 characters, and the next command."""

import math
import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from upgate.config.schema import format_value
from upgate.console import counted, format_duration, new_table, number, print_lines
from upgate.experiment.records import looks_line
from upgate.messages import joined
from upgate.tune.result import TUNED, UNTUNED, ArmResult, Search, SearchResult, mean_metric
from upgate.tune.texts import say
from upgate.tune.trial import FAILED

BOTH = (UNTUNED, TUNED)


def print_search_plan(
    console: Console, search: Search, runs: int, seconds: float, done: int, measured: bool
) -> None:
    """The plan: trials, runs, time, and the space. runs: at most; done: of these."""
    print_lines(console, describe_plan(search))
    console.print(space_table(search))
    counts = {"runs": f"{runs:,}", "done": f"{done:,}"}
    source = say("measured" if measured else "guessed")
    line = say("runs", duration=format_duration(seconds), source=source, **counts)
    print_lines(console, [line])


def describe_plan(search: Search) -> list[str]:
    """The trials, the folds, the further seeds, and the test."""
    block = search.blocks[0]
    trials = counted(search.trials, "trial")
    if len(search.arms) > 1:
        trials = say("of_each_arm", trials=trials, arms=counted(len(search.arms), "arm"))
    lines = [
        say(
            "search_plan",
            id=search.id,
            trials=trials,
            sampler=say(f"sampler_{search.sampler}"),
            folds=counted(len(block.folds), "fold"),
            split=block.search[0],
            seed=search.seeds[0],
        )
    ]
    if len(search.blocks) > 1:
        lines.append(say("nested", blocks=len(search.blocks)))
    if len(search.seeds) > 1:
        further = format_value(search.seeds[1:])[1:-1]
        lines.append(say("further_seeds", top=min(search.top, search.trials), seeds=further))
    last = say("then_test", seed=search.test_seed) if search.test else say("test_closed")
    return [*lines, last]


def space_table(search: Search) -> Table:
    """A row per key, a column of untuned values per arm."""
    table = new_table(
        say("searched"), say("key"), say("range"), *(arm.name for arm in search.arms), left=2
    )
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for arm in search.arms:
        for dim in arm.space:
            value = format_value(arm.baseline[dim.key])
            rows.setdefault((dim.key, dim.text), {})[arm.name] = value
    for (key, text), values in rows.items():
        table.add_row(key, text, *(values.get(arm.name, "") for arm in search.arms))
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
    better = say("better_higher" if search.score.higher_is_better else "better_lower")
    title = say("search_title", metric=search.score.label, better=better)
    block_heading = [say("block")] if many else []
    scores = map(say, ("untuned", "best", "trial", "test_untuned", "test_tuned"))
    table = new_table(title, say("arm"), *block_heading, *scores, left=1 + many)
    for arm in search.arms:
        for i, block in enumerate(result.blocks):
            names = [arm.name, *([block.name] if many else [])]
            cells = arm_cells(search, block.arm(arm.name))
            table.add_row(*names, *cells, end_section=many and i == len(result.blocks) - 1)
    return table


def arm_cells(search: Search, arm: ArmResult) -> tuple[str, ...]:
    """Untuned and best validation score, the chosen trial, untuned and tuned test score."""
    best = arm.best
    tests = [test_score(search, arm, which) for which in (UNTUNED, TUNED)]
    untuned = format_loss(search, arm.trials[0].final)
    if best is None:
        return (untuned, "", say("none"), *tests)
    return (untuned, format_loss(search, best.final), str(best.number), *tests)


def format_loss(search: Search, loss: float) -> str:
    return number(search.metric_of(loss)) if math.isfinite(loss) else number(loss)


def test_score(search: Search, arm: ArmResult, which: str) -> str:
    """The mean over folds; empty where the test part was not opened."""
    tests = arm.tests.get(which) if search.test else None
    return number(mean_metric(tests.values(), search.score)) if tests else ""


def describe_chosen(result: SearchResult) -> list[str]:
    """The values of each winner."""
    lines: list[str] = []
    for block in result.blocks:
        for arm in block.arms:
            if arm.best is not None:
                values = " ".join(arm.best.overrides) or say("as_it_is")
                name, number = f"{arm.name}{block.label}", arm.best.number
                lines.append(say("chosen", name=name, number=number, values=values))
    return lines


def search_notes(result: SearchResult) -> list[str]:
    """What a reader of the table must know."""
    lines: list[str] = []
    for block in result.blocks:
        for arm in block.arms:
            states = [
                say("state", n=n, state=say.of("state", state))
                for state, n in arm.notes.items()
                if n
            ]
            if states:
                own = {"name": f"{arm.name}{block.label}", "states": joined(states)}
                lines.append(say("states", trials=len(arm.trials), **own))
    if result.failed:
        lines.append(say("last_failed", names=joined(result.failed)))
    if result.search.test:
        lines.append(looks_line(result.looks))
    return lines


def summarize_search(result: SearchResult) -> str:
    """Before and after, in one sentence."""
    search = result.search
    if not search.test:
        return say("not_opened")
    phrases = [phrase for arm in search.arms if (phrase := _before_after(result, arm.name))]
    if len(search.arms) == 2:
        phrases += _between_arms(result)
    if not phrases:
        return say("nothing_tested")
    return say("on_test", phrases=joined(phrases, "sentences"))


def _before_after(result: SearchResult, arm: str) -> str:
    name = result.search.score.label
    before, after = result.test(arm, UNTUNED), result.test(arm, TUNED)
    if math.isnan(after):
        return ""
    if not (math.isfinite(before) and math.isfinite(after)):
        untuned = say("nothing") if math.isnan(before) else number(before)
        return say("gets", arm=arm, metric=name, tuned=number(after), untuned=untuned)
    if before == after:
        return say("stays", arm=arm, metric=name, score=number(after))
    scores = {"untuned": number(before), "tuned": number(after)}
    change = format_change(result.search, after, before)
    return say("takes", arm=arm, metric=name, change=change, **scores)


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
    return [say("between", arm=other, baseline=base, untuned=untuned, tuned=tuned)]


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
    if change is None:
        return ""
    return say("change", change=f"{change:+.2f}", unit=search.score.unit)


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
