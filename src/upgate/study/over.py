"""`upgate study study.over=...`: an ordinary study on each of several data sets, and one answer.

Each study has its own id, runs and result, and can also be run by itself; what is done is not done
again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd
from rich.console import Console
from rich.text import Text

from upgate.config.run_config import compose_config
from upgate.console import format_duration, new_table, print_lines
from upgate.errors import UserError
from upgate.experiment.parents import open_command
from upgate.experiment.records import stored_rows
from upgate.experiment.session import Session, job_store, proceed
from upgate.files import write_atomic, write_text
from upgate.messages import joined, shown
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.serialization import to_json
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.study.budget import StudyBudget, estimate_study, print_study_plan
from upgate.study.bundle import INTERRUPTED, name_bundle, run_bundle
from upgate.study.data_sets import TICKERS, common_overrides, read_data_sets
from upgate.study.load import OVER, Experiment, count_undeclared, study_folder
from upgate.study.options import read_study_options
from upgate.study.over_analyze import analyze_over
from upgate.study.over_result import OverResult
from upgate.study.over_text import over_rows, print_over
from upgate.study.plan import Plan, plan_study
from upgate.study.texts import say

RESULT, TABLE = "result.json", "data_sets.csv"


def over_command(
    overrides: Sequence[str], config_dir: str | None, yes: bool, console: Console
) -> int:
    """One plan for all data sets, then each study, then the answer over all; the exit code.

    1 where a run failed in any study. Raises UserError.
    """
    session = Session(console, Datasets(), config_dir)
    with console.status("planning"):
        plans = plan_over(overrides, session)
    for plan in plans.values():
        show_data(console, plan.jobs[0], session.datasets)
    first = next(iter(plans.values()))
    store = job_store(first.jobs[0])
    plans = {
        name: replace(plan, study=count_undeclared(store, plan.study))
        for name, plan in plans.items()
    }
    with console.status(shown(say("trying"))):
        rows = stored_rows(store, first.study.task)
        budgets = {
            name: estimate_study(plan, rows, session.datasets, console)
            for name, plan in plans.items()
        }
    print_over_plan(console, plans, budgets)
    nothing_to_do = not any(budget.seconds for budget in budgets.values())
    experiment = name_bundle("over", overrides, config_dir, plans)
    return proceed(
        console,
        "study",
        store,
        nothing_to_do or yes or first.options.yes,
        lambda: run_over(experiment, plans, budgets, store, session),
    )


def plan_over(overrides: Sequence[str], session: Session) -> dict[str, Plan]:
    """The study of each data set, by its name. Raises UserError for two that hold the same data."""
    options, _ = read_study_options(overrides)
    if options.rates == "auto":
        raise UserError(say("over_rates"))
    given = options.over or []
    common = common_overrides(overrides, given)
    tickers = list_tickers(overrides, session) if given == [TICKERS] else []
    words = read_data_sets(given, session.config_dir, tickers)
    plans = {
        name: plan_study([*common, *own], session.config_dir, session.datasets)
        for name, own in words.items()
    }
    for (one, plan), (other, same) in combinations(plans.items(), 2):
        if plan.study.id == same.study.id:
            raise UserError(say("over_same_data", first=one, second=other))
    return plans


def list_tickers(overrides: Sequence[str], session: Session) -> list[str]:
    """The tickers of the data that the overrides choose. Raises UserError where there are none."""
    rest = read_study_options(overrides)[1]
    config = compose_config(rest, session.config_dir)
    table = session.datasets.table(config.task.name, config.data)
    frame = getattr(table, "table", pd.DataFrame())
    if "ticker" not in frame:
        raise UserError(say("over_no_tickers", word=TICKERS, source=table.source))
    return [str(ticker) for ticker in frame["ticker"].unique()]


def print_over_plan(
    console: Console, plans: Mapping[str, Plan], budgets: Mapping[str, StudyBudget]
) -> None:
    """The plan of the first study, which holds for all; then each data set's runs and time."""
    name, first = next(iter(plans.items()))
    print_lines(console, [say("over_plan", n=len(plans), name=name)])
    print_study_plan(console, first, budgets[name])
    heads = map(say, ("data_set", "study", "runs", "to_do", "about"))
    table = new_table(say("all_data_sets"), *heads, left=2)
    for name, plan in plans.items():
        budget = budgets[name]
        runs, left = len(plan.arm_of), len(budget.seconds)
        duration = format_duration(sum(budget.seconds.values()))
        table.add_row(Text(name), plan.study.id, str(runs), str(left), duration)
    console.print(table)
    runs = sum(len(plan.arm_of) for plan in plans.values())
    left = sum(len(budget.seconds) for budget in budgets.values())
    duration = format_duration(sum(sum(one.seconds.values()) for one in budgets.values()))
    total = say("over_total", runs=runs, done=runs - left, left=left, duration=duration)
    arms = {"arm": first.study.primary_arm, "baseline": first.study.baseline}
    print_lines(console, [total, say("over_rates_given"), say("over_primary", **arms)])


def run_over(
    experiment: Experiment,
    plans: Mapping[str, Plan],
    budgets: Mapping[str, StudyBudget],
    store: Store,
    session: Session,
) -> int:
    """The studies below one MLflow run, and the answer over them; the exit code."""
    console, folder = session.console, study_folder(store, experiment.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / OVER, to_json(experiment))
    tags = {"upgate.level": "over", "upgate.over": experiment.id}
    name = f"study over {len(plans)} data sets {experiment.id}"
    with open_command(store, experiment.task, name, experiment.key, tags) as parent:
        parent.artifact(folder / OVER)
        codes = run_bundle(experiment, plans, budgets, parent, store, session, brief=True)
        if codes[-1] == INTERRUPTED:
            return INTERRUPTED
        store.settle()
        result = analyze_over(store, experiment)
        write_text(folder / RESULT, result.json())
        rows = over_rows(result).to_csv(index=False)
        write_atomic(folder / TABLE, lambda file: file.write(rows.encode()))
        log_over(parent, result)
        for file in (RESULT, TABLE):
            parent.artifact(folder / file)
        parent.finish("FAILED" if any(codes) else "FINISHED")
    print_over(console, result)
    files = joined([OVER, RESULT, TABLE])
    last = say("next", command=experiment.commands[-1])
    print_lines(console, [say("files", folder=str(folder), files=files), last])
    return max(codes)


def log_over(parent: Run, result: OverResult) -> None:
    """The answer's numbers, sentence and verdict."""
    question, one, new = result.question, result.together, result.new
    numbers = {"data_sets": float(len(result.sets)), "seconds": result.seconds}
    if one is not None:
        for key in ("effect", "low", "high"):
            name = key if key == "effect" else f"effect_{key}"
            numbers[name] = question.shown(getattr(one, key))
        numbers["p"] = one.p
    if new is not None:
        numbers |= {f"new/{key}": getattr(new, key) for key in ("better", "equivalent", "worse")}
        numbers |= {f"new/{key}": question.shown(getattr(new, key)) for key in ("low", "high")}
    parent.log(numbers)
    parent.tag({"upgate.sentence": result.sentence, "upgate.verdict": one.verdict if one else ""})
