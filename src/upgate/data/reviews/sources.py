"""A choice of `conf/data/` -> `Reviews`. The keys of a source are its function's parameters."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd

from upgate.config.schema import NonNegativeInt, PositiveInt, Range, build
from upgate.config.values import Section
from upgate.data.prices.snapshot import save_snapshot, verified
from upgate.data.reviews.reader import read_reviews
from upgate.data.reviews.table import Reviews, clean_reviews, draw_train
from upgate.data.texts import say
from upgate.errors import UserError, did_you_mean

Bad = Literal["refuse", "drop"]
Language = Literal["english", "chinese", "both"]
Noise = Annotated[float, Range("between 0 and 0.5", {"minimum": 0, "maximum": 0.5})]
Column = str | int | None  # a table without a header has columns 0, 1, ...

# Their places on the Hugging Face hub and the splits that have labels.
HUB = {
    "imdb": ("stanfordnlp/imdb", ("train", "test")),
    "sst2": ("stanfordnlp/sst2", ("train", "validation")),
}


def load_reviews(config: Section) -> Reviews:
    """The reviews of a configuration with the keys of `conf/data/<source>.yaml`."""
    source = config["source"]
    if source not in SOURCES:
        raise UserError(say("no_review_source", source=source, hint=did_you_mean(source, SOURCES)))
    values = {key: value for key, value in config.items() if key != "source"}
    return build(SOURCES[source], values, "data")


def to_reviews(reviews: Reviews | pd.DataFrame | Path | str | None, default: Section) -> Reviews:
    """The reviews that Python gives: a frame, a file or folder; None: those of the default choice.

    A frame has the columns text and label, and may have the official parts in a column split.
    """
    if reviews is None:
        return load_reviews(default)
    if isinstance(reviews, pd.DataFrame):
        for name in ("text", "label"):
            if name not in reviews:
                raise UserError(
                    say(
                        "frame_without_column",
                        name=name,
                        hint=did_you_mean(name, map(str, reviews)),
                    )
                )
        return clean_reviews(reviews, where="the data frame")
    return reviews if isinstance(reviews, Reviews) else load_texts(str(reviews))


def load_texts(
    path: str | None = None, text: Column = None, label: Column = None, bad: Bad = "refuse"
) -> Reviews:
    """The reviews of the user's file, archive or folder."""
    if path in (None, "", "???"):
        raise UserError(say("texts_need_path"))
    return read_reviews(str(path), text=text, label=label, bad=bad)


def load_generated(
    language: Language, train: PositiveInt, test: PositiveInt, noise: Noise, seed: NonNegativeInt
) -> Reviews:
    """The reviews of a grammar, whose modules nothing else needs."""
    from upgate.data.reviews.generator import generate

    return generate(language, train, test, noise, seed)


def load_imdb(
    path: str | None = None,
    folder: str = "data",
    refresh: bool = False,
    subset: PositiveInt | None = None,
    bad: Bad = "refuse",
) -> Reviews:
    """IMDb's 25,000 training and 25,000 test reviews.

    subset: so many of the training ones, the same for everybody.
    """
    reviews = load_known("imdb", path, folder, refresh, bad)
    return reviews if subset is None else draw_train(reviews, subset)


def load_sst2(
    path: str | None = None, folder: str = "data", refresh: bool = False, bad: Bad = "refuse"
) -> Reviews:
    """SST-2 as GLUE has it: phrases to train on, sentences for validation, no labelled test."""
    return load_known("sst2", path, folder, refresh, bad)


def load_known(name: str, path: str | None, folder: str, refresh: bool, bad: str) -> Reviews:
    """Read the user's copy, else the snapshot in `folder`, <name>.parquet there, or download.

    Nothing is downloaded twice, unless with `refresh`. No answer, or a snapshot that was altered,
    raise UserError.
    """
    if path:
        if refresh:
            raise UserError(say("refresh_or_path", name=name, path=path))
        return read_reviews(path, bad=bad)
    place = Path(folder).expanduser()
    note, copy = place / f"{name}.json", place / f"{name}.parquet"
    if copy.exists() and not (refresh or note.exists()):
        return read_reviews(copy, bad=bad)
    if refresh or not note.exists():
        save_snapshot(download_reviews(name), note, {"dataset": HUB[name][0]})
    snapshot, day = verified(note)
    source = f"{HUB[name][0]}, downloaded on {day} ({snapshot})"
    return replace(read_reviews(snapshot, bad=bad), source=source)


def download_reviews(name: str) -> pd.DataFrame:
    """The rows of all splits that have labels, as the hub has them, and a column split."""
    place, splits = HUB[name]
    other = say("copy_or_generated")
    if find_spec("datasets") is None:
        raise UserError(say("datasets_missing", name=name, other=other))
    import datasets  # 1.2 s

    try:
        answer = datasets.load_dataset(place)
        frames = [answer[split].to_pandas().assign(split=split) for split in splits]
        return pd.concat(frames, ignore_index=True)
    except Exception as error:  # of network, hub and cache: they share no base class
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise UserError(say("cannot_download", place=place, reason=reason, other=other)) from error


SOURCES: dict[str, Callable[..., Reviews]] = {
    "reviews": load_generated,
    "imdb": load_imdb,
    "sst2": load_sst2,
    "texts": load_texts,
}
