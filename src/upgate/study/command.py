"""`upgate study`: the plan first, then every run that is not done, then the verdicts; the same command goes on where it stopped."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from upgate.console import declined, interrupted, show_failures
from upgate.execution.driver import execute
from upgate.execution.executor import Executor
from upgate.execution.work import Interrupted
from upgate.run import provenance as environment
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.stats.paired import paired
from upgate.store.record import PARENT, Row
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.study.budget import Budget, budget, minutes, tell
from upgate.study.load import FILE, folder_of, result_of
from upgate.study.options import read
from upgate.study.plan import Plan, arms_of, plan
from upgate.study.result import StudyResult
from upgate.study.text import show, whole

ALONE = {"upgate.experiment": ""}  # no longer an experiment's, if it ever was


def study_command(words: Sequence[str], extra: str | None, yes: bool, console: Console) -> int:
    """Plan, ask, train, judge; the exit code: 0, 1 if a run failed, 130 if interrupted. Raises UserError."""
    library = Datasets()
    asked, rest = read(words)
    tuned = None
    if asked.tune:
        from upgate.tune.tune_arms import (
            search_of,
            tune_first,
        )  # a search is made of a study's pieces

        with console.status("planning"):
            untuned = plan(
                words, extra, library, {}
            ).study  # what cannot be done is told before the search
        arms = arms_of(asked, rest, extra)
        search = search_of(
            arms, asked.tune, [*untuned.seeds, *untuned.aa_seeds], extra, library, console
        )
        if not (
            yes
            or asked.yes
            or agreed(console, f"tune every recipe first, with {asked.tune} trials each")
        ):
            return declined(console, "study")
        if (tuned := tune_first(search, arms, extra, library, console)) is None:
            return interrupted(console)
    with console.status("planning"):  # equal wall time measures each recipe's steps
        planned = plan(words, extra, library, tuned)
    show_data(console, planned.jobs[0], library)
    store = Store(Path(planned.jobs[0].config.root).resolve())
    with console.status("trying every recipe out for two steps"):
        found = budget(planned, stored_rows(store, planned.study.task), library, console)
    tell(console, planned, found)
    if found.seconds and not (yes or asked.yes or agreed(console)):
        return declined(console, "study")
    store.prepare()
    store.reconcile()
    return run(planned, found, library, store, console)


def stored_rows(store: Store, task: str) -> list[Row]:
    """What the store holds; a plan alone makes none."""
    there = (store.root / "mlflow.db").exists() or "MLFLOW_TRACKING_URI" in os.environ
    return store.rows(task=task) if there else []


def agreed(console: Console, to: str = "go on") -> bool:
    """The user's answer; no where nobody can be asked."""
    return (
        console.is_terminal
        and sys.stdin.isatty()
        and console.input(f"{to}? [y/N] ").strip().lower() in ("y", "yes")
    )


