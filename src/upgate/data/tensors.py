"""A fold of sequences that fit in memory as one tensor."""

from collections.abc import Mapping

from torch import Tensor

from upgate.data.datamodule import FoldDataModule
from upgate.data.loader import DeterministicLoader


class TensorDataModule(FoldDataModule):
    """Batches {"x": (B, T, F) float32, "y": (B, ...)} of x, (n, T, F), and y, (n, ...).

    `rows`: the rows of the parts train, validation and test, (n_part,) int64 each.
    """

    def __init__(self, x: Tensor, y: Tensor, rows: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.x, self.y, self.rows = x, y, dict(rows)

    def take(self, rows: Tensor) -> dict[str, Tensor]:
        return {"x": self.x.index_select(0, rows), "y": self.y.index_select(0, rows)}

    def labels(self, part: str) -> Tensor:
        return self.y[self.rows[part]]

    def batches(self, part: str, batch_size: int, seed: int | None) -> DeterministicLoader:
        return DeterministicLoader(self.take, self.rows[part], batch_size, seed)

    @property
    def sizes(self) -> dict[str, int]:
        return {part: len(rows) for part, rows in self.rows.items()}
