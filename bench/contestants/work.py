"""The work that every contestant of `bench/neighbours.py` does: an LSTM regression of the next
value from the 60 before it, so many epochs over the same windows, one thread, on the CPU.

A contestant is a script `NAME.py SERIES.npy EPOCHS`, in its library's environment. It prints one
JSON list: for each epoch wall seconds, CPU seconds and windows read.
"""

import json
import sys
import time

import numpy as np

WINDOW, HIDDEN, LAYERS, BATCH, RATE, MAX_NORM = 60, 64, 2, 64, 1e-3, 1.0


def asked() -> tuple[np.ndarray, int]:
    """The series, float32 (n,), and the number of epochs."""
    return np.load(sys.argv[1]), int(sys.argv[2])


def make_windows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n - WINDOW, WINDOW, 1) and the value after each, (n - WINDOW, 1)."""
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], WINDOW)
    return np.ascontiguousarray(windows)[..., None], series[WINDOW:, None].copy()


class Epochs:
    """Wall seconds, CPU seconds and windows of each epoch. Made when the training starts."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float, int]] = []
        self.since = time.perf_counter(), time.process_time()

    def end(self, windows: int) -> None:
        """An epoch over so many windows is done."""
        wall, processor = self.since
        self.since = time.perf_counter(), time.process_time()
        self.rows.append((self.since[0] - wall, self.since[1] - processor, windows))

    def print(self) -> None:
        print(json.dumps(self.rows))
