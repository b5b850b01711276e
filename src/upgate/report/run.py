"""The page of a run beside its twin: what their forecasts are made of where they differ most."""

from collections.abc import Sequence

from upgate.console import number
from upgate.page.document import document
from upgate.page.figure import code_block, section
from upgate.page.html import Html, el
from upgate.page.translations import Translator
from upgate.store.record import Row
from upgate.tasks.names import get_facts


def run_page(
    row: Row, twin: Row, sections: Sequence[Html], steps: int, command: str, w: Translator
) -> str:
    """The whole page. sections: the task's; steps: of the integral; command: makes it again."""
    metric = get_facts(row.task).metric
    label = w.of(metric.label)
    run, other = (number(one.metrics.get(metric.key)) for one in (row, twin))
    sentence = w("run_page_scores", metric=label[:1].upper() + label[1:], run=run, twin=other)
    title = w("run_page_title", name=row.key[:8])
    header = el(
        "header",
        el("h1", title),
        el("p", f"{row.task}, {row.name}", el("br"), row.tags.get("upgate.source"), class_="under"),
        el("p", sentence, class_="sentence"),
    )
    method = section(w("run_page_method"), el("p", w("run_page_method_note", steps=steps)))
    again = section(w("commands"), code_block(command))
    return document(title, [header, *sections, method, again], w)
