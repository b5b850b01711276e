"""Any file, archive or folder of reviews -> `Reviews`.

csv, tsv or txt, each plain or gzipped, parquet, feather, tar, zip, folders such as pos and neg.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from upgate import arrow
from upgate.data.archives import LARGEST, Members, open_archive, read_bounded
from upgate.data.contents import (
    TEXTS,
    UNREADABLE,
    check_exists,
    check_links,
    open_content,
    plain_cells,
)
from upgate.data.encodings import decode
from upgate.data.json_records import is_json, read_json_records
from upgate.data.reviews.formats import (
    SPLITS,
    Form,
    Rows,
    clean_text,
    find_form,
    find_review_columns,
    find_rows,
    guess_columns,
    labels_in_front,
    row_width,
)
from upgate.data.reviews.table import Reviews, clean_reviews
from upgate.data.texts import say
from upgate.errors import UserError
from upgate.messages import Message

# What is read in a folder; a single file may have any name.
TABLES = (*TEXTS, *(f"{text}.gz" for text in TEXTS), ".parquet", *arrow.SUFFIXES)
NOTES = ("dataset_dict.json", "dataset_info.json", "state.json")  # beside .arrow, of datasets
FAULT = "\0"  # the column that says what is wrong with a row: no other can have this name


def read_reviews(
    path: str | Path, *, text: object = None, label: object = None, bad: str = "refuse"
) -> Reviews:
    """Read a file, an archive or a folder; `text` and `label` name columns of unusual names.

    A folder or archive holds either files named train, dev, test (the official split), or one
    folder of .txt files per class, perhaps below train and test. A table without a header has its
    label first or last. What is missing,
    unreadable or unlabelled raises UserError; rows are checked as `clean_reviews` says.
    """
    path = Path(path).expanduser()
    return clean_reviews(_guarded(path, text, label, read_labelled), where=str(path), bad=bad)


def read_texts(path: str | Path, *, text: object = None) -> list[str]:
    """The texts of a table of any such form, or else the lines of a file.

    Cleaned, without empty ones; labels are ignored.
    """
    path = Path(path).expanduser()
    frame = _guarded(path, text, None, read_unlabelled)
    cleaned = map(clean_text, frame["text"].dropna().astype(str))
    texts = [text for text in cleaned if text]
    if not texts:
        raise UserError(say("no_text", path=str(path)))
    return texts


def _guarded(
    path: Path, text: object, label: object, read: Callable[[Path, object, object], pd.DataFrame]
) -> pd.DataFrame:
    check_exists(path)
    try:
        return read(path, text, label)
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(say("unreadable_reviews", path=str(path), reason=reason)) from error


def read_labelled(path: Path, text: object, label: object) -> pd.DataFrame:
    """Raw columns text, label, split and fault; a split without labels gets missing ones."""
    frames = {}
    for name, split, content in list_parts(path):
        where = f"{path}, {name}" if name else str(path)
        frame = to_frame(content, where, text, label)
        if "text" not in frame:
            ask = "" if "label" in frame else say("and_name_labels")
            raise UserError(say("no_text_column", where=where, names=_names(frame), more=ask))
        frames[name] = frame if split is None else frame.assign(split=split)
    if not any("label" in frame for frame in frames.values()):
        frame = next(iter(frames.values()))
        raise UserError(say("no_labels", path=str(path), names=_names(frame)))
    keep = ["text", "label", "split", "fault"]
    frames = {name: frame.reindex(columns=keep).astype(object) for name, frame in frames.items()}
    return next(iter(frames.values())) if len(frames) == 1 else pd.concat(frames)


def read_unlabelled(path: Path, text: object, _: object) -> pd.DataFrame:
    """A column text: of a table, or of the lines of a file that is none."""
    frames = []
    for name, _split, content in list_parts(path):
        where = f"{path}, {name}" if name else str(path)
        frame = to_frame(content, where, text, None)
        if "text" not in frame:
            raise UserError(say("no_text_column_here", where=where, names=_names(frame)))
        wrong = frame[frame["fault"] != ""] if "fault" in frame else frame[:0]
        if len(wrong):
            raise UserError(
                say("at_row", where=where, row=str(wrong.index[0]), fault=wrong["fault"].iloc[0])
            )
        frames.append(frame)
    return pd.concat(frames)


def to_frame(
    content: bytes | pd.DataFrame, where: str, text: object, label: object
) -> pd.DataFrame:
    """The table of a part, parsed unless it is one."""
    if isinstance(content, pd.DataFrame):
        return content
    return read_content(content, where, text, label)


def _names(frame: pd.DataFrame) -> str:
    names = frame.attrs.get("names", frame.columns)[:12]
    return ", ".join(repr(str(name)[:30]) for name in names)


# ---- folders and archives


def list_parts(path: Path) -> Iterator[tuple[str, str | None, bytes | pd.DataFrame]]:
    """(name, split, content) of each table; class folders come as one frame.

    A single file has no name and no split. Raises UserError for a folder without tables.
    """
    members = open_members(path)
    if members is None:
        with path.open("rb") as file:
            yield "", None, read_bounded(file, LARGEST, str(path))
        return
    classes = class_folders(members)
    if classes:
        yield "", None, read_folders(members, classes)
        return
    tables = {name: split_of(name) for name in members if name.lower().endswith(TABLES)}
    chosen = {name: split for name, split in tables.items() if split} or tables
    _check_tables(path, chosen)
    for name, split in chosen.items():
        yield name if len(chosen) > 1 else "", split, members[name]()


def _check_tables(path: Path, chosen: Mapping[str, str | None]) -> None:
    """Raise UserError where there is no table, or several that no name tells apart."""
    if not chosen:
        raise UserError(say("no_review_table", path=str(path), known=", ".join(TABLES)))
    if len(chosen) > 1 and None in chosen.values():
        raise UserError(
            say(
                "several_tables",
                path=str(path),
                count=len(chosen),
                names=", ".join(list(chosen)[:5]),
            )
        )


def open_members(path: Path) -> Members | None:
    """The files of a folder, tar or zip in natural order, without hidden ones; None for others."""
    members = _folder_members(path) if path.is_dir() else open_archive(path)
    if members is None:
        return None
    visible = [name for name in members if not _is_hidden(name)]
    if any(name.endswith(".arrow") for name in visible):
        visible = [name for name in visible if PurePosixPath(name).name not in NOTES]
    return {name: members[name] for name in sorted(visible, key=_natural)}


def _folder_members(path: Path) -> Members:
    check_links(paths := list(path.rglob("*")))
    files = [file for file in paths if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes for file in files}


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order 2_7.txt before 10_3.txt, as their numbers say."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]


def split_of(name: str) -> str | None:
    """The split that a path names, in its file name or else in a folder's name.

    Such as dev.tsv, test-00000-of-00001.parquet.
    """
    for part in reversed(PurePosixPath(name).parts):
        words = [SPLITS[word] for word in re.split(r"[\W_]+", part.casefold()) if word in SPLITS]
        if words:
            return words[0]
    return None


def class_folders(members: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The folders of .txt files that are classes: folder -> (class, split or "").

    None of them if there are fewer than two classes.
    """
    folders = {}
    for folder in _text_folders(members):
        *above, name = PurePosixPath(folder).parts
        if SPLITS.get(name.casefold(), "unlabelled") != "unlabelled":
            continue
        splits = [SPLITS[part.casefold()] for part in above if part.casefold() in SPLITS]
        folders[folder] = (name, splits[-1] if splits else "")
    classes = {name for name, _ in folders.values() if name.casefold() not in SPLITS}
    return folders if len(classes) > 1 else {}


