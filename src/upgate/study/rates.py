"""The learning rates of a study's arms: searched before its first run, with equal effort for all.

Else "the optimizer brings 10 points" measures SGD at a rate found in other company. Arms that
differ in optimizer, schedule, init or regularization have their rates searched; an arm whose rate
the user gave keeps it. The search sees validation data only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from upgate.config.choices import REGULARIZATION
from upgate.config.run_config import RunConfig, compose_config
from upgate.config.values import Value
from upgate.console import confirm, format_duration, print_lines
from upgate.experiment.designs import Arm
from upgate.experiment.records import finished_runs, stored_rows
from upgate.experiment.session import Session, job_store, prepare
from upgate.messages import joined, shown
from upgate.run.console_tables import show_data
from upgate.store.store import Store
from upgate.study.budget import StudyBudget, estimate_study, print_study_plan
from upgate.study.load import load_studies, question_keys
from upgate.study.options import StudyOptions
from upgate.study.plan import Plan, make_study_arms, plan_study
from upgate.study.texts import say
from upgate.tune.find_rates import (
    AUTO,
    KEY,
    RatePlan,
    describe_rate_search,
    has_rate,
    known_rates,
    plan_rates,
    search_rates,
    wants_search,
    without_auto,
)
from upgate.tune.rates import FoundRate, least_cost, most_cost
from upgate.tune.space import override_all

GROUPS = ("optimizer", "schedule", "init", REGULARIZATION)


@dataclass(frozen=True)
class ArmRates:
    """The searches of a study's arms, and the study at the rates that the recipes have."""

    arms: list[Arm]
    searched: list[Arm]
    given: list[str]  # names of the arms whose rate the user gave
    differing: list[str]  # groups, where they are the reason
    plan: RatePlan
    untuned: Plan

    def overrides(self, found: Mapping[str, FoundRate]) -> dict[str, list[str]]:
        """Arm -> its overrides at the rate that was found."""
        changed = {}
        for arm in self.searched:
            changed[arm.name] = override_all(arm.overrides, [found[arm.name].override])
        return changed


def plan_arm_rates(
    overrides: Sequence[str], options: StudyOptions, rest: Sequence[str], session: Session
) -> ArmRates | None:
    """The searches that a study needs before its first run; None where it needs none.

    The study is planned first, so that what it cannot do is an error before the search. rest: the
    overrides of training.
    """
    arms, config_dir = make_study_arms(options, rest, session.config_dir), session.config_dir
    given = [arm.name for arm in arms if gives_rate(arm, options, rest)]
    differing = differing_groups(arms, config_dir) if options.rates != "given" else []
    searched = []
    for arm in arms:
        by_rule = differing and arm.name not in given and has_rate(arm.overrides, config_dir)
        if by_rule or wants_search(arm.overrides):
            searched.append(arm)
    if not searched:
        return None
    with session.console.status(shown(say("planning"))):
        plain = {arm.name: without_auto(arm.overrides) for arm in arms}
        untuned = plan_study(overrides, config_dir, session.datasets, plain)
        asked = any(wants_search(arm.overrides) for arm in arms)
        if options.rates is None and not asked and is_stored(untuned):
            print_lines(session.console, [say("goes_on")])
            return None
        seeds = [*untuned.study.seeds, *untuned.study.aa_seeds]
        plan = plan_rates([(arm.name, arm.overrides) for arm in searched], seeds, session)
    return ArmRates(arms, searched, given, differing, plan, untuned)


def is_stored(plan: Plan) -> bool:
    """Whether the store has this study, or it with fewer seeds or arms, at the rates as given.

    Such as one that a version without searches began.
    """
    store, keys = job_store(plan.jobs[0]), question_keys(plan.study)
    stored = map(question_keys, load_studies(store, plan.study.task))
    return any(own and own <= keys for own in stored)


def gives_rate(arm: Arm, options: StudyOptions, rest: Sequence[str]) -> bool:
    """Whether the user wrote the arm's rate out; a design copies one that only a recipe has."""
    texts = arm.overrides if options.design == "arms" else rest
    asked = any(text.startswith(f"{KEY}=") for text in texts)
    own = any(text.startswith(f"{KEY}=") and text != AUTO for text in arm.overrides)
    return asked and own


def differing_groups(arms: Sequence[Arm], config_dir: str | None) -> list[str]:
    """The groups in which a difference wants another rate; rates themselves are no difference."""
    first, *others = (compose_config(without_auto(arm.overrides), config_dir) for arm in arms)

    def differs(group: str) -> bool:
        return any(chosen_part(one, group) != chosen_part(first, group) for one in others)

    return list(filter(differs, GROUPS))


def chosen_part(config: RunConfig, group: str) -> Mapping[str, Value]:
    """A group's choice with its knobs, without the learning rate and ranges of a search."""
    if group == REGULARIZATION:
        return config.regularization
    knobs = config.parts[group].to_dict()
    return {key: value for key, value in knobs.items() if key not in ("lr", "search")}


def search_arm_rates(
    rates: ArmRates, session: Session, agreed: bool
) -> dict[str, FoundRate] | None:
    """Arm -> its rate. None where the user declines. Raises UserError and Interrupted.

    Asks for the searches and the study together, unless all trials are stored.
    """
    store = job_store(rates.untuned.jobs[0])
    rows = finished_runs(stored_rows(store, rates.untuned.study.task))
    known = known_rates(rates.plan, rows, session)
    if len(known) < len(rates.plan.questions):
        announce(rates, len(known), store, session)
        if not (agreed or confirm(session.console)):
            return None
        prepare(store)
    return search_rates(rates.plan, known, store, session)


def announce(rates: ArmRates, known: int, store: Store, session: Session) -> None:
    """The plan of the study and of the searches before it, with what both take."""
    untuned, console = rates.untuned, session.console
    show_data(console, untuned.jobs[0], session.datasets)
    with console.status(shown(say("trying"))):
        rows = stored_rows(store, untuned.study.task)
        budget = estimate_study(untuned, rows, session.datasets, console)
    unnamed = replace(untuned.study, id=say("rate_unnamed"))
    print_study_plan(console, replace(untuned, study=unnamed), budget)
    print_lines(console, [*describe_rate_search(rates.plan, known), *describe_reason(rates)])
    print_lines(console, minutes(rates, known, budget))


def describe_reason(rates: ArmRates) -> list[str]:
    """Why rates are searched, and whose are not."""
    lines: list[str] = []
    if rates.differing:
        lines.append(say("rates_differ", groups=joined(rates.differing)))
    if rates.given:
        lines.append(say("rates_given", arms=joined(rates.given)))
    return lines


def minutes(rates: ArmRates, known: int, budget: StudyBudget) -> list[str]:
    """How long the searches take, from the expected time of the arms' runs."""
    if not budget.seconds:
        return []
    left = (len(rates.plan.questions) - known) * fmean(budget.seconds.values())
    low, high = (format_duration(cost * left) for cost in (least_cost(), most_cost()))
    return [say("rates_time", low=low, high=high)]
