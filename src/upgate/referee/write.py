"""The verdict as a run of the store that was judged, in an experiment of its own."""

import math

from upgate.referee.answer import Judgement
from upgate.referee.columns import short_name
from upgate.referee.question import Source
from upgate.store.foreign_write import write_run

EXPERIMENT = "upgate-judge"
NUMBERS = ("effect", "low", "high", "p", "p_holm", "n")


def write_judgement(judgement: Judgement, source: Source, location: str, page: str) -> str:
    """Write and return the run's id. location: of the judged experiment's artifacts.

    Parameters: the question. Tags: the sentence and each group's verdict. Metrics: effect,
    interval and p-values of each group. Artifacts: judgement.json, judgement.html.
    """
    question = judgement.question
    params = {
        "experiment": source.experiment,
        "filter": source.filter_string,
        "metric": short_name(question.metric),
        "group": short_name(question.group),
        "baseline": question.baseline,
        "pair": ", ".join(map(short_name, question.pair or [])),
        "over": short_name(question.over or ""),
        "items": question.items or "",
        "better": question.direction,
        "smallest_effect": f"{judgement.smallest_effect:g}",
        "alpha": f"{question.alpha:g}",
    }
    tags = {"upgate.sentence": judgement.sentence}
    tags |= {f"upgate.verdict.{arm.name}": arm.verdict.label for arm in judgement.arms}
    metrics = {
        f"{arm.name}/{name}": float(getattr(arm.verdict, name))
        for arm in judgement.arms
        for name in NUMBERS
    }
    return write_run(
        source.uri,
        EXPERIMENT,
        location,
        f"{params['metric']} by {params['group']} of {source.experiment}",
        {"params": {key: text for key, text in params.items() if text}, "tags": tags},
        {key: number for key, number in metrics.items() if math.isfinite(number)},
        {"judgement.json": judgement.to_json(), "judgement.html": page},
    )