def _text_folders(members: Iterable[str]) -> set[str]:
    """The folders that hold .txt files, but for files that are named as a split."""
    paths = [PurePosixPath(name) for name in members if name.lower().endswith(".txt")]
    nested = [path for path in paths if len(path.parts) > 1]
    return {str(path.parent) for path in nested if not split_of(path.name)}


def read_folders(members: Members, classes: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """A row per .txt file of the class folders; unlabelled ones are counted, not read."""
    rows = {}
    for name, read in members.items():
        folder = str(PurePosixPath(name).parent)
        if folder in classes and name.lower().endswith(".txt"):
            label, split = classes[folder]
            row: tuple[str | None, ...] = (None, None, "unlabelled")
            if label.casefold() not in SPLITS:
                row = (decode(read(), name), label, split or None)
            rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index", columns=["text", "label", "split"])


# ---- one file


def read_content(content: bytes, where: str, text: object, label: object) -> pd.DataFrame:
    """A table's columns text, label, split as far as it has them, and fault.

    Rows are named by their number in the file. Raises UserError.
    """
    opened = open_content(content, where)
    if isinstance(opened, pd.DataFrame):
        frame = opened.set_axis(pd.RangeIndex(1, len(opened) + 1))
        return select_columns(frame, where, text, label)
    string = opened.replace("\r\n", "\n")
    if is_json(string):
        return select_columns(read_json_records(string, where), where, text, label)
    return read_table(string.replace("\r", " " if "\n" in string else "\n"), where, text, label)


def select_columns(frame: pd.DataFrame, where: str, text: object, label: object) -> pd.DataFrame:
    """The columns text, label and split, under these names, and the fault."""
    cells = frame.drop(columns=FAULT, errors="ignore")
    positions = find_review_columns(cells.columns, where, text, label)
    kept = cells.iloc[:, list(positions.values())].set_axis(list(positions), axis=1)
    _check_twins(cells, positions, where)
    kept = kept.apply(lambda column: plain_cells(column, where))
    kept.attrs["names"] = list(cells.columns)
    return kept.assign(fault=frame[FAULT]) if FAULT in frame else kept


def _check_twins(cells: pd.DataFrame, positions: Mapping[str, int], where: str) -> None:
    """Raise UserError where two columns of one name differ: nothing says which is meant."""
    names = [str(name).strip() for name in cells.columns]
    for chosen in positions.values():
        for i, name in enumerate(names):
            if name == names[chosen] and not cells.iloc[:, i].equals(cells.iloc[:, chosen]):
                raise UserError(say("two_columns", where=where, name=name[:30]))


def read_table(content: str, where: str, text: object, label: object) -> pd.DataFrame:
    """Parse a table with a header, or with a label at an end of its lines; else lines are texts."""
    form = find_form(content, (text, label))
    if form is None and (labelled := labels_in_front(content)):
        frame = pd.DataFrame(labelled, columns=["line", "label", "text"], dtype=object)
        return frame.set_index("line")
    if form is None:
        lines = pd.Series(content.split("\n"), dtype=object)
        frame = lines[lines.str.strip() != ""].to_frame("text")
        frame.attrs["names"] = [frame["text"].iloc[0]]
        return frame
    rows = find_rows(content, form)
    frame = frame_rows(rows, form)
    if not form.header:
        guess = guess_columns(frame.drop(columns=FAULT))
        text = guess["text"] if text is None else text
        label = guess.get("label") if label is None else label
    return select_columns(frame, where, text, label)


def frame_rows(rows: Rows, form: Form) -> pd.DataFrame:
    """The rows as a table whose index are their lines; a row of another width has a fault."""
    width = row_width(rows, form)
    names = [str(position) for position in range(width)]
    if form.header:
        names = [name.strip(' "') for name in rows[0][1]]
    lines, table, faults = [], [], []
    for line, cells in rows:
        lines.append(line)
        table.append((cells + [""] * width)[:width])
        faults.append("" if len(cells) == width else _other_width(len(cells), width))
    frame = pd.DataFrame(table, index=lines, columns=names, dtype=object)
    fault = pd.Series(faults, index=lines, dtype=object)  # object keeps their translations
    return frame.assign(**{FAULT: fault}).iloc[int(form.header) :]


def _other_width(cells: int, width: int) -> Message:
    return say("other_width", cells=cells, width=width, hint=say("quote_texts"))
