"""Classify reviews with your own Trainer: python docs/examples/sentiment_lightning.py"""

import pandas as pd
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger

from upgate import SentimentDataModule, SentimentModule

words = {"good": ("fine", "lovely", "great"), "bad": ("dull", "poor", "awful")}
rows = [
    {"text": f"a {word} film, part {i}", "label": label}
    for label in words
    for word in words[label]
    for i in range(50)
]
data = SentimentDataModule.create(pd.DataFrame(rows), task={"embedding": 16}, batch_size=32)
module = SentimentModule.create(data, model={"hidden_size": 16}, optimizer="adam")
best = ModelCheckpoint(monitor="val/accuracy", mode="max")
trainer = Trainer(
    max_epochs=3,
    accelerator="cpu",
    logger=MLFlowLogger("reviews", tracking_uri="sqlite:///mlflow.db"),
    callbacks=[best],
    log_every_n_steps=1,
)
trainer.fit(module, data)
kept = SentimentModule.load_from_checkpoint(best.best_model_path, weights_only=True)
(scores,) = trainer.test(kept, data, verbose=False)
print({name: round(value, 4) for name, value in scores.items()})
