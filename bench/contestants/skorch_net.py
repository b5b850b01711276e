"""skorch: a scikit-learn estimator around the same module."""

import torch
from net import Net
from skorch import NeuralNetRegressor
from skorch.callbacks import Callback, GradientNormClipping
from work import BATCH, MAX_NORM, RATE, Epochs, asked, make_windows


class Clock(Callback):
    def __init__(self, windows: int) -> None:
        self.windows = windows

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.epochs = Epochs()

    def on_epoch_end(self, *_: object, **__: object) -> None:
        self.epochs.end(self.windows)


def main() -> None:
    series, epochs = asked()
    x, y = make_windows(series)
    clock = Clock(len(x))
    NeuralNetRegressor(
        Net,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        callbacks=[GradientNormClipping(MAX_NORM), clock],
        verbose=0,
    ).fit(x, y)
    clock.epochs.print()


if __name__ == "__main__":
    main()
