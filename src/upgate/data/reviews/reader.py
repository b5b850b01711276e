"""Any file, archive or folder of reviews -> `Reviews`: csv, tsv or txt, each plain or gzipped, parquet, tar, zip, pos/neg folders."""

import csv
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa

from upgate.data.reviews.formats import (
    SPLITS,
    clean_text,
    find_columns,
    find_form,
    find_rows,
    guess_columns,
    width_of,
)
from upgate.data.reviews.table import Reviews, clean
from upgate.errors import UserError, did_you_mean

TABLES = (
    ".csv",
    ".tsv",
    ".txt",
    ".csv.gz",
    ".tsv.gz",
    ".txt.gz",
    ".parquet",
)  # in a folder; a single file may have any name
FAULT = "\0"  # the column that says what is wrong with a row: no other can be called so
HINT = "put texts with separators or line breaks in quotes"
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # Excel's "Unicode text"
UNREADABLE = (
    *(OSError, EOFError, UnicodeDecodeError, zlib.error, pa.ArrowException),
    *(
        csv.Error,
        tarfile.TarError,
        zipfile.BadZipFile,
        RuntimeError,
    ),  # the last for a zip with a password
)

Members = dict[
    str, Callable[[], bytes]
]  # the files of a folder or an archive, by path; each is read when called


def read_reviews(
    path: str | Path, *, text: object = None, label: object = None, bad: str = "refuse"
) -> Reviews:
    """Read a file, an archive or a folder; `text` and `label` name the columns where no usual name tells.

    A folder or archive holds either files named train, dev, test (the official split), or one folder of .txt files per class,
    perhaps below train and test. A table without a header has its label first or last. Files are UTF-8, GB18030, UTF-16 or
    Windows-1252. What is missing, unreadable or unlabelled raises `UserError`; rows are checked as `reviews.clean` says.
    """
    path = Path(path)
    return clean(_guarded(path, text, label, read_labelled), where=str(path), bad=bad)


def read_texts(path: str | Path, *, text: object = None) -> list[str]:
    """Return the texts of a table of any such form, labels ignored, or else the lines of a file; cleaned, without empty ones."""
    path = Path(path)
    frame = _guarded(path, text, None, read_unlabelled)
    texts = [cleaned for raw in frame["text"].dropna().astype(str) if (cleaned := clean_text(raw))]
    if not texts:
        raise UserError(f"{path} holds no text")
    return texts


def _guarded(
    path: Path, text: object, label: object, read: Callable[[Path, object, object], pd.DataFrame]
) -> pd.DataFrame:
    if not path.exists():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(
            f"there is no file {path}" + (did_you_mean(path.name, beside) if beside else "")
        )
    try:
        return read(path, text, label)
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"{path} cannot be read as csv, parquet or an archive of these: {reason}"
        ) from error


def read_labelled(path: Path, text: object, label: object) -> pd.DataFrame:
    """Return raw columns text, label, split and fault; a file of a split that has no labels gets missing ones."""
    frames = {}
    for name, split, content in list_parts(path):
        where = f"{path}, {name}" if name else str(path)
        frame = (
            content
            if isinstance(content, pd.DataFrame)
            else read_content(content, where, text, label)
        )
        if "text" not in frame:
            raise UserError(
                f"{where} has no column of texts, only {_shown(frame)}; name it with data.text=..."
            )
        frames[name] = frame if split is None else frame.assign(split=split)
    if not any("label" in frame for frame in frames.values()):
        frame = next(iter(frames.values()))
        raise UserError(
            f"{path} has no labels, only {_shown(frame)}; name their column with data.label=..., or use it for prediction only"
        )
    keep = ["text", "label", "split", "fault"]
    frames = {name: frame.reindex(columns=keep).astype(object) for name, frame in frames.items()}
    return next(iter(frames.values())) if len(frames) == 1 else pd.concat(frames)


