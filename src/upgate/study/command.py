"""`upgate study`: the plan first, then every run that is not done, then the verdicts.

The same command continues where it stopped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from upgate.console import confirm, declined, interrupted, print_lines, show_failures
from upgate.execution.driver import execute
from upgate.execution.work import Interrupted
from upgate.experiment.parents import open_parents
from upgate.experiment.progress import TimedProgress
from upgate.experiment.records import stored_rows
from upgate.experiment.session import Session, job_store, no_conclusion, proceed
from upgate.files import write_text
from upgate.messages import joined, shown
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.run.result import Result
from upgate.store.store import Store
from upgate.study.budget import StudyBudget, estimate_study, print_study_plan
from upgate.study.load import FILE, analyze_stored, count_undeclared, study_folder
from upgate.study.options import StudyOptions, read_study_options
from upgate.study.plan import NO_RATES, Plan, make_study_arms, plan_study
from upgate.study.rates import plan_arm_rates, search_arm_rates
from upgate.study.record import NO_EXPERIMENT, log_result, study_tags
from upgate.study.result import StudyResult
from upgate.study.text import print_study
from upgate.study.texts import say
from upgate.tune.rates import FoundRate
from upgate.tune.record import Renderer
from upgate.tune.tune_arms import ArmSearch, plan_arm_search, tune_first

Conclude = Callable[[StudyResult], None]  # takes a study's result, when it is there


def study_command(
    overrides: Sequence[str],
    config_dir: str | None,
    yes: bool,
    console: Console,
    render: Renderer,
    conclude: Conclude = no_conclusion,
) -> int:
    """Plan, ask, train, judge; the exit code: 0, 1 if a run failed, 130 if interrupted.

    render: draws the page of the search that study.tune asks for. Raises UserError.
    """
    session = Session(console, Datasets(), config_dir)
    try:
        settled = settle_arms(overrides, session, yes, render)
    except Interrupted:
        return interrupted(console)
    if settled is None:
        return declined(console, "study")
    agreed, tuned, rates = settled
    with console.status(shown(say("planning"))):  # equal wall time measures each recipe's steps
        plan = plan_study(overrides, config_dir, session.datasets, tuned, rates)
    show_data(console, plan.jobs[0], session.datasets)
    store = job_store(plan.jobs[0])
    plan = replace(plan, study=count_undeclared(store, plan.study))
    with console.status(shown(say("trying"))):
        rows = stored_rows(store, plan.study.task)
        budget = estimate_study(plan, rows, session.datasets, console)
    print_study_plan(console, plan, budget)
    nothing_to_do = not budget.seconds
    return proceed(
        console,
        "study",
        store,
        nothing_to_do or agreed,
        lambda: run_study(plan, budget, store, session, conclude=conclude),
    )


def settle_arms(
    overrides: Sequence[str], session: Session, yes: bool, render: Renderer
) -> tuple[bool, Mapping[str, list[str]] | None, Mapping[str, FoundRate]] | None:
    """Search what the study searches before its runs: every arm's parts, or learning rates.

    Whether the study may go on unasked, the arms' overrides, and their rates; None where the answer
    was no. Raises Interrupted.
    """
    options, rest = read_study_options(overrides)
    agreed = yes or options.yes
    if options.tune:
        search = plan_tuning(overrides, options, rest, session)
        action = say("tune_first", trials=options.tune)
        if not (agreed or confirm(session.console, action)):
            return None
        if (tuned := tune_first(search, session, render)) is None:
            raise Interrupted
        return agreed, tuned, NO_RATES
    if search_arms := plan_arm_rates(overrides, options, rest, session):
        found = search_arm_rates(search_arms, session, agreed)
        return None if found is None else (True, search_arms.overrides(found), found)
    return agreed, None, NO_RATES


def plan_tuning(
    overrides: Sequence[str], options: StudyOptions, rest: Sequence[str], session: Session
) -> ArmSearch:
    """The search of study.tune, its plan printed.

    The study is planned first, so that what it cannot do is an error before the search.
    """
    with session.console.status(shown(say("planning"))):
        untuned = plan_study(overrides, session.config_dir, session.datasets, {}).study
    arms = make_study_arms(options, rest, session.config_dir)
    seeds = [*untuned.seeds, *untuned.aa_seeds]
    return plan_arm_search(arms, options.tune or 1, seeds, session)


def run_study(
    plan: Plan,
    budget: StudyBudget,
    store: Store,
    session: Session,
    tags: Mapping[str, str] = NO_EXPERIMENT,
    brief: bool = False,
    conclude: Conclude = no_conclusion,
) -> int:
    """Train what is not done, judge everything, and print it; the exit code.

    tags: of the study's MLflow run, such as the experiment that it belongs to. brief: print the
    sentence alone, and what failed.
    """
    study, console = plan.study, session.console
    folder = study_folder(store, study.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, study.json())
    own_tags = study_tags(study, len(plan.arm_of), tags)
    with open_parents(store, "study", study.task, (study.id,), own_tags, study.keys) as parents:
        parents.parent.artifact(folder / FILE)
        jobs = [
            replace(job, parent=parents.arms[plan.arm_of[job.spec.key]].id) for job in plan.jobs
        ]
        fetch, progress = session.datasets.fetch, TimedProgress(console, budget.seconds)
        try:
            results = execute(jobs, fetch, store, parents.parent, console, progress)
        except Interrupted:
            parents.finish("KILLED")
            return interrupted(console)
        store.settle()
        result = analyze_stored(store, study)
        write_text(folder / "result.json", result.json())
        parents.parent.artifact(folder / "result.json")
        log_result(parents, result)
    conclude(result)
    if brief:
        return print_study_briefly(console, result, results)
    return print_study_end(console, result, results, folder)


def print_study_briefly(console: Console, result: StudyResult, results: Sequence[Result]) -> int:
    """What failed, and the sentence; the exit code."""
    failed = [run for run in results if run.status != "FINISHED"]
    if failed:
        show_failures(console, failed)
    print_lines(console, [result.sentence])
    return 0 if result.complete else 1


def print_study_end(
    console: Console, result: StudyResult, results: Sequence[Result], folder: Path
) -> int:
    """The result, what failed, where the files are, and the next command; the exit code."""
    print_study(console, result)
    failed = [run for run in results if run.status != "FINISHED"]
    if failed:
        show_failures(console, failed)
    files = say("files", folder=str(folder), files=joined([FILE, "result.json"]))
    print_lines(console, [files, say("next", command=result.study.commands[-1])])
    return 0 if result.complete else 1
