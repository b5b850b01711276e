"""The learning rates that a study searched for its recipes before its first run."""

from upgate.page.figure import folded, note, section
from upgate.page.html import Child, Html, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.study.result import StudyResult
from upgate.tune.rates import FoundRate


def rates_section(result: StudyResult, w: Translator) -> Html:
    """A row per recipe, its trials folded; nothing for a study whose rates were given."""
    rates = result.study.rates
    if not rates:
        return Html("")
    first = next(iter(rates.values()))
    body = [_found_cells(name, one, w) for name, one in rates.items()]
    trials: list[list[Child]] = []
    for name, one in rates.items():
        for trial in one.trials:
            score = format_number(trial.score, 4)
            trials.append([name, f"{trial.rate:g}", f"{trial.share:.0%}", score])
    columns = [w("recipe"), w("learning_rate"), w("rate_default"), first.metric]
    heads = [w("recipe"), w("learning_rate"), w("rate_budget"), first.metric]
    return section(
        w("learning_rates"),
        note(w("rates_note", seed=str(first.seed))),
        table(columns, body),
        folded(w("rates_trials"), table(heads, trials)),
    )


def _found_cells(name: str, one: FoundRate, w: Translator) -> list[Child]:
    rate = f"{one.rate:g}"
    if one.edge:
        rate += f" ({w('rate_edge')})"
    best = next(trial for trial in one.trials if trial.share == 1 and trial.rate == one.rate)
    return [name, rate, f"{one.default:g}", format_number(best.score, 4)]
