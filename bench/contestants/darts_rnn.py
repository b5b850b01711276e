"""darts: its BlockRNNModel on the same series."""

import torch
from darts import TimeSeries
from darts.models import BlockRNNModel
from lightning_defaults import Clock
from work import BATCH, HIDDEN, LAYERS, MAX_NORM, RATE, WINDOW, asked


def main() -> None:
    torch.set_num_threads(1)
    series, epochs = asked()
    clock = Clock(len(series) - WINDOW)
    model = BlockRNNModel(
        input_chunk_length=WINDOW,
        output_chunk_length=1,
        model="LSTM",
        hidden_dim=HIDDEN,
        n_rnn_layers=LAYERS,
        dropout=0.0,
        batch_size=BATCH,
        n_epochs=epochs,
        optimizer_kwargs={"lr": RATE},
        pl_trainer_kwargs={
            "accelerator": "cpu",
            "gradient_clip_val": MAX_NORM,
            "callbacks": [clock],
        },
        random_state=0,
    )
    model.fit(TimeSeries.from_values(series))
    clock.epochs.print()


if __name__ == "__main__":
    main()
