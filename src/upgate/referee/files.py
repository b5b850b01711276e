"""Tables in files: csv, tsv, parquet, feather, and the json of `mlflow.log_table`."""

import json
from pathlib import Path

import pandas as pd

from upgate.arrow import SUFFIXES as ARROW
from upgate.arrow import read_arrow
from upgate.errors import UserError
from upgate.referee.texts import say

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": ","}
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq", ".json", *ARROW)


def read_score_file(path: Path, shown: str) -> pd.DataFrame:
    """A table. shown: the file's name in what is raised, UserError where it cannot be read."""
    kind = Path(path.name.removesuffix(".gz")).suffix.lower()
    if kind not in (*SEPARATORS, *ARROW, ".parquet", ".pq", ".json"):
        raise UserError(say("no_table", shown=shown))
    try:
        if kind in SEPARATORS:
            return pd.read_csv(path, sep=SEPARATORS[kind], encoding="utf-8-sig")
        if kind in ARROW:
            return read_arrow(path.read_bytes())
        return _read_json(path) if kind == ".json" else pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pandas' own errors of a broken file are ValueErrors
        raise UserError(say("unreadable", shown=shown, cause=str(error).splitlines()[0])) from None


def _read_json(path: Path) -> pd.DataFrame:
    """columns and data, as `mlflow.log_table` writes them. Raises ValueError for another form."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not {"columns", "data"} <= set(found):
        raise ValueError("it is not a table of columns and data")
    return pd.DataFrame(found["data"], columns=found["columns"])
