"""Keras on the backend that KERAS_BACKEND names."""

import keras
from work import BATCH, HIDDEN, MAX_NORM, RATE, WINDOW, Epochs, asked, make_windows


class Clock(keras.callbacks.Callback):
    def __init__(self, windows: int) -> None:
        super().__init__()
        self.windows = windows

    def on_train_begin(self, logs: object = None) -> None:
        self.epochs = Epochs()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.epochs.end(self.windows)


def main() -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    series, epochs = asked()
    x, y = make_windows(series)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((WINDOW, 1)),
            keras.layers.LSTM(HIDDEN, return_sequences=True),
            keras.layers.LSTM(HIDDEN),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(RATE, global_clipnorm=MAX_NORM), loss="mse")
    clock = Clock(len(x))
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[clock])
    clock.epochs.print()


if __name__ == "__main__":
    main()