def run(
    planned: Plan,
    found: Budget,
    library: Datasets,
    store: Store,
    console: Console,
    more: Mapping[str, str] = ALONE,
) -> int:
    """Do what is left, judge everything, and say it. more: tags of the study's MLflow run, such as the experiment that it belongs to."""
    study = planned.study
    folder = folder_of(store, study.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(study.json(), encoding="utf-8")
    with ExitStack() as parents:
        parent = parents.enter_context(open_parent(planned, store, more))
        parent.artifact(folder / FILE)
        arms = {
            name: parents.enter_context(open_arm(planned, name, parent, store))
            for name in study.keys
        }
        jobs = [replace(job, parent=arms[planned.arm_of[job.spec.key]].id) for job in planned.jobs]
        try:
            results = execute(jobs, library.fetch, store, parent, console, Progress(found, console))
        except Interrupted:
            for one in (*arms.values(), parent):
                one.finish("KILLED")
            return interrupted(console)
        judged = result_of(store, study)
        (folder / "result.json").write_text(judged.json(), encoding="utf-8")
        parent.artifact(folder / "result.json")
        for name, one in arms.items():
            log_arm(one, name, judged)
            one.finish("FAILED" if judged.missing[name] else "FINISHED")
        log_study(parent, judged)
        parent.finish("FINISHED" if judged.complete else "FAILED")
    return report(console, judged, results, folder)


def report(console: Console, judged: StudyResult, results: Sequence[Result], folder: Path) -> int:
    show(console, judged)
    failed = [result for result in results if result.status != "FINISHED"]
    if failed:
        show_failures(console, failed)
    console.print(f"in {folder}: {FILE}, result.json", highlight=False, soft_wrap=True)
    console.print(f"next: {judged.study.commands[-1]}, or make ui", highlight=False, soft_wrap=True)
    return 0 if judged.complete else 1


class Progress:
    """Says of every run which one it is, as it begins here or ends elsewhere, and how much time is left."""

    def __init__(
        self, found: Budget, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console, self.clock = console, clock
        self.seconds, self.every = (
            dict(found.seconds),
            len(found.seconds),
        )  # expected, of what has not ended
        self.since: dict[str, float] = {}  # of what goes on
        self.expected, self.spent = 0.0, 0.0  # of what has ended

    def on_run_start(self, job: Job, executor: Executor) -> None:
        self.since[job.spec.key] = self.clock()
        if executor.in_process:
            self.say(
                f"run {self.every - len(self.seconds) + 1} of {self.every}: {job.name}", executor
            )

    def on_run_end(self, job: Job, result: Result, executor: Executor) -> None:
        took = self.clock() - self.since.pop(job.spec.key)
        if expected := self.seconds.pop(job.spec.key, 0.0):
            self.expected, self.spent = self.expected + expected, self.spent + took
        if not executor.in_process:
            how = "failed" if result.error else "done"
            self.say(
                f"run {self.every - len(self.seconds)} of {self.every} {how}: {job.name}, {minutes(took)}",
                executor,
            )

    def say(self, what: str, executor: Executor) -> None:
        told = f"{what}; about {minutes(self.left(executor.slots))} left"
        self.console.print(told, highlight=False, markup=False, soft_wrap=True)

    def left(self, slots: int) -> float:
        """Seconds, if runs keep the pace of those that have ended, in so many slots; no less than the longest one takes."""
        pace, now = self.spent / self.expected if self.expected else 1.0, self.clock()
        rest = [
            max(0.0, pace * seconds - (now - self.since.get(key, now)))
            for key, seconds in self.seconds.items()
        ]
        return max(sum(rest) / slots, *rest, 0.0)


def digest(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def open_parent(planned: Plan, store: Store, more: Mapping[str, str]) -> Run:
    """The study's MLflow run; the same study again goes on in the same one."""
    study, (tags, texts) = planned.study, environment.provenance()
    tags |= {
        "upgate.study": study.id,
        "upgate.level": "study",
        "upgate.design": study.design,
        "upgate.data": study.data,
        "upgate.runs": str(len(planned.arm_of)),
        **more,
    }
    parent = store.parent(study.task, f"study {study.id}", digest(study.id), tags)
    for file, text in texts.items():
        parent.text(text, file)
    return parent


def open_arm(planned: Plan, name: str, parent: Run, store: Store) -> Run:
    """An arm's MLflow run, below the study's; its trainings stand below it."""
    study = planned.study
    tags = {"upgate.study": study.id, "upgate.level": "arm", "upgate.arm": name, PARENT: parent.id}
    return store.parent(study.task, name, digest(study.id, name), tags)


def log_arm(arm: Run, name: str, judged: StudyResult) -> None:
    """Aggregates by which MLflow's own table sorts. effect is in percent or points; gain is the same, signed so that more is better."""
    study = judged.study
    numbers = {
        "runs": float(len(study.keys[name]) - len(judged.missing[name])),
        "diverged": float(judged.diverged[name]),
    }
    if scores := list(judged.scores.get(name, {}).values()):
        found = paired(np.asarray(scores)) if np.isfinite(scores).all() else None
        numbers |= {study.metric: float(np.mean(scores)), "n": float(len(scores))}
        numbers |= (
            {"score_low": found.low, "score_high": found.high} if found and found.n > 1 else {}
        )
    if name in judged.cost:
        numbers |= {"seconds": judged.cost[name].seconds, "seconds_ratio": judged.cost[name].ratio}
    numbers |= {
        f"engagement/{key}": value for key, value in judged.engagement.get(name, {}).items()
    }
    one = next((v for v in (judged.aa, *judged.verdicts) if v is not None and v.arm == name), None)
    if one is not None:
        effect, low, high = (study.shown(x) for x in (one.effect, one.low, one.high))
        gain, gain_low = (effect, low) if study.higher_is_better else (-effect, -high)
        numbers |= {
            "effect": effect,
            "effect_low": low,
            "effect_high": high,
            "gain": gain,
            "gain_low": gain_low,
        }
        numbers |= {"p": one.p, "p_holm": one.p_holm}
        arm.tag({"upgate.verdict": one.word})
    arm.log(numbers)


def log_study(parent: Run, judged: StudyResult) -> None:
    """The whole study's aggregates, its controls, and its looks at the test part."""
    study = judged.study
    numbers = {
        "runs": float(sum(len(cells) for cells in study.keys.values())),
        "missing": float(sum(map(len, judged.missing.values()))),
        "diverged": float(sum(judged.diverged.values())),
        "test_looks": float(judged.looks),
        "seconds": judged.seconds,
    }
    one = whole(judged)
    for prefix, found in (
        ("", one),
        ("aa_", judged.aa),
        *((f"share/{part.arm}/", part) for part in judged.parts),
    ):
        if found is not None:
            numbers |= {
                f"{prefix}effect": study.shown(found.effect),
                f"{prefix}effect_low": study.shown(found.low),
            }
            numbers |= {
                f"{prefix}effect_high": study.shown(found.high),
                f"{prefix}p_holm": found.p_holm,
            }
    for control in judged.controls:
        if control.difference is not None:
            numbers["zero_difference"] = control.difference
    parent.log(numbers)
    parent.tag({"upgate.sentence": judged.sentence, "upgate.verdict": one.word if one else ""})
