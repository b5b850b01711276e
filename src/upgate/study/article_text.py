"""The article's claim beside what was measured: a table for a terminal of 80 characters, and a sentence per claim."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console

from upgate.console import new_table
from upgate.study.facts import Fact, article_claim, by_claim
from upgate.study.load import Experiment
from upgate.study.result import StudyResult
from upgate.study.text import score, whole
from upgate.tasks.article import ARTICLE, BEYOND, EXCESS, HONEST
from upgate.tasks.registry import get_task

ROLES = {ARTICLE: "article's setting", HONEST: "honest setting"}


def show(
    console: Console, asked: Experiment, results: Mapping[str, StudyResult], found: Sequence[Fact]
) -> None:
    """Scores beside the yardsticks first; then each claim, what each setting says of it, and the verdicts in words."""
    claim = article_claim(asked.task)
    unit = "percent" if get_task(asked.task).metric.scale == "log" else "points"
    table = new_table(
        f"the article's claim; gains in {unit}, with intervals over seeds",
        "claim",
        *ROLES.values(),
        left=3,
    )
    for column in table.columns:
        column.ratio = 1
    table.expand = True
    cells = {
        role: [
            beside(name, one) for name, one in results.items() if claim.setting(name).role == role
        ]
        for role in ROLES
    }
    table.add_row(
        claim.texts["scores"], *("\n".join(cells[role]) for role in ROLES), end_section=True
    )
    for kind, facts in by_claim(found).items():
        told = {role: [cell(fact) for fact in facts if fact.role == role] for role in ROLES}
        table.add_row(
            claim.texts[kind], *("\n".join(told[role]) for role in ROLES), end_section=True
        )
    console.print(table)
    for line in sentences(asked.task, found):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"next: {asked.commands[-1]}", highlight=False, markup=False, soft_wrap=True)


def beside(setting: str, result: StudyResult) -> str:
    """Both recipes' scores and the yardstick's."""
    one = whole(result)
    name = article_claim(result.study.task).setting(setting).yardstick
    told = [
        f"{result.study.baseline} {score(result.baseline_score)}",
        *([f"{one.arm} {score(one.score)}"] if one else []),
    ]
    told += [f"{name} {score(result.references[name])}"] if name in result.references else []
    return f"{setting}: {', '.join(told)}"


def cell(fact: Fact) -> str:
    return f"{fact.setting}: {measured(fact)}: {fact.word}"


def measured(fact: Fact) -> str:
    if math.isnan(fact.gain):
        return f"no sure excess over {fact.against}"
    middle, low, high, unit = spoken(fact)
    span = f" [{low}, {high}]" if fact.n > 1 else ""
    return f"{middle}{span}{unit}" + (
        f", claimed {fact.claimed:,.4g}" if fact.claim == EXCESS else ""
    )


def spoken(fact: Fact) -> tuple[str, str, str, str]:
    """Gain, bounds and unit; against what costs nothing, an MSE is a multiple of that one's rather than -28,000 percent."""
    if fact.claim == BEYOND and fact.scale == "log":
        ratio, low, high = (f"{1 - gain / 100:,.4g}" for gain in (fact.gain, fact.high, fact.low))
        return ratio, low, high, f" times {fact.against}'s"
    return number(fact.gain), number(fact.low), number(fact.high), ""


def number(value: float) -> str:
    """With its sign; short where it is large."""
    return (
        f"{value:+,.2f}"
        if abs(value) < 1000
        else f"{value:+,.4g}"
        if math.isfinite(value)
        else "inf"
        if value > 0
        else "-inf"
    )


def sentences(task: str, found: Sequence[Fact]) -> list[str]:
    """A verdict per claim: what its own setting says, then the honest one."""
    said, texts = [], article_claim(task).texts
    for claim, facts in by_claim(found).items():
        told = [
            f"{fact.word} in the {ROLES[fact.role]} ({fact.setting}: {against(fact)})"
            for fact in facts
        ]
        said.append(f"{texts[claim]}: {'; '.join(told)}.")
    few = min((fact.n for fact in found), default=6)
    return [
        *said,
        *([f"{few} seeds: fewer than 6 show nothing, whatever they say."] if few < 6 else []),
    ]


def against(fact: Fact) -> str:
    told = math.isnan(fact.gain) or fact.claim == BEYOND
    return measured(fact) if told else f"{measured(fact)} against {fact.against}"
