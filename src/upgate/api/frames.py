"""Data frames as files, so that runs on them are stored, resumed and predicted as any others."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from upgate.config.compose import compose
from upgate.config.keywords import Part, keyword_overrides
from upgate.config.values import Value
from upgate.data.prices.sources import UNNAMED, with_days
from upgate.errors import UserError
from upgate.files import write_atomic
from upgate.tasks.registry import get_task

# A frame, the path of a file or folder, or a choice of `conf/data/` with its keys:
# {"name": "imdb", "subset": 6000}. None is the task's own default.
Data: TypeAlias = "pd.DataFrame | Path | str | Mapping[str, Value] | None"


def data_words(data: Data, task: Part | None, root: Path) -> list[str]:
    """The overrides that name these data. A frame becomes a file below `root`."""
    if data is None:
        return []
    if isinstance(data, Mapping):
        return keyword_overrides({"data": data})
    name = compose(keyword_overrides({"task": task}))["task"]["name"]
    choice = get_task(name).files
    if not choice:
        raise UserError(f"task={name} reads no files of its own; name its data by data={{...}}")
    path = write_frame(data, root) if isinstance(data, pd.DataFrame) else Path(data).absolute()
    return keyword_overrides({"data": {"name": choice, "path": path}})


def write_frame(frame: pd.DataFrame, root: Path) -> Path:
    """The frame as parquet in a folder named after its content. Raises UserError."""
    frame = with_days(frame)
    try:
        content = frame.to_parquet(None, index=False)
    except (ValueError, TypeError, OSError) as error:  # of pyarrow too
        reason = " ".join(str(error).split())
        raise UserError(f"the data frame cannot be stored as a table: {reason}") from None
    folder = root.expanduser().absolute() / "frames" / hashlib.sha256(content).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{UNNAMED}.parquet"
    write_atomic(path, lambda file: file.write(content))
    return path


def write_texts(texts: str | Sequence[str] | pd.DataFrame, folder: Path) -> Path:
    """Texts to label as a file."""
    listed = [texts] if isinstance(texts, str) else texts
    frame = listed if isinstance(listed, pd.DataFrame) else pd.DataFrame({"text": list(listed)})
    path = folder / "texts.parquet"
    frame.to_parquet(path, index=False)
    return path


def option_words(prefix: str, options: Mapping[str, Any]) -> list[str]:
    """`prefix.key=value` for each option that is given."""
    return keyword_overrides({f"{prefix}.{key}": value for key, value in options.items()})