def read_unlabelled(path: Path, text: object, _: object) -> pd.DataFrame:
    """Return a column text: of a table, or of the lines of a file that is none."""
    frames = []
    for name, _split, content in list_parts(path):
        where = f"{path}, {name}" if name else str(path)
        frame = (
            content
            if isinstance(content, pd.DataFrame)
            else read_content(content, where, text, None)
        )
        if "text" not in frame:
            raise UserError(
                f"{where} has no column of texts, only {_shown(frame)}; name it with text=..."
            )
        wrong = frame[frame["fault"] != ""] if "fault" in frame else frame[:0]
        if len(wrong):
            raise UserError(f"{where}, row {wrong.index[0]}: {wrong['fault'].iloc[0]}")
        frames.append(frame)
    return pd.concat(frames)


def _shown(frame: pd.DataFrame) -> str:
    return ", ".join(repr(str(name)[:30]) for name in frame.attrs.get("names", frame.columns)[:12])


# ---- folders and archives


def list_parts(path: Path) -> Iterator[tuple[str, str | None, bytes | pd.DataFrame]]:
    """Give (name, split, content) of each table; class folders come as one frame. A single file has no name and no split."""
    members = open_members(path)
    if members is None:
        yield "", None, path.read_bytes()
        return
    classes = class_folders(members)
    if classes:
        yield "", None, read_folders(members, classes)
        return
    tables = {name: split_of(name) for name in members if name.lower().endswith(TABLES)}
    chosen = {name: split for name, split in tables.items() if split} or tables
    if not chosen:
        raise UserError(
            f"{path} holds no table ({', '.join(TABLES)}) and no two folders of .txt files, one per class"
        )
    if len(chosen) > 1 and None in chosen.values():
        raise UserError(
            f"{path} holds {len(chosen)} tables ({', '.join(list(chosen)[:5])}), none named train, dev or test; choose one by data.path"
        )
    for name, split in chosen.items():
        yield name if len(chosen) > 1 else "", split, members[name]()


def open_members(path: Path) -> Members | None:
    """Return the files of a folder, tar or zip, in natural order, hidden ones left out; None for any other file."""
    if path.is_dir():
        found: Members = {
            file.relative_to(path).as_posix(): file.read_bytes
            for file in path.rglob("*")
            if file.is_file()
        }
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found = {
                name: partial(bytes, archive.read(name))
                for name in archive.namelist()
                if not name.endswith("/")
            }
    elif tarfile.is_tarfile(path):
        with tarfile.open(
            path
        ) as tar:  # in one go: seeking in a compressed file begins anew each time
            files = ((item.name.removeprefix("./"), tar.extractfile(item)) for item in tar)
            found = {name: partial(bytes, file.read()) for name, file in files if file}
    else:
        return None
    seen = {
        name
        for name in found
        if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    }
    return {name: found[name] for name in sorted(seen, key=_natural)}


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order 2_7.txt before 10_3.txt, as their numbers say."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]


def split_of(name: str) -> str | None:
    """Return the split that a path names: in its file name (dev.tsv, test-00000-of-00001.parquet), or else in its folder's."""
    for part in reversed(PurePosixPath(name).parts):
        words = [SPLITS[word] for word in re.split(r"[\W_]+", part.casefold()) if word in SPLITS]
        if words:
            return words[0]
    return None


