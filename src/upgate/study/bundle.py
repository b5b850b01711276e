"""Several studies of one command below one MLflow run: their common name, and how they are run."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from upgate.console import print_lines
from upgate.experiment.session import Session, repeat_commands
from upgate.store.connect import redact_argument
from upgate.store.record import PARENT
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.study.budget import StudyBudget
from upgate.study.command import run_study
from upgate.study.load import Experiment
from upgate.study.plan import Plan

INTERRUPTED = 130  # exit code


def name_bundle(
    kind: str, overrides: Sequence[str], config_dir: str | None, plans: Mapping[str, Plan]
) -> Experiment:
    """The record of the studies, its id a hash of theirs. kind: stands in the id."""
    task = next(iter(plans.values())).study.task
    studies = {name: plan.study.id for name, plan in plans.items()}
    digest = hashlib.sha256(json.dumps(studies, sort_keys=True).encode()).hexdigest()
    name = f"{task}-{kind}-{digest[:8]}"
    return Experiment(
        id=name,
        task=task,
        overrides=[redact_argument(override) for override in overrides],
        studies=studies,
        commands=repeat_commands("study", overrides, config_dir, name),
    )


def run_bundle(
    experiment: Experiment,
    plans: Mapping[str, Plan],
    budgets: Mapping[str, StudyBudget],
    parent: Run,
    store: Store,
    session: Session,
    brief: bool = False,
) -> list[int]:
    """The exit codes of the studies, one after the other; what is done is not done again.

    Ctrl-C ends `parent` as KILLED, and the list with INTERRUPTED.
    """
    below = {"upgate.experiment": experiment.id, PARENT: parent.id}
    codes: list[int] = []
    for name, plan in plans.items():
        print_lines(session.console, ["", f"{name}: {plan.study.id}"])
        codes.append(run_study(plan, budgets[name], store, session, below, brief=brief))
        if codes[-1] == INTERRUPTED:
            parent.finish("KILLED")
            break
    return codes
