"""Forecast volatility with your own Trainer: python docs/examples/stock_lightning.py"""

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from upgate import StockDataModule, StockModule

# The S&P 500; a data frame or a file of daily bars as the first argument takes its place.
data = StockDataModule.create(target="volatility", window=20, batch_size=256)
module = StockModule.create(
    data,
    model={"hidden_size": 8},
    optimizer={"name": "adamw", "lr": 1e-2},
    clip={"name": "norm", "max_norm": 0.5},
    regularization="none",
)
best = ModelCheckpoint(monitor="val/loss")
trainer = Trainer(
    max_epochs=3,
    accelerator="cpu",
    logger=CSVLogger("logs"),
    callbacks=[best, EarlyStopping("val/loss"), LearningRateMonitor()],
    log_every_n_steps=1,
)
trainer.fit(module, data)
kept = StockModule.load_from_checkpoint(best.best_model_path, weights_only=True)
(scores,) = trainer.test(kept, data, verbose=False)
print({name: round(value, 4) for name, value in scores.items()})
