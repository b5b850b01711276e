"""Before a study's first run: how long it will take, and which effect its seeds can detect."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, variance

from rich.console import Console

from upgate.console import counted, format_duration, print_lines
from upgate.experiment.records import finished_runs
from upgate.experiment.timing import time_run
from upgate.messages import joined
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.stats.power import detectable
from upgate.store.record import Row
from upgate.study.plan import Plan
from upgate.study.result import Study
from upgate.study.scores import seed_differences, seed_scores, select_runs
from upgate.study.text import effect_unit, look_notes
from upgate.study.texts import say


@dataclass(frozen=True)
class StudyBudget:
    """What a study will take and can find."""

    done: int  # runs
    seconds: dict[str, float]  # expected, by run key, of what is not done
    measured: bool  # whether the store has timed every recipe
    detectable: float  # in standard deviations of a seed's difference, with 80% power
    spread: float | None  # standard deviation of a seed's difference; None before two seeds


def estimate_study(
    plan: Plan, rows: Sequence[Row], datasets: Datasets, console: Console
) -> StudyBudget:
    """Try out every recipe that has runs to do, and estimate what all will take.

    Raises whatever a recipe fails with in two steps.
    """
    finished = finished_runs(rows)
    done = {row.key for row in finished}
    planned = {job.spec.key: job for job in plan.jobs}
    left = [job for key, job in planned.items() if key not in done]
    seconds: dict[str, float] = {}
    measured = True
    for job in one_per_recipe(left):
        expected = time_run(job, finished, datasets, console)
        measured = measured and expected.measured
        alike = (other.spec.key for other in left if same_recipe(other, job))
        seconds |= dict.fromkeys(alike, expected.seconds)
    return StudyBudget(
        done=len(planned.keys() & done),
        seconds=seconds,
        measured=measured,
        detectable=detectable_effect(plan.study),
        spread=observed_spread(plan.study, finished),
    )


def one_per_recipe(jobs: Iterable[Job]) -> list[Job]:
    """The first job of every recipe and budget."""
    distinct: list[Job] = []
    for job in jobs:
        if not any(same_recipe(job, other) for other in distinct):
            distinct.append(job)
    return distinct


def same_recipe(one: Job, other: Job) -> bool:
    return one.spec.recipe == other.spec.recipe and one.spec.budget == other.spec.budget


def detectable_effect(study: Study) -> float:
    """With 80% power: the primary question, at the level of this look."""
    return detectable(len(study.seeds), alpha=study.level)


def detectable_part(study: Study) -> float | None:
    """The same at the first step of the family of the parts, or of the other arms; None of none."""
    questions = len(study.parts) or len(study.arms) - 2
    if questions < 1:
        return None
    return detectable(len(study.seeds), alpha=study.level / questions)


def observed_spread(study: Study, finished: Sequence[Row]) -> float | None:
    """Standard deviation of a seed's difference: the median of the arms with two seeds or more."""
    scores = seed_scores(study, select_runs(study, finished))
    variances = []
    for arm in study.arms[1:]:
        values = seed_differences(study, scores, arm.name, study.seeds).values()
        finite = [value for value in values if math.isfinite(value)]
        if len(finite) > 1:
            variances.append(variance(finite))
    return math.sqrt(median(variances)) if variances else None


def print_study_plan(console: Console, plan: Plan, budget: StudyBudget) -> None:
    """The plan: what will run, how long, and what it can detect."""
    study = plan.study
    lines = [
        describe_study(study),
        *(f"  {arm.name}" for arm in study.arms),
        *describe_wall(study),
        describe_runs(plan, budget),
        say(
            "effects",
            smallest=f"{100 * study.smallest_effect:g}",
            unit=effect_unit(study),
            detectable=describe_detectable(study, budget),
        ),
        *describe_questions(study),
        *describe_orders(study),
    ]
    if len(study.seeds) < 6:
        lines.append(say("few_seeds"))
    print_lines(console, lines)


def describe_study(study: Study) -> str:
    """How many arms, seeds and folds, and which controls."""
    controls = [name for name, arm in (("A/A", study.aa), (say("zero"), study.zero)) if arm]
    return say(
        "plan_title",
        id=study.id,
        arms=len(study.arms),
        seeds=counted(len(study.seeds), "seed"),
        numbers=list_seeds(study.seeds),
        folds=counted(len(study.folds), "fold"),
        controls=joined(controls) if controls else say("none"),
    )


def describe_runs(plan: Plan, budget: StudyBudget) -> str:
    """How many runs are left, and how long they take."""
    total = len({job.spec.key for job in plan.jobs})
    inline = plan.jobs[0].config.executor.name == "inline"
    return say(
        "runs_inline" if inline else "runs_of_work",
        total=total,
        done=budget.done,
        left=total - budget.done,
        duration=format_duration(sum(budget.seconds.values())),
        source=say("measured" if budget.measured else "guessed"),
    )


def describe_wall(study: Study) -> list[str]:
    """What equal wall time comes to."""
    wall = study.wall
    if wall is None:
        return []
    if wall.equal:
        epochs = next(iter(wall.epochs.values()))
        return [say("wall_equal", epochs=epochs)]
    ratios = joined([f"{ratio:.2f}" for ratio in wall.ratio.values()])
    return [say("wall_ratios", duration=format_duration(wall.seconds), ratios=ratios)]


def describe_orders(study: Study) -> list[str]:
    """The sampled orders, and what they cost."""
    if not study.orders:
        return []
    count = len(study.arms) - 2 * len(study.parts) - 2
    runs = count * len(study.seeds) * len(study.folds)
    return [say("orders", orders=len(study.orders), recipes=count, runs=runs)]


def describe_questions(study: Study) -> list[str]:
    """The primary question, the family after it, and the plan of looks."""
    lines = [say("primary", arm=study.primary_arm, baseline=study.baseline)]
    effect = detectable_part(study)
    if effect is not None:
        parts, others = len(study.parts), len(study.arms) - 2
        members = counted(parts, "part") if parts else counted(others, "other_recipe")
        lines.append(say("family", members=members, size=f"{effect:.2f}"))
    return [*lines, *look_notes(study)]


def describe_detectable(study: Study, budget: StudyBudget) -> str:
    if math.isinf(budget.detectable):
        return say("detectable_none", seeds=counted(len(study.seeds), "seed"))
    text = say("detectable_spread", size=f"{budget.detectable:.2f}")
    if budget.spread is None:
        return say("detectable_unknown", text=text)
    effect = f"{study.shown(budget.detectable * budget.spread):.2f}"
    spread = f"{study.shown(budget.spread):.2f}"
    return say("detectable_known", effect=effect, unit=effect_unit(study), text=text, spread=spread)


def list_seeds(seeds: Sequence[int]) -> str:
    """0 to 5; or 3, 5, 8."""
    consecutive = list(range(seeds[0], seeds[0] + len(seeds)))
    if list(seeds) == consecutive and len(seeds) > 2:
        return say("range", first=seeds[0], last=seeds[-1])
    return joined(list(map(str, seeds)))
