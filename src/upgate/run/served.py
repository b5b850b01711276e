"""The loader of models in MLflow's registry: their files name this module, and keep its name.

A model predicts as `upgate predict` does; all that it needs is in the checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from upgate.run.checkpoint import open_checkpoint


class Served:
    """What MLflow calls."""

    def __init__(self, path: Path) -> None:
        self.task, self.checkpoint = open_checkpoint(path)

    def predict(
        self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """The predictions for a frame, a row each. Raises UserError."""
        return self.task.predict_frame(model_input, self.checkpoint, params or {})


def _load_pyfunc(path: str) -> Served:
    return Served(Path(path))
