"""neuralforecast: its LSTM, as many steps of as many windows as the others' epochs have.

It draws the windows of a step from its series anew, so an epoch is counted in steps.
"""

import math

import lightning.pytorch as pl
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.models import LSTM
from work import BATCH, HIDDEN, LAYERS, MAX_NORM, RATE, WINDOW, Epochs, asked


class Clock(pl.Callback):
    """An epoch is over after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_start(self, *_: object) -> None:
        self.epochs = Epochs()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step % self.steps == 0:
            self.epochs.end(self.steps * BATCH)

    def on_train_end(self, *_: object) -> None:  # here, for it trains a copy of the model
        self.epochs.print()


def main() -> None:
    torch.set_num_threads(1)
    series, epochs = asked()
    steps = math.ceil((len(series) - WINDOW) / BATCH)
    model = LSTM(
        h=1,
        input_size=WINDOW,
        encoder_n_layers=LAYERS,
        encoder_hidden_size=HIDDEN,
        encoder_dropout=0.0,
        decoder_layers=1,
        decoder_hidden_size=HIDDEN,
        batch_size=1,
        windows_batch_size=BATCH,
        max_steps=steps * epochs,
        learning_rate=RATE,
        gradient_clip_val=MAX_NORM,
        accelerator="cpu",
        callbacks=[Clock(steps)],
    )
    days = pd.date_range("2000-01-01", periods=len(series))
    frame = pd.DataFrame({"unique_id": "series", "ds": days, "y": series})
    NeuralForecast([model], freq="D").fit(frame)


if __name__ == "__main__":
    main()
