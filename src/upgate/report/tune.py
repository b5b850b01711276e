"""The page of a search: its result in, one HTML text out, with pictures that stand by themselves as files too."""

from collections.abc import Mapping

from upgate.config.schema import said
from upgate.errors import UserError, did_you_mean
from upgate.page.document import document, svg_file
from upgate.page.figure import (
    TEXT_ONLY,
    gallery,
    note,
    render_figure,
    section,
    titled_figure,
    without_note,
)
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.command import place
from upgate.report.texts import report_translator
from upgate.report.tune_figures import best_of_n, importance, parallel, slices, trials_table
from upgate.store.open import open_store
from upgate.store.store import Store
from upgate.study.result import from_json
from upgate.tune import text as say
from upgate.tune.plan import axes
from upgate.tune.result import TUNED, UNTUNED, BlockResult, SearchResult


def tune_report_command(asked: Mapping[str, str]) -> int:
    """Write the page of a stored search and say where it is. Raises UserError where there is no such search."""
    language = asked.get("report.language", "en")
    report_translator(language)  # a typo answers before the store is opened
    out = place(asked.get("out", "tune.html"))
    result = load(open_store(asked.get("root")), asked["tune"])
    out.write_text(tune_page(result, language), encoding="utf-8")
    print(f"{result.search.id}: {out}")
    return 0


def load(store: Store, search_id: str) -> SearchResult:
    """The search of that id, or of the newest one for `latest`; from its folder, else from MLflow's artifacts."""
    rows = [row for row in store.rows() if row.is_parent and row.tags.get("upgate.level") == "tune"]
    there = {row.tags["upgate.tune"]: row for row in reversed(rows)}
    if search_id == "latest" and rows:
        search_id = rows[0].tags["upgate.tune"]
    if search_id not in there:
        raise UserError(
            f"there is no search {search_id} in {store.root}{did_you_mean(search_id, there)}; make tune makes one"
        )
    folder = store.root / "tunes" / search_id
    path = folder / "result.json"
    row = there[search_id]
    if not path.exists() and row.status in ("RUNNING", "KILLED"):
        raise UserError(
            f"the search {search_id} has not come to its end; its own command goes on: {row.tags.get('upgate.command', '')}"
        )
    if not path.exists():
        path = store.artifact(row.run_id, path.name, folder)
    return from_json(SearchResult, path.read_text(encoding="utf-8"))


def tune_page(result: SearchResult, language: str = "en") -> str:
    w, search = report_translator(language), result.search
    sections = [head(result, w), before_after(result, w)]
    for block in result.blocks:
        sections += block_sections(result, block, w)
    sections += [space(result, w), frozen(result, w), commands(result, w)]
    return document(w("tune_title", id=search.id), sections, w)


def head(result: SearchResult, w: Translator) -> Html:
    search = result.search
    target = search.frozen.get("task", {}).get("target")
    sizes = {
        "trials": search.trials,
        "folds": len(search.blocks[0].folds),
        "top": min(search.top, search.trials),
        "seeds": len(search.seeds) - 1,
    }
    told = w(
        "tune_subtitle",
        task=f"{search.task}, {target}" if target else search.task,
        sampler=w(f"tune_{search.sampler}"),
        **sizes,
    )
    states = [
        w(
            "tune_states_note",
            arm=" ".join([arm.name, block.name]).strip(),
            n=len(arm.trials),
            **arm.notes,
        )
        for block in result.blocks
        for arm in block.arms
        if any(arm.notes.values())
    ]
    return el(
        "header",
        el("h1", w("tune_title", id=search.id)),
        el("p", told, el("br"), search.source, class_="under"),
        el("p", sentence(result, w), class_="sentence long"),
        [el("p", one, class_="warning") for one in states],
    )


def sentence(result: SearchResult, w: Translator) -> str:
    if w.language == "en":
        return say.sentence(result)
    if not result.search.test:
        return w("tune_closed")
    arms = [arm.name for arm in result.search.arms]
    found = [
        (name, format_number(result.test(name, UNTUNED)), format_number(result.test(name, TUNED)))
        for name in arms
    ]
    told = w("then").join(
        w("tune_tests_said", arm=name, before=before, after=after) for name, before, after in found
    )
    return w("tune_tests_metric", metric=result.search.score.label_in(w.language), said=told) + w(
        "tune_few"
    )


