"""`optimizer.lr=auto`: the search of the learning rate, as ordinary runs of the store.

A trial is a run with a tuning seed on the validation folds that `upgate tune` uses; no test part is
opened. Its key names all that decides it, so a search is done once for the same data, split, model,
recipe and budget, and one that was cut off goes on.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from upgate.config.run_config import compose_config
from upgate.console import print_lines
from upgate.errors import UserError
from upgate.execution.driver import execute
from upgate.execution.executor import Executor, open_executor
from upgate.execution.worker import make_work
from upgate.experiment.jobs import check_batches, make_job
from upgate.experiment.parents import Parents, open_parents
from upgate.experiment.progress import RunProgress
from upgate.experiment.session import Session
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.base import Metric
from upgate.tasks.registry import get_task
from upgate.tune.folds import cut_blocks, without_split
from upgate.tune.options import TuneOptions
from upgate.tune.rates import (
    SHARE,
    FoundRate,
    Halving,
    RateTrial,
    least_cost,
    most_cost,
    most_trials,
    short_budget,
)
from upgate.tune.space import override_all
from upgate.tune.trial import loss_of

KEY, AUTO = "optimizer.lr", "optimizer.lr=auto"
ROLE = "rate"  # of a trial's run

Cell = tuple["RateQuestion", int]  # a recipe, and half decades above its default rate


@dataclass(frozen=True)
class RateQuestion:
    """A recipe whose rate is searched. overrides: without a rate, on the split of the search."""

    name: str
    overrides: tuple[str, ...]
    default: float
    base: Job  # at the default rate, in full

    def trial(self, rate: float, short: bool, session: Session) -> Job:
        """The run of one rate."""
        changes = [f"{KEY}={rate}"]
        if short:
            changes += short_budget(self.base.config.trainer)
        overrides = override_all(self.overrides, changes)
        job = make_job(overrides, session.datasets, session.config_dir)
        return replace(job.at(self.base.spec.seed, self.base.spec.fold), role=ROLE)


@dataclass(frozen=True)
class RatePlan:
    """The searches of a command, each recipe once, however many runs want its rate."""

    questions: list[RateQuestion]
    question_of: dict[str, RateQuestion]  # a recipe's name -> its search
    seed: int

    @property
    def id(self) -> str:
        keys = sorted(question.base.spec.key for question in self.questions)
        digest = hashlib.sha256("".join(keys).encode()).hexdigest()
        return f"{self.questions[0].base.spec.task.name}-rates-{digest[:8]}"

    @property
    def runs(self) -> int:
        """Trials at most."""
        return len(self.questions) * most_trials()


def wants_search(overrides: Sequence[str]) -> bool:
    return AUTO in overrides


def without_auto(overrides: Sequence[str]) -> list[str]:
    """The overrides with the default rate in place of one to be searched."""
    return [override for override in overrides if override != AUTO]


def tuning_seed(seeds: Iterable[int]) -> int:
    """The first number of the next hundred: none of the seeds, and alike for most of them."""
    return 100 * (1 + max(seeds) // 100)


def has_rate(overrides: Sequence[str], config_dir: str | None) -> bool:
    """Whether the optimizer has a learning rate; one from outside the package may have none."""
    knobs = compose_config(without_auto(overrides), config_dir).parts["optimizer"].knobs
    return isinstance(knobs.get("lr"), int | float)


def plan_rates(
    recipes: Sequence[tuple[str, Sequence[str]]], seeds: Iterable[int], session: Session
) -> RatePlan:
    """The searches of these recipes, (name, overrides) each. seeds: those of the evaluation.

    Raises UserError where a recipe has no rate, and where the data give no validation fold.
    """
    seed = tuning_seed(seeds)
    by_key: dict[str, RateQuestion] = {}
    question_of = {}
    for name, overrides in recipes:
        question = make_question(name, overrides, seed, session)
        question_of[name] = by_key.setdefault(question.base.spec.key, question)
    for question in by_key.values():
        check_batches(question.base, session.datasets)
    return RatePlan(list(by_key.values()), question_of, seed)


def make_question(name: str, overrides: Sequence[str], seed: int, session: Session) -> RateQuestion:
    """The search of one recipe. Raises UserError."""
    kept = [one for one in overrides if not re.match(r"(optimizer\.lr|seed|fold|twin)=", one)]
    if not has_rate(kept, session.config_dir):
        optimizer = compose_config(kept, session.config_dir).parts["optimizer"].name
        raise UserError(f"{AUTO}: optimizer={optimizer} has no lr to search")
    first = make_job(kept, session.datasets, session.config_dir)
    block = cut_blocks(first, TuneOptions(folds=1), kept, session)[0]
    own = [*without_split(kept), *block.search]
    base = make_job(own, session.datasets, session.config_dir).at(seed, block.folds[0])
    default = float(str(base.config.parts["optimizer"].knobs["lr"]))
    return RateQuestion(name, tuple(own), default, base)


def count_done(plan: RatePlan, finished: Iterable[Row], session: Session) -> int:
    """Searches of which the store holds every trial of the grid."""
    keys = {row.key for row in finished}
    done = 0
    for question in plan.questions:
        halving = Halving(question.default)
        jobs = [question.trial(halving.rate(n), True, session) for n in halving.grid()]
        done += all(job.spec.key in keys for job in jobs)
    return done


def describe_plan(plan: RatePlan, done: int) -> list[str]:
    """What the searches take, in runs."""
    count = len(plan.questions)
    recipes = "1 recipe" if count == 1 else f"{count} recipes"
    known = f"; {done} of them known from the store" if done else ""
    return [
        f"learning rates are searched first, for {recipes} with equal effort{known}: 5 rates around"
        f" the optimizer's default at {SHARE:.0%} of the budget, 2 more beyond an end that is best,"
        f" the best 2 in full; {least_cost():.1f} to {most_cost():.1f} runs' time each, on"
        f" validation data only, seed {plan.seed}"
    ]


def describe_found(name: str, found: FoundRate) -> str:
    """One line: the rate, the default, and what was tried."""
    shown = ", ".join(f"{t.rate:g} {t.score:.4g}" for t in found.trials if t.share < 1)
    full = ", ".join(f"{t.rate:g} {t.score:.4g}" for t in found.trials if t.share == 1)
    edge = ""
    if found.edge:
        edge = f"; the {found.edge} end of all that was tried, a better one may lie beyond"
    return (
        f"{name}: {found.override} (default {found.default:g}); {found.metric} of short runs:"
        f" {shown}; in full: {full}{edge}"
    )


def search_rates(plan: RatePlan, store: Store, session: Session) -> dict[str, FoundRate]:
    """The rate of every recipe by its name. Prints them.

    Raises UserError where all rates of a recipe diverge or runs are missing, and Interrupted.
    """
    first = plan.questions[0].base
    names = [question.name for question in plan.questions]
    tags = {"upgate.data": first.spec.data, "upgate.runs": str(plan.runs)}
    key = ("rates", plan.id)
    with open_parents(store, "rates", first.spec.task.name, key, tags, names) as parents:
        work = make_work(session.datasets.fetch, store, session.console)
        threads = max(question.base.spec.threads for question in plan.questions)
        accelerator = first.spec.budget.accelerator
        with open_executor(first.config, threads, accelerator, work) as executor:
            search = RateSearch(plan, store, session, parents, executor)
            found = search.run()
        for name, rate in found.items():
            parents.arms[name].log({KEY: rate.rate})
            parents.arms[name].tag({"upgate.rate_search": rate.text()})
        parents.finish("FINISHED")
    lines = {name: found[question.name] for name, question in plan.question_of.items()}
    print_found(session.console, lines)
    return lines


def print_found(console: Console, found: dict[str, FoundRate]) -> None:
    print_lines(console, [describe_found(name, one) for name, one in found.items()])


class RateSearch:
    """The rounds of all searches, each round's runs together."""

    def __init__(
        self, plan: RatePlan, store: Store, session: Session, parents: Parents, executor: Executor
    ) -> None:
        self.plan, self.store, self.session = plan, store, session
        self.parents, self.executor = parents, executor
        self.halving = {q.base.spec.key: Halving(q.default) for q in plan.questions}
        self.progress = RunProgress(session.console, f"at most {plan.runs}")

    def of(self, question: RateQuestion) -> Halving:
        return self.halving[question.base.spec.key]

    def run(self) -> dict[str, FoundRate]:
        """By the name of the recipe."""
        for short, due in (
            (True, Halving.grid),
            (True, Halving.beyond),
            (False, Halving.finalists),
        ):
            cells = [(q, n) for q in self.plan.questions for n in due(self.of(q))]
            self.round(cells, short)
        return {question.name: self.found(question) for question in self.plan.questions}

    def round(self, cells: Sequence[Cell], short: bool) -> None:
        """Train one rate of some recipes each, and note the losses."""
        jobs = []
        for question, step in cells:
            job = question.trial(self.of(question).rate(step), short, self.session)
            jobs.append(replace(job, parent=self.parents.arms[question.name].id))
        results = self.execute(jobs)
        for (question, step), job in zip(cells, jobs, strict=True):
            halving = self.of(question)
            losses = halving.short if short else halving.full
            losses[step] = loss_of(results[job.spec.key], metric_of(question))

    def execute(self, jobs: list[Job]) -> dict[str, Result]:
        """Results by run key. Raises UserError where some are missing."""
        fetch, console = self.session.datasets.fetch, self.session.console
        parent = self.parents.parent
        before = self.progress.ended
        ended = execute(jobs, fetch, self.store, parent, console, self.progress, self.executor)
        results = {result.key: result for result in ended}
        self.progress.ended = before + len(results)
        if any(job.spec.key not in results for job in jobs):
            raise UserError(
                "the search of the learning rate stopped, for its runs fail; repair what failed,"
                " then the same command continues"
            )
        return results

    def found(self, question: RateQuestion) -> FoundRate:
        """The choice. Raises UserError where no rate trains."""
        halving, metric = self.of(question), metric_of(question)
        step = halving.choose()
        if step is None:
            low, high = (halving.rate(end) for end in (min(halving.short), max(halving.short)))
            raise UserError(
                f"{question.name}: no learning rate from {low:g} to {high:g} trains, all runs"
                f" diverged or failed; give one yourself, as in {KEY}={question.default:g}"
            )
        trials = []
        for share, losses in ((SHARE, halving.short), (1.0, halving.full)):
            for n, loss in sorted(losses.items()):
                trials.append(RateTrial(halving.rate(n), share, score_of(loss, metric)))
        return FoundRate(
            halving.rate(step),
            question.default,
            metric.validation_key,
            self.plan.seed,
            trials,
            halving.edge(step),
        )


def metric_of(question: RateQuestion) -> Metric:
    return get_task(question.base.spec.task.name).metric


def score_of(loss: float, metric: Metric) -> float:
    return metric.value(loss) if math.isfinite(loss) else metric.worst
