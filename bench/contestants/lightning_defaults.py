"""Lightning as its first page shows it: logger, checkpoints and progress bar by default."""

import tempfile

import lightning.pytorch as pl
import torch
from net import Net
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from work import BATCH, MAX_NORM, RATE, Epochs, asked, make_windows


class Regressor(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def training_step(self, batch: list[Tensor]) -> Tensor:
        x, y = batch
        loss = nn.functional.mse_loss(self.net(x), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=RATE)


class Clock(pl.Callback):
    """Times the epochs of any Trainer, darts' too. windows: of an epoch."""

    def __init__(self, windows: int) -> None:
        self.windows = windows

    def on_train_start(self, *_: object) -> None:
        self.epochs = Epochs()

    def on_train_epoch_end(self, *_: object) -> None:
        self.epochs.end(self.windows)


def main() -> None:
    series, epochs = asked()
    data = TensorDataset(*(torch.from_numpy(array) for array in make_windows(series)))
    clock = Clock(len(data))
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            gradient_clip_val=MAX_NORM,
            default_root_dir=folder,
            callbacks=[clock],
        )
        trainer.fit(Regressor(), DataLoader(data, batch_size=BATCH, shuffle=True))
    clock.epochs.print()


if __name__ == "__main__":
    main()
