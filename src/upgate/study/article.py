"""`upgate study experiment=article`: the article's claim under its own setting and under an honest one, in one command.

A bundle of pair studies, one after the other, each of which can be run by itself as well. What the
article claims of a task, and in which settings it is checked, stands in tasks/<name>/article.py.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from upgate.config import compose as config
from upgate.console import declined
from upgate.errors import UserError
from upgate.run import provenance as environment
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.store.connect import redact
from upgate.store.record import PARENT
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.study.article_text import show
from upgate.study.budget import Budget, budget, minutes, tell
from upgate.study.command import agreed, run, stored_rows
from upgate.study.facts import Fact, article_claim, facts
from upgate.study.load import EXPERIMENT, Experiment, folder_of, result_of
from upgate.study.options import read
from upgate.study.plan import Plan, commands_of, plan
from upgate.study.result import to_json

OURS = (
    "study",
    "study.design",
    "study.arms",
    "task.target",
)  # words that the experiment says itself


def settings(words: Sequence[str], extra: str | None) -> dict[str, list[str]]:
    """The overrides of each study, as the task arranges the user's. Raises UserError."""
    kept = [word for word in words if not word.startswith("experiment=")]
    for word in kept:
        if word.partition("=")[0] in OURS:
            raise UserError(
                f"{word} cannot be given to experiment=article, which says it itself; leave it out"
            )
    task = config.compose(read(kept)[1], extra)["task"]["name"]
    return article_claim(task).overrides(kept)


def article_command(words: Sequence[str], extra: str | None, yes: bool, console: Console) -> int:
    """One plan for all studies, then each of them, then the claim beside what was measured; exit codes as a study's. Raises UserError."""
    library = Datasets()
    with console.status("planning"):
        plans = {name: plan(own, extra, library) for name, own in settings(words, extra).items()}
    first = next(iter(plans.values()))
    show_data(console, first.jobs[0], library)
    store = Store(Path(first.jobs[0].config.root).resolve())
    with console.status("trying every recipe out for two steps"):
        rows = stored_rows(store, first.study.task)
        budgets = {name: budget(one, rows, library, console) for name, one in plans.items()}
    tell_all(console, plans, budgets)
    if any(found.seconds for found in budgets.values()) and not (
        yes or first.asked.yes or agreed(console)
    ):
        return declined(console, "study")
    store.prepare()
    store.reconcile()
    return run_all(experiment_of(words, extra, plans), plans, budgets, library, store, console)


def tell_all(console: Console, plans: Mapping[str, Plan], budgets: Mapping[str, Budget]) -> None:
    for name, one in plans.items():
        console.print(f"\n{name}", highlight=False)
        tell(console, one, budgets[name])
    runs = sum(len(one.arm_of) for one in plans.values())
    left = sum(len(found.seconds) for found in budgets.values())
    seconds = sum(sum(found.seconds.values()) for found in budgets.values())
    console.print(
        f"\nall studies: {runs} runs, {runs - left} done and {left} to do; about {minutes(seconds)}",
        highlight=False,
    )


def experiment_of(words: Sequence[str], extra: str | None, plans: Mapping[str, Plan]) -> Experiment:
    first = next(iter(plans.values()))
    studies = {name: one.study.id for name, one in plans.items()}
    digest = hashlib.sha256(json.dumps(studies, sort_keys=True).encode()).hexdigest()
    name = f"{first.study.task}-article-{digest[:8]}"
    told = [redact(word) for word in words]
    return Experiment(
        name, first.study.task, told, studies, commands_of("study", words, extra, name)
    )


def run_all(
    asked: Experiment,
    plans: Mapping[str, Plan],
    budgets: Mapping[str, Budget],
    library: Datasets,
    store: Store,
    console: Console,
) -> int:
    """The studies below one MLflow run of the experiment's; what is done is not done again."""
    folder = folder_of(store, asked.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EXPERIMENT).write_text(to_json(asked), encoding="utf-8")
    tags = environment.provenance()[0] | {
        "upgate.level": "experiment",
        "upgate.experiment": asked.id,
    }
    with store.parent(asked.task, f"experiment {asked.id}", asked.key, tags) as parent:
        parent.artifact(folder / EXPERIMENT)
        codes = []
        for name, one in plans.items():
            console.print(f"\n{name}: {one.study.id}", highlight=False)
            codes.append(
                run(
                    one,
                    budgets[name],
                    library,
                    store,
                    console,
                    {"upgate.experiment": asked.id, PARENT: parent.id},
                )
            )
            if codes[-1] == 130:
                parent.finish("KILLED")
                return 130
        results = {name: result_of(store, one.study) for name, one in plans.items()}
        found = facts(results)
        log(parent, found)
        parent.finish("FAILED" if any(codes) else "FINISHED")
    show(console, asked, results, found)
    return max(codes)


def log(parent: Run, found: Sequence[Fact]) -> None:
    parent.log(
        {
            f"{fact.claim}/{fact.setting}/{name}": value
            for fact in found
            for name, value in numbers(fact).items()
        }
    )
    parent.tag(
        {"upgate.verdict": "; ".join(f"{fact.claim} {fact.setting}: {fact.word}" for fact in found)}
    )


def numbers(fact: Fact) -> dict[str, Any]:
    return {
        "gain": fact.gain,
        "gain_low": fact.low,
        "gain_high": fact.high,
        "claimed": fact.claimed,
    }
