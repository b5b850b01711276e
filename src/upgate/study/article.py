"""`upgate study experiment=article`: the article's claim, in its own setting and in an honest one.

A bundle of pair studies, one after the other, each of which one can also run by itself. What the
article claims of a task, and in which settings it is checked, is in tasks/<name>/article.py.
"""

from collections.abc import Mapping, Sequence

from rich.console import Console

from upgate.config.compose import compose
from upgate.console import format_duration
from upgate.errors import UserError
from upgate.experiment.parents import open_command
from upgate.experiment.records import stored_rows
from upgate.experiment.session import Session, job_store, proceed
from upgate.files import write_text
from upgate.messages import shown
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.serialization import to_json
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.study.article_text import print_claims
from upgate.study.budget import StudyBudget, estimate_study, print_study_plan
from upgate.study.bundle import INTERRUPTED, name_bundle, run_bundle
from upgate.study.facts import Fact, article_claim, check_claims
from upgate.study.load import EXPERIMENT, Experiment, analyze_stored, study_folder
from upgate.study.options import read_study_options
from upgate.study.plan import Plan, plan_study
from upgate.study.texts import say

# The experiment sets these.
REFUSED = ("study", "study.design", "study.arms", "study.rates", "task.target")
# The article's claim is about recipes at fixed rates: those of the task, one search for all.
RATES = "study.rates=given"


def settings(overrides: Sequence[str], config_dir: str | None) -> dict[str, list[str]]:
    """The overrides of each study, as the task arranges the user's. Raises UserError.

    No rate is searched: those of `conf/` were, on development data, with equal effort.
    """
    kept = _without_own(overrides)
    task = compose(read_study_options(kept)[1], config_dir)["task"]["name"]
    return {name: [*own, RATES] for name, own in article_claim(task).overrides(kept).items()}


def _without_own(overrides: Sequence[str]) -> list[str]:
    """Without experiment=. Raises UserError for what the experiment sets itself."""
    own = ("experiment=", RATES)
    kept = [override for override in overrides if not override.startswith(own)]
    for override in kept:
        if override.partition("=")[0] in REFUSED:
            raise UserError(say("not_to_article", word=override))
    return kept


def article_command(
    overrides: Sequence[str], config_dir: str | None, yes: bool, console: Console
) -> int:
    """One plan for all studies, then each of them, then the claim beside the measurements.

    The exit code is the worst study's. Raises UserError.
    """
    session = Session(console, Datasets(), config_dir)
    with console.status(shown(say("planning"))):
        plans = {
            name: plan_study(own, config_dir, session.datasets)
            for name, own in settings(overrides, config_dir).items()
        }
    first = next(iter(plans.values()))
    show_data(console, first.jobs[0], session.datasets)
    store = job_store(first.jobs[0])
    with console.status(shown(say("trying"))):
        rows = stored_rows(store, first.study.task)
        budgets = {
            name: estimate_study(plan, rows, session.datasets, console)
            for name, plan in plans.items()
        }
    print_plans(console, plans, budgets)
    nothing_to_do = not any(budget.seconds for budget in budgets.values())
    experiment = name_bundle("article", overrides, config_dir, plans)
    return proceed(
        console,
        "study",
        store,
        nothing_to_do or yes or first.options.yes,
        lambda: run_all(experiment, plans, budgets, store, session),
    )


def print_plans(
    console: Console, plans: Mapping[str, Plan], budgets: Mapping[str, StudyBudget]
) -> None:
    """The plan of each study, and how much all take."""
    for name, plan in plans.items():
        console.print(f"\n{name}", highlight=False)
        print_study_plan(console, plan, budgets[name])
    runs = sum(len(plan.arm_of) for plan in plans.values())
    left = sum(len(budget.seconds) for budget in budgets.values())
    duration = format_duration(sum(sum(one.seconds.values()) for one in budgets.values()))
    line = say("all_studies", runs=runs, done=runs - left, left=left, duration=duration)
    console.print(f"\n{shown(line)}", highlight=False)


def run_all(
    experiment: Experiment,
    plans: Mapping[str, Plan],
    budgets: Mapping[str, StudyBudget],
    store: Store,
    session: Session,
) -> int:
    """The studies below one MLflow run of the experiment's; what is done is not done again."""
    console, folder = session.console, study_folder(store, experiment.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / EXPERIMENT, to_json(experiment))
    tags = {"upgate.level": "experiment", "upgate.experiment": experiment.id}
    name = f"experiment {experiment.id}"
    with open_command(store, experiment.task, name, experiment.key, tags) as parent:
        parent.artifact(folder / EXPERIMENT)
        codes = run_bundle(experiment, plans, budgets, parent, store, session)
        if codes[-1] == INTERRUPTED:
            return INTERRUPTED
        store.settle()
        results = {name: analyze_stored(store, plan.study) for name, plan in plans.items()}
        facts = check_claims(results)
        log_facts(parent, facts)
        parent.finish("FAILED" if any(codes) else "FINISHED")
    print_claims(console, experiment, results, facts)
    return max(codes)


def log_facts(parent: Run, facts: Sequence[Fact]) -> None:
    """Each fact's gain and the claimed one, and all verdicts."""
    numbers: dict[str, float] = {}
    for fact in facts:
        prefix = f"{fact.claim}/{fact.setting}"
        numbers |= {
            f"{prefix}/gain": fact.gain,
            f"{prefix}/gain_low": fact.low,
            f"{prefix}/gain_high": fact.high,
            f"{prefix}/claimed": fact.claimed,
        }
    parent.log(numbers)
    verdicts = "; ".join(f"{fact.claim} {fact.setting}: {fact.verdict}" for fact in facts)
    parent.tag({"upgate.verdict": verdicts})
