"""`optimizer.lr=auto`: the search of the learning rate, as ordinary runs of the store.

A trial is a run with a tuning seed on the validation folds that `upgate tune` uses; no test part is
opened. Its key names all that decides it, so a search is done once for the same data, split, model,
recipe and budget, and one that was cut off goes on.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from upgate.config.run_config import compose_config
from upgate.console import counted, print_lines
from upgate.errors import UserError
from upgate.execution.driver import execute
from upgate.execution.executor import Executor
from upgate.execution.open import open_executor
from upgate.execution.side_by_side import estimate_seconds
from upgate.execution.worker import make_work
from upgate.experiment.jobs import check_batches, make_job
from upgate.experiment.parents import Parents, open_parents
from upgate.experiment.progress import RunProgress, at_most
from upgate.experiment.session import Session
from upgate.run.job import RATE, Job
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.facts import Metric
from upgate.tasks.names import get_facts
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
from upgate.tune.texts import say
from upgate.tune.trial import loss_of

KEY, AUTO = "optimizer.lr", "optimizer.lr=auto"

Asked = tuple["RateQuestion", Job]  # a trial
LossesOf = Callable[[list[Asked]], dict[str, float]]  # by run key


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
        return replace(job.at(self.base.spec.seed, self.base.spec.fold), role=RATE)


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
        raise UserError(say("no_rate", auto=AUTO, optimizer=optimizer))
    first = make_job(kept, session.datasets, session.config_dir)
    block = cut_blocks(first, TuneOptions(folds=1), kept, session)[0]
    own = [*without_split(kept), *block.search]
    base = make_job(own, session.datasets, session.config_dir).at(seed, block.folds[0])
    default = float(str(base.config.parts["optimizer"].knobs["lr"]))
    return RateQuestion(name, tuple(own), default, base)


def known_rates(plan: RatePlan, finished: Iterable[Row], session: Session) -> dict[str, FoundRate]:
    """The rates whose every trial the store holds, by the key of the search's base run."""
    rows = {row.key: row for row in finished}
    known: dict[str, FoundRate] = {}
    for question in plan.questions:
        metric = metric_of(question)

        def losses(asked: list[Asked], metric: Metric = metric) -> dict[str, float]:
            found = [rows[job.spec.key] for _, job in asked]
            return {row.key: row_loss(row, metric) for row in found}

        try:
            known |= find([question], plan.seed, session, losses)
        except KeyError:  # a trial that is not stored
            continue
    return known


def row_loss(row: Row, metric: Metric) -> float:
    """A stored trial's loss; inf for one that diverged."""
    return math.inf if row.diverged else metric.loss(row.metrics.get(metric.validation_key))


def describe_rate_search(plan: RatePlan, done: int) -> list[str]:
    """What the searches take, in runs."""
    recipes = counted(len(plan.questions), "recipe")
    if done:
        recipes = say("known_recipes", recipes=recipes, done=done)
    costs = {"low": f"{least_cost():.1f}", "high": f"{most_cost():.1f}"}
    return [say("rate_search", recipes=recipes, share=f"{SHARE:.0%}", seed=plan.seed, **costs)]


def describe_found(name: str, found: FoundRate) -> str:
    """One line: the rate, the default, and what was tried."""
    shown = ", ".join(f"{t.rate:g} {t.score:.4g}" for t in found.trials if t.share < 1)
    full = ", ".join(f"{t.rate:g} {t.score:.4g}" for t in found.trials if t.share == 1)
    line = say(
        "rate_found",
        name=name,
        override=found.override,
        default=f"{found.default:g}",
        metric=found.metric,
        shown=shown,
        full=full,
    )
    return say("rate_at_edge", line=line, edge=say.of("edge", found.edge)) if found.edge else line


def search_rates(
    plan: RatePlan, known: Mapping[str, FoundRate], store: Store, session: Session
) -> dict[str, FoundRate]:
    """The rate of every recipe by its name; prints what was tried. known: of `known_rates`.

    Raises UserError where all rates of a recipe diverge or runs are missing, and Interrupted.
    """
    found = dict(known)
    left = [one for one in plan.questions if one.base.spec.key not in known]
    if left:
        found |= train_trials(plan, left, store, session)
    by_name = {name: found[one.base.spec.key] for name, one in plan.question_of.items()}
    print_lines(session.console, [describe_found(name, one) for name, one in by_name.items()])
    return by_name


