"""The report of a search: its result in, one HTML text out, and its pictures as SVG files."""

from collections.abc import Sequence
from typing import NamedTuple

from upgate.config.schema import format_value
from upgate.page.document import document, svg_file
from upgate.page.figure import (
    TEXT_ONLY,
    Figure,
    code_block,
    figure_section,
    folded,
    gallery,
    note,
    section,
    titled_figure,
    without_note,
)
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.texts import report_translator
from upgate.report.tune_figures import best_of_n, importance, slices
from upgate.report.tune_trials import parallel, trials_table
from upgate.tune import text as tune_text
from upgate.tune.result import TUNED, UNTUNED, ArmResult, BlockResult, SearchResult, Tunable

PAGE = "report.html"


class TunedArm(NamedTuple):
    """An arm of a block: what was searched, and what came out."""

    tunable: Tunable
    result: ArmResult


def search_files(result: SearchResult) -> dict[str, str]:
    """File name -> text: the page in English, and its pictures."""
    return {PAGE: tune_page(result), **figure_files(result)}


def tune_page(result: SearchResult, language: str = "en") -> str:
    """The whole page."""
    w, search = report_translator(language), result.search
    sections = [search_summary(result, w), before_after(result, w)]
    for block in result.blocks:
        sections += block_sections(result, block, w)
    sections += [
        space(result, w),
        frozen_search(result, w),
        section(w("commands"), code_block(*search.commands, tune_text.next_command(result))),
    ]
    return document(w("tune_title", id=search.id), sections, w)


def search_summary(result: SearchResult, w: Translator) -> Html:
    """The top of the page: what was searched, the result in a sentence, warnings."""
    search = result.search
    target = search.frozen.get("task", {}).get("target")
    subtitle = w(
        "tune_subtitle",
        task=f"{search.task}, {target}" if target else search.task,
        sampler=w(f"tune_{search.sampler}"),
        trials=search.trials,
        folds=len(search.blocks[0].folds),
        top=min(search.top, search.trials),
        seeds=len(search.seeds) - 1,
    )
    return el(
        "header",
        el("h1", w("tune_title", id=search.id)),
        el("p", subtitle, el("br"), search.source, class_="under"),
        el("p", search_sentence(result, w), class_="sentence long"),
        [el("p", warning, class_="warning") for warning in search_warnings(result, w)],
    )


def arm_title(arm: ArmResult, block: BlockResult) -> str:
    return f"{arm.name} {block.name}".strip()


def search_warnings(result: SearchResult, w: Translator) -> list[str]:
    """How many trials of each arm were pruned, diverged or failed, where any were."""
    texts = []
    for block in result.blocks:
        for arm in block.arms:
            if any(arm.notes.values()):
                name, n = arm_title(arm, block), len(arm.trials)
                texts.append(w("tune_states_note", arm=name, n=n, **arm.notes))
    return texts


def search_sentence(result: SearchResult, w: Translator) -> str:
    """The search's own sentence, which is English; in other languages one of the same content."""
    if w.language == "en":
        return tune_text.summarize_search(result)
    if not result.search.test:
        return w("tune_closed")
    arms = []
    for arm in result.search.arms:
        before, after = (format_number(result.test(arm.name, x)) for x in (UNTUNED, TUNED))
        arms.append(w("tune_tests_said", arm=arm.name, before=before, after=after))
    metric = w.of(result.search.score.label)
    text = w("tune_tests_metric", metric=metric, said=w("then").join(arms))
    return w.sentences(text, w("tune_few"))


def before_after(result: SearchResult, w: Translator) -> Html:
    """A row per arm and block, and the values that were chosen."""
    many = len(result.blocks) > 1
    keys = ["tune_arm", *(["tune_block"] if many else [])]
    keys += ["tune_validation", "tune_best", "tune_trial"]
    keys += ["tune_untuned", "tune_tuned", "tune_steps"]
    body: list[list[Child]] = []
    chosen: list[Child] = []
    for block in result.blocks:
        for arm in block.arms:
            names = [arm.name, block.name] if many else [arm.name]
            steps = f"{arm.steps.get(UNTUNED, '–')} → {arm.steps.get(TUNED, '–')}"
            body.append([*names, *tune_text.arm_cells(result.search, arm), steps])
            if arm.best is not None:
                values = el("code", " ".join(arm.best.overrides) or w("tune_as_it_is"))
                chosen.append(el("p", f"{arm_title(arm, block)}, {w('tune_values')}: ", values))
    columns = table(list(map(w, keys)), body)
    return section(w("tune_before_after"), note(w("tune_before_after_note")), columns, chosen)


