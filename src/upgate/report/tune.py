"""The page of a search: its result in, one HTML text out, with pictures that stand by themselves as files too."""

from collections.abc import Mapping
from importlib.resources import files

from upgate.config.schema import said
from upgate.errors import UserError, did_you_mean
from upgate.report.command import place
from upgate.report.figures import Figure, shown
from upgate.report.html import Child, Html, el, join, table
from upgate.report.page import document, gallery
from upgate.report.sections import NO_NUMBERS, note, section
from upgate.report.svg import number
from upgate.report.translations_tune import TuneWords
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
    TuneWords(language)  # a typo answers before the store is opened
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
    w, search = TuneWords(language), result.search
    sections = [head(result, w), before_after(result, w)]
    for block in result.blocks:
        sections += block_sections(result, block, w)
    sections += [space(result, w), frozen(result, w), commands(result, w)]
    return document(w("t_title", id=search.id), sections, w)


def head(result: SearchResult, w: TuneWords) -> Html:
    search = result.search
    target = search.frozen.get("task", {}).get("target")
    sizes = {
        "trials": search.trials,
        "folds": len(search.blocks[0].folds),
        "top": min(search.top, search.trials),
        "seeds": len(search.seeds) - 1,
    }
    told = w(
        "t_subtitle",
        task=f"{search.task}, {target}" if target else search.task,
        sampler=w(f"t_{search.sampler}"),
        **sizes,
    )
    states = [
        w(
            "t_states_note",
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
        el("h1", w("t_title", id=search.id)),
        el("p", told, el("br"), search.source, class_="under"),
        el("p", sentence(result, w), class_="sentence long"),
        [el("p", one, class_="warning") for one in states],
    )


def sentence(result: SearchResult, w: TuneWords) -> str:
    if w.language == "en":
        return say.sentence(result)
    if not result.search.test:
        return w("t_closed")
    arms = [arm.name for arm in result.search.arms]
    found = [
        (name, number(result.test(name, UNTUNED)), number(result.test(name, TUNED)))
        for name in arms
    ]
    told = w("then").join(
        w("t_tests_said", arm=name, before=before, after=after) for name, before, after in found
    )
    return w("t_tests_metric", metric=result.search.score.label_in(w.language), said=told) + w(
        "t_few"
    )


def before_after(result: SearchResult, w: TuneWords) -> Html:
    """A row per arm and block."""
    search, many = result.search, len(result.blocks) > 1
    values = [
        el(
            "p",
            f"{' '.join([arm.name, block.name]).strip()}, {w('t_values')}: ",
            el("code", " ".join(arm.best.words) or w("t_as_it_is")),
        )
        for block in result.blocks
        for arm in block.arms
        if arm.best is not None
    ]
    columns: list[Child] = [
        w("t_arm"),
        *([w("t_block")] if many else []),
        w("t_validation"),
        w("t_best"),
        w("t_trial"),
    ]
    columns += [w("t_untuned"), w("t_tuned"), w("t_steps")]
    body: list[list[Child]] = []
    for block in result.blocks:
        for arm in block.arms:
            told = say.cells(search, arm)
            steps = f"{arm.steps.get(UNTUNED, '–')} → {arm.steps.get(TUNED, '–')}"
            body.append([arm.name, *([block.name] if many else []), *told, steps])
    return section(
        w("t_before_after"), note(w("t_before_after_note")), table(columns, body), values
    )


def block_sections(result: SearchResult, block: BlockResult, w: TuneWords) -> list[Html]:
    search = result.search
    named = f": {block.name}" if block.name else ""
    curve = best_of_n(search, block, w)
    pairs = list(zip(search.arms, block.arms, strict=True))
    mattered = [figure for _, arm in pairs if (figure := importance(arm, w))]
    crossed = [figure for asked, arm in pairs if (figure := parallel(search, asked, arm, w))]
    found = [
        section(f"{w('t_curve')}{named}", shown(curve, w)) if curve else Html(""),
        section(
            f"{w('t_importance')}{named}",
            note(mattered[0].note),
            [titled(one, w) for one in mattered],
        )
        if mattered
        else Html(""),
        section(
            f"{w('t_parallel')}{named}", note(crossed[0].note), [titled(one, w) for one in crossed]
        )
        if crossed
        else Html(""),
    ]
    for asked, arm in pairs:
        found.append(
            gallery(
                f"{w('t_slices')}: {arm.name}{named}",
                w("t_slices_note"),
                list(slices(search, asked, arm, w)),
                w,
            )
        )
    every = [
        el("details", el("summary", arm.name), table(*trials_table(search, asked, arm, w)))
        for asked, arm in pairs
    ]
    return [*found, section(f"{w('t_trials')}{named}", every)]


def titled(figure: Figure, w: TuneWords) -> Html:
    return el(
        "div",
        el("h3", figure.title),
        shown(Figure(figure.title, figure.picture, figure.label, figure.columns, figure.rows), w),
    )


def space(result: SearchResult, w: TuneWords) -> Html:
    body: list[list[Child]] = [
        [f"{arm.name}: {key}" if len(result.search.arms) > 1 else key, found, said(value)]
        for arm in result.search.arms
        for key, found, value in axes(arm.space, arm.baseline)
    ]
    return section(w("t_space"), table([w("key"), w("t_range"), w("t_as_it_is")], body, NO_NUMBERS))


def frozen(result: SearchResult, w: TuneWords) -> Html:
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
    looks = w("t_looks", count=result.looks) if search.test else w("t_closed")
    return section(
        w("t_frozen"),
        el("p", looks),
        table([w("key"), w("value")], body, NO_NUMBERS, class_="plain"),
    )


def commands(result: SearchResult, w: TuneWords) -> Html:
    lines = [*result.search.commands, say.next_line(result)]
    return section(w("commands"), el("pre", el("code", "\n".join(lines)), tabindex="0"))


def figures_of(result: SearchResult) -> dict[str, str]:
    """The pictures as SVG files of their own: file name -> text; of several blocks the last one's."""
    w, search, block = TuneWords("en"), result.search, result.blocks[-1]
    found: dict[str, Html] = {}
    if (curve := best_of_n(search, block, w)) is not None:
        found["best_of_n.svg"] = curve.picture
    for i, (asked, arm) in enumerate(zip(search.arms, block.arms, strict=True)):
        suffix = f"_{i}" if len(search.arms) > 1 else ""
        if (crossed := parallel(search, asked, arm, w)) is not None:
            found[f"parallel{suffix}.svg"] = crossed.picture
        for one in slices(search, asked, arm, w):
            found[f"slice{suffix}_{one.title}.svg"] = one.picture
    return {name: alone(picture) for name, picture in found.items()}


def alone(picture: Html) -> str:
    """A picture as a file: with the page's colours and a ground; a legend, which is no SVG, is left out."""
    style = files("upgate.report").joinpath("page.css").read_text(encoding="utf-8")
    svg = str(picture).partition("</svg>")[0] + "</svg>"
    ground = join(
        [
            el("style", Html(style)),
            el("rect", width="100%", height="100%", style="fill:var(--paper)"),
        ]
    )
    opened, _, rest = svg.partition(">")
    return f"{opened.replace('<svg', '<svg xmlns=' + chr(34) + 'http://www.w3.org/2000/svg' + chr(34), 1)}>{ground}{rest}\n"
