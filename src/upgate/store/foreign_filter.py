"""MLflow's filters, parsed and compared by MLflow, on rows that are read in bulk.

`search_runs` selects the runs in the database and then makes objects of all their values: 12 s of
processor for 20,000 runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from upgate.errors import UserError
from upgate.store.connect import first_line
from upgate.store.record import NAME
from upgate.store.texts import say

KINDS = {"parameter": "params", "tag": "tags", "metric": "metrics"}
NAME_TAG = f"tags.{NAME}"  # where MLflow looks up a run's name
DATA_SET = "dataset"
NULLS = {"IS NULL": True, "IS NOT NULL": False}


@dataclass(frozen=True)
class Clause:
    """One comparison. column: params.X, tags.X, metrics.X, or an attribute such as status."""

    kind: str
    column: str
    comparator: str
    value: Any


def read_filter(text: str) -> list[Clause]:
    """The clauses, all of which must hold. Raises UserError with MLflow's reason."""
    if not text:
        return []
    from mlflow.exceptions import MlflowException
    from mlflow.utils.search_utils import SearchUtils

    try:
        parsed = SearchUtils.parse_search_filter(text)  # type: ignore[no-untyped-call]
    except MlflowException as error:
        raise UserError(say("unreadable_filter", filter=text, cause=first_line(error))) from None
    return [_clause(one, SearchUtils.translate_key_alias) for one in parsed]


def _clause(parsed: dict[str, Any], alias: Callable[[str], str]) -> Clause:
    kind, key = parsed["type"], alias(parsed["key"])
    comparator, value = parsed["comparator"].upper(), parsed["value"]
    if kind in KINDS:
        value = float(value) if kind == "metric" else value
        return Clause(kind, f"{KINDS[kind]}.{key}", comparator, value)
    if key in ("start_time", "end_time"):
        value = int(value)
    return Clause(kind, NAME_TAG if key == "run_name" else key, comparator, value)


def names_data_sets(clauses: Sequence[Clause]) -> bool:
    return any(clause.kind == DATA_SET for clause in clauses)


def matching(runs: pd.DataFrame, clauses: Sequence[Clause]) -> NDArray[np.bool_]:
    """Which rows all clauses hold for. A run without a value matches no comparison."""
    from mlflow.utils.search_utils import SearchUtils

    keep = np.ones(len(runs), bool)
    for clause in clauses:
        values = runs[clause.column].tolist()
        if clause.comparator in NULLS:
            null = NULLS[clause.comparator]
            keep &= [(value is None) == null for value in values]
            continue
        sign = clause.comparator
        compare = SearchUtils.get_comparison_func(sign)  # type: ignore[no-untyped-call]
        keep &= [value is not None and bool(compare(value, clause.value)) for value in values]
    return keep