def train_trials(
    plan: RatePlan, questions: Sequence[RateQuestion], store: Store, session: Session
) -> dict[str, FoundRate]:
    """The searches in their MLflow runs."""
    first, most = questions[0].base, len(questions) * most_trials()
    names = [question.name for question in questions]
    tags = {"upgate.data": first.spec.data, "upgate.runs": str(most)}
    task, key = first.spec.task.name, ("rates", plan.id)
    progress = RunProgress(session.console, at_most(most))
    with open_parents(store, "rates", task, key, tags, names) as parents:
        with open_rate_executor(questions, store, session) as executor:
            runner = RateRunner(session, store, parents, executor, progress)
            found = find(questions, plan.seed, session, runner)
        for question in questions:
            rate = found[question.base.spec.key]
            parents.arms[question.name].log({KEY: rate.rate})
            parents.arms[question.name].tag({"upgate.rate_search": rate.text()})
        parents.finish("FINISHED")
    return found


def open_rate_executor(
    questions: Sequence[RateQuestion], store: Store, session: Session
) -> Executor:
    """The configured executor, with threads enough for every trial."""
    work = make_work(session.datasets.fetch, store, session.console)
    threads = max(question.base.spec.threads for question in questions)
    bases, fetch = [question.base for question in questions], session.datasets.fetch
    return open_executor(
        questions[0].base,
        threads,
        work,
        lambda: least_cost() * sum(estimate_seconds(base, fetch) for base in bases),
    )


@dataclass(frozen=True)
class RateRunner:
    """Trials in, their losses by run key out."""

    session: Session
    store: Store
    parents: Parents
    executor: Executor
    progress: RunProgress

    def __call__(self, asked: list[Asked]) -> dict[str, float]:
        """Raises UserError where trials are missing, for the same failure ends all."""
        arms = self.parents.arms
        jobs = [replace(job, parent=arms[question.name].id) for question, job in asked]
        before = self.progress.ended
        results = execute(
            jobs,
            self.session.datasets.fetch,
            self.store,
            self.parents.parent,
            self.session.console,
            self.progress,
            self.executor,
        )
        self.progress.ended = before + len(results)
        metrics = {job.spec.key: metric_of(question) for question, job in asked}
        losses = {one.key: loss_of(one, metrics[one.key]) for one in results}
        if any(job.spec.key not in losses for job in jobs):
            raise UserError(say("rates_stopped"))
        return losses


def find(
    questions: Sequence[RateQuestion], seed: int, session: Session, losses_of: LossesOf
) -> dict[str, FoundRate]:
    """All rounds of these searches, each round's trials together; by the key of the base run."""
    halvings = [Halving(question.default) for question in questions]
    searches = list(zip(questions, halvings, strict=True))
    for short, due in ((True, Halving.grid), (True, Halving.beyond), (False, Halving.finalists)):
        asked, losses, steps = [], [], []
        for question, halving in searches:
            for step in due(halving):
                asked.append((question, question.trial(halving.rate(step), short, session)))
                losses.append(halving.short if short else halving.full)
                steps.append(step)
        known = losses_of(asked) if asked else {}
        for (_, job), own, step in zip(asked, losses, steps, strict=True):
            own[step] = known[job.spec.key]
    return {question.base.spec.key: to_found(question, one, seed) for question, one in searches}


def to_found(question: RateQuestion, halving: Halving, seed: int) -> FoundRate:
    """The choice. Raises UserError where no rate trains."""
    metric, step = metric_of(question), halving.choose()
    if step is None:
        low, high = (halving.rate(end) for end in (min(halving.short), max(halving.short)))
        raise UserError(
            say(
                "no_rate_trains",
                name=question.name,
                low=f"{low:g}",
                high=f"{high:g}",
                key=KEY,
                default=f"{question.default:g}",
            )
        )
    trials = []
    for share, losses in ((SHARE, halving.short), (1.0, halving.full)):
        for n, loss in sorted(losses.items()):
            trials.append(RateTrial(halving.rate(n), share, score_of(loss, metric)))
    return FoundRate(
        rate=halving.rate(step),
        default=question.default,
        metric=metric.validation_key,
        seed=seed,
        trials=trials,
        edge=halving.edge(step),
    )


def metric_of(question: RateQuestion) -> Metric:
    return get_facts(question.base.spec.task.name).metric


def score_of(loss: float, metric: Metric) -> float:
    return metric.value(loss) if math.isfinite(loss) else metric.worst
