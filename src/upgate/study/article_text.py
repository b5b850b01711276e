"""The article's claim beside the measurements: a table for 80 characters, a sentence per claim."""

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from upgate import messages
from upgate.console import new_table, print_lines
from upgate.messages import joined, shown
from upgate.study.facts import Fact, article_claim, by_claim
from upgate.study.load import Experiment
from upgate.study.result import StudyResult
from upgate.study.text import format_score, main_verdict
from upgate.study.texts import say
from upgate.tasks.article import ARTICLE, BEYOND, EXCESS, HONEST
from upgate.tasks.names import get_facts

ROLES = (ARTICLE, HONEST)


def print_claims(
    console: Console,
    experiment: Experiment,
    results: Mapping[str, StudyResult],
    facts: Sequence[Fact],
) -> None:
    """The table, then the verdicts in words, and the next command."""
    console.print(claims_table(experiment.task, results, facts))
    lines = [*sentences(experiment.task, facts), say("next_only", command=experiment.commands[-1])]
    print_lines(console, lines)


def claims_table(task: str, results: Mapping[str, StudyResult], facts: Sequence[Fact]) -> Table:
    """Scores beside the yardsticks first; then each claim, and its facts in each setting."""
    claimed = article_claim(task)
    unit = say("percent" if get_facts(task).metric.scale == "log" else "unit_points")
    roles = [say.of("role", role) for role in ROLES]
    table = new_table(say("claims_title", unit=unit), say("claim_heading"), *roles, left=3)
    for column in table.columns:
        column.ratio = 1
    table.expand = True
    scores = [
        (claimed.setting(name).role, describe_scores(name, result))
        for name, result in results.items()
    ]
    table.add_row(get_facts(task).claim_text("scores"), *by_role(scores), end_section=True)
    for claim, group in by_claim(facts).items():
        cells = by_role((fact.role, describe(fact)) for fact in group)
        table.add_row(get_facts(task).claim_text(claim), *cells, end_section=True)
    return table


def by_role(texts: Iterable[tuple[str, str]]) -> list[str]:
    """A cell per role, the texts of that role on lines of their own."""
    cells: dict[str, list[str]] = {role: [] for role in ROLES}
    for role, text in texts:
        cells[role].append(shown(text))
    return ["\n".join(lines) for lines in cells.values()]


def describe_scores(setting: str, result: StudyResult) -> str:
    """Both recipes' scores and the yardstick's."""
    main = main_verdict(result)
    name = article_claim(result.study.task).setting(setting).yardstick
    scores = [f"{result.study.baseline} {format_score(result.baseline_score)}"]
    if main is not None:
        scores.append(f"{main.arm} {format_score(main.score)}")
    if name in result.references:
        scores.append(f"{name} {format_score(result.references[name])}")
    return messages.say("cause", where=setting, cause=joined(scores))


def describe(fact: Fact) -> str:
    verdict = say.of("fact", fact.verdict)
    return say("fact_line", setting=fact.setting, gain=gain_text(fact), verdict=verdict)


def gain_text(fact: Fact) -> str:
    """The gain with its interval, and the claimed share of the excess."""
    if math.isnan(fact.gain):
        return say("no_excess", name=fact.against)
    middle, low, high, unit = format_gain(fact)
    interval = f" [{low}, {high}]" if fact.n > 1 else ""
    claimed = say("gain_claimed", size=f"{fact.claimed:,.4g}") if fact.claim == EXCESS else ""
    return say("gain", middle=middle, interval=interval, unit=unit, claimed=claimed)


def format_gain(fact: Fact) -> tuple[str, str, str, str]:
    """Gain, bounds and unit.

    Against a reference an MSE is shown as a multiple of that one's, not as -28,000 percent.
    """
    if fact.claim == BEYOND and fact.scale == "log":
        ratio, low, high = (f"{1 - gain / 100:,.4g}" for gain in (fact.gain, fact.high, fact.low))
        return ratio, low, high, say("times_of", name=fact.against)
    return format_signed(fact.gain), format_signed(fact.low), format_signed(fact.high), ""


def format_signed(value: float) -> str:
    """With its sign; short where it is large."""
    if not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:+,.2f}" if abs(value) < 1000 else f"{value:+,.4g}"


def sentences(task: str, facts: Sequence[Fact]) -> list[str]:
    """A verdict per claim: in its own setting, then in the honest one."""
    lines: list[str] = []
    for claim, group in by_claim(facts).items():
        verdicts = [
            say(
                "fact_in_role",
                verdict=say.of("fact", fact.verdict),
                role=say.of("role", fact.role),
                setting=fact.setting,
                gain=gain_against_text(fact),
            )
            for fact in group
        ]
        text = get_facts(task).claim_text(claim)
        lines.append(say("claim_said", claim=text, verdicts=joined(verdicts, "sentences")))
    few = min((fact.n for fact in facts), default=6)
    if few < 6:
        lines.append(say("few_show_nothing", n=few))
    return lines


def gain_against_text(fact: Fact) -> str:
    """The measurement, and what it is against unless it says so itself."""
    if math.isnan(fact.gain) or fact.claim == BEYOND:
        return gain_text(fact)
    return say("gain_against", gain=gain_text(fact), name=fact.against)