def class_folders(members: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the folders of .txt files that are classes: folder -> (class, split or ""); none if there are less than two classes."""
    texts = [
        PurePosixPath(name) for name in members if "/" in name and name.lower().endswith(".txt")
    ]
    folders = {str(text.parent) for text in texts if not split_of(text.name)}
    found = {}
    for folder in folders:
        *above, word = PurePosixPath(folder).parts
        if word.casefold() in SPLITS and SPLITS[word.casefold()] != "unlabelled":
            continue
        found[folder] = (
            word,
            next(
                (SPLITS[part.casefold()] for part in reversed(above) if part.casefold() in SPLITS),
                "",
            ),
        )
    classes = {word for word, _ in found.values() if word.casefold() not in SPLITS}
    return found if len(classes) > 1 else {}


def read_folders(members: Members, classes: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """Return a row per .txt file of the class folders; those of an unlabelled folder are not read, only counted."""
    rows = {}
    for name, read in members.items():
        folder = str(PurePosixPath(name).parent)
        if folder in classes and name.lower().endswith(".txt"):
            word, split = classes[folder]
            labelled = word.casefold() not in SPLITS
            rows[name] = (
                (decode(read(), name), word, split or None)
                if labelled
                else (None, None, "unlabelled")
            )
    return pd.DataFrame.from_dict(rows, orient="index", columns=["text", "label", "split"])


# ---- one file


def read_content(content: bytes, where: str, text: object, label: object) -> pd.DataFrame:
    """Return a table's columns text, label, split as far as it has them, and fault; rows named by their number in the file."""
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content.startswith(b"PAR1"):
        frame = pd.read_parquet(io.BytesIO(content))
        return named(frame.set_axis(pd.RangeIndex(1, len(frame) + 1)), where, text, label)
    if not content.strip():
        raise UserError(f"{where} is empty")
    if b"\0" in content[:4096] and not content.startswith(UTF16):
        raise UserError(f"{where} is neither text nor parquet; save it as csv")
    string = decode(content, where).replace("\r\n", "\n")
    if re.match(r'\s*[\[{]\s*["{]', string):
        raise UserError(f"{where} is json; save it as csv or parquet")
    return read_table(string.replace("\r", " " if "\n" in string else "\n"), where, text, label)


def decode(content: bytes, where: str) -> str:
    """Decode by evidence: Chinese bytes come in long runs above 127, accents of Windows-1252 one at a time."""
    if content.startswith(UTF16):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        runs = re.findall(rb"[\x80-\xff]+", content)
        wrong = len(content) - len(content.decode("utf-8", "ignore").encode())
        if wrong < sum(map(len, runs)) / 4:
            line = content.count(b"\n", 0, error.start) + 1
            raise UserError(
                f"{where}, line {line}: byte {content[error.start]:#x} is no UTF-8, though the rest is; mend the line"
            ) from error
        alone = sum(len(run) == 1 for run in runs)
        return content.decode(
            "latin-1" if alone > len(runs) / 2 else "gb18030"
        )  # `clean_text` makes Windows-1252 of Latin-1


def named(frame: pd.DataFrame, where: str, text: object, label: object) -> pd.DataFrame:
    """Keep the columns text, label and split, so named, and the fault."""
    cells = frame.drop(columns=FAULT, errors="ignore")
    places = find_columns(cells.columns, where, text, label)
    kept = cells.iloc[:, list(places.values())].set_axis(list(places), axis=1)
    kept.attrs["names"] = list(cells.columns)
    return kept.assign(fault=frame[FAULT]) if FAULT in frame else kept


def read_table(content: str, where: str, text: object, label: object) -> pd.DataFrame:
    """Parse text with a header, or with a label at an end of its lines; else every line is a text."""
    form = find_form(content, (text, label))
    if form is None:
        lines = pd.Series(content.split("\n"), dtype=object)
        frame = lines[lines.str.strip() != ""].to_frame("text")
        frame.attrs["names"] = [frame["text"].iloc[0]]
        return frame
    rows = find_rows(content, form)
    width = width_of(rows, form)
    faults = [
        f"it has {n} cells, not {width}: {HINT}" if (n := len(cells)) != width else ""
        for _, cells in rows
    ]
    names = (
        [name.strip(' "') for name in rows[0][1]]
        if form.header
        else [str(place) for place in range(width)]
    )
    table = [(cells + [""] * width)[:width] for _, cells in rows]
    frame = pd.DataFrame(table, index=[line for line, _ in rows], columns=names, dtype=object)
    frame = frame.assign(**{FAULT: faults}).iloc[int(form.header) :]
    if not form.header:
        guess = guess_columns(frame.drop(columns=FAULT))
        text, label = (
            guess["text"] if text is None else text,
            guess.get("label") if label is None else label,
        )
    return named(frame, where, text, label)