def before_after(result: SearchResult, w: Translator) -> Html:
    """A row per arm and block."""
    search, many = result.search, len(result.blocks) > 1
    values = [
        el(
            "p",
            f"{' '.join([arm.name, block.name]).strip()}, {w('tune_values')}: ",
            el("code", " ".join(arm.best.words) or w("tune_as_it_is")),
        )
        for block in result.blocks
        for arm in block.arms
        if arm.best is not None
    ]
    columns: list[Child] = [
        w("tune_arm"),
        *([w("tune_block")] if many else []),
        w("tune_validation"),
        w("tune_best"),
        w("tune_trial"),
    ]
    columns += [w("tune_untuned"), w("tune_tuned"), w("tune_steps")]
    body: list[list[Child]] = []
    for block in result.blocks:
        for arm in block.arms:
            told = say.cells(search, arm)
            steps = f"{arm.steps.get(UNTUNED, '–')} → {arm.steps.get(TUNED, '–')}"
            body.append([arm.name, *([block.name] if many else []), *told, steps])
    return section(
        w("tune_before_after"), note(w("tune_before_after_note")), table(columns, body), values
    )


def block_sections(result: SearchResult, block: BlockResult, w: Translator) -> list[Html]:
    search = result.search
    named = f": {block.name}" if block.name else ""
    curve = best_of_n(search, block, w)
    pairs = list(zip(search.arms, block.arms, strict=True))
    mattered = [figure for _, arm in pairs if (figure := importance(arm, w))]
    crossed = [figure for asked, arm in pairs if (figure := parallel(search, asked, arm, w))]
    found = [
        section(f"{w('tune_curve')}{named}", render_figure(curve, w)) if curve else Html(""),
        section(
            f"{w('tune_importance')}{named}",
            note(mattered[0].note),
            [titled_figure(without_note(one), w) for one in mattered],
        )
        if mattered
        else Html(""),
        section(
            f"{w('tune_parallel')}{named}",
            note(crossed[0].note),
            [titled_figure(without_note(one), w) for one in crossed],
        )
        if crossed
        else Html(""),
    ]
    for asked, arm in pairs:
        found.append(
            gallery(
                f"{w('tune_slices')}: {arm.name}{named}",
                w("tune_slices_note"),
                list(slices(search, asked, arm, w)),
                w,
            )
        )
    every = [
        el("details", el("summary", arm.name), table(*trials_table(search, asked, arm, w)))
        for asked, arm in pairs
    ]
    return [*found, section(f"{w('tune_trials')}{named}", every)]


def space(result: SearchResult, w: Translator) -> Html:
    body: list[list[Child]] = [
        [f"{arm.name}: {key}" if len(result.search.arms) > 1 else key, found, said(value)]
        for arm in result.search.arms
        for key, found, value in axes(arm.space, arm.baseline)
    ]
    return section(
        w("tune_space"), table([w("key"), w("tune_range"), w("tune_as_it_is")], body, TEXT_ONLY)
    )


def frozen(result: SearchResult, w: Translator) -> Html:
    search = result.search
    folds: list[list[Child]] = [
        [f"{w('folds')} {block.name}".strip(), el("code", " ".join(block.search))]
        for block in search.blocks
    ]
    kept: list[list[Child]] = [
        [name.replace("_", " "), el("code", said(value))] for name, value in search.frozen.items()
    ]
    body: list[list[Child]] = [
        [w("data"), search.source],
        [w("hash"), el("code", search.data)],
        [w("metric"), search.metric],
        [w("seeds"), ", ".join(map(str, search.seeds))],
    ]
    body += [*folds, *kept]
    looks = w("tune_looks", count=result.looks) if search.test else w("tune_closed")
    return section(
        w("tune_frozen"),
        el("p", looks),
        table([w("key"), w("value")], body, TEXT_ONLY, class_="plain"),
    )


def commands(result: SearchResult, w: Translator) -> Html:
    lines = [*result.search.commands, say.next_line(result)]
    return section(w("commands"), el("pre", el("code", "\n".join(lines)), tabindex="0"))


def figures_of(result: SearchResult) -> dict[str, str]:
    """The pictures as SVG files of their own: file name -> text; of several blocks the last one's."""
    w, search, block = report_translator("en"), result.search, result.blocks[-1]
    found: dict[str, Html] = {}
    if (curve := best_of_n(search, block, w)) is not None:
        found["best_of_n.svg"] = curve.picture
    for i, (asked, arm) in enumerate(zip(search.arms, block.arms, strict=True)):
        suffix = f"_{i}" if len(search.arms) > 1 else ""
        if (crossed := parallel(search, asked, arm, w)) is not None:
            found[f"parallel{suffix}.svg"] = crossed.picture
        for one in slices(search, asked, arm, w):
            found[f"slice{suffix}_{one.title}.svg"] = one.picture
    return {name: svg_file(picture) for name, picture in found.items()}