def block_sections(result: SearchResult, block: BlockResult, w: Translator) -> list[Html]:
    """The figures of one block: of all trials, or of one part of nested cross-validation."""
    search = result.search
    suffix = f": {block.name}" if block.name else ""
    arms = [TunedArm(*pair) for pair in zip(search.arms, block.arms, strict=True)]
    shares = [importance(arm.result, w) for arm in arms]
    trials = [parallel(search, *arm, w) for arm in arms]
    sections = [
        figure_section(best_of_n(search, block, w), w, title_suffix=suffix),
        figure_list(f"{w('tune_importance')}{suffix}", shares, w),
        figure_list(f"{w('tune_parallel')}{suffix}", trials, w),
    ]
    for arm in arms:
        title = f"{w('tune_slices')}: {arm.tunable.name}{suffix}"
        sections.append(gallery(title, w("tune_slices_note"), slices(search, *arm, w), w))
    tables = [folded(a.tunable.name, table(*trials_table(search, *a, w))) for a in arms]
    return [*sections, section(f"{w('tune_trials')}{suffix}", tables)]


def figure_list(title: str, figures: Sequence[Figure | None], w: Translator) -> Html:
    """A section of figures below each other, with the note that they share."""
    shown = [figure for figure in figures if figure]
    if not shown:
        return Html("")
    return section(
        title, note(shown[0].note), [titled_figure(without_note(figure), w) for figure in shown]
    )


def space(result: SearchResult, w: Translator) -> Html:
    """The range of each axis, and the value of the untuned recipe."""
    arms = result.search.arms
    body: list[list[Child]] = []
    for arm in arms:
        prefix = f"{arm.name}: " if len(arms) > 1 else ""
        for dim in arm.space:
            untuned = format_value(arm.baseline[dim.key])
            body.append([f"{prefix}{dim.key}", w.of(dim.text), untuned])
    columns = [w("key"), w("tune_range"), w("tune_as_it_is")]
    return section(w("tune_space"), table(columns, body, TEXT_ONLY))


def frozen_search(result: SearchResult, w: Translator) -> Html:
    """What was fixed before the first run."""
    search = result.search
    body: list[list[Child]] = [
        [w("data"), search.source],
        [w("hash"), el("code", search.data)],
        [w("metric"), search.metric],
        [w("seeds"), ", ".join(map(str, search.seeds))],
    ]
    for block in search.blocks:
        body.append([f"{w('folds')} {block.name}".strip(), el("code", " ".join(block.search))])
    for name, value in search.frozen.items():
        body.append([name.replace("_", " "), el("code", format_value(value))])
    looks = w("tune_looks", count=result.looks) if search.test else w("tune_closed")
    settings = table([w("key"), w("value")], body, TEXT_ONLY, class_="plain")
    return section(w("tune_frozen"), el("p", looks), settings)


def figure_files(result: SearchResult) -> dict[str, str]:
    """The pictures as SVG files: file name -> text; of several blocks those of the last one."""
    w, search, block = report_translator("en"), result.search, result.blocks[-1]
    pictures: dict[str, Figure | None] = {"best_of_n": best_of_n(search, block, w)}
    for i, (tunable, arm) in enumerate(zip(search.arms, block.arms, strict=True)):
        suffix = f"_{i}" if len(search.arms) > 1 else ""
        pictures[f"parallel{suffix}"] = parallel(search, tunable, arm, w)
        for figure in slices(search, tunable, arm, w):
            pictures[f"slice{suffix}_{figure.title}"] = figure
    return {f"{name}.svg": svg_file(f.picture) for name, f in pictures.items() if f is not None}
