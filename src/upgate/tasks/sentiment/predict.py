"""Label and probability of texts from a stored run, tokenizer included."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from upgate.data.bucketed_loader import BucketedLoader
from upgate.data.reviews.formats import clean_text
from upgate.data.reviews.reader import read_texts
from upgate.data.reviews.tokenizer import take, tokenize
from upgate.errors import UserError
from upgate.tasks.sentiment.module import SentimentModule

KEYS = ("text", "data.path")
BATCH = 256


def predict(
    words: Sequence[str], kept: dict[str, Any], fetch: Callable[[str], Path]
) -> pd.DataFrame:
    """Label the text that the words give, the texts of a file, or standard input, a text a line: a row per text."""
    return label(kept, texts(dict(word.split("=", 1) for word in words)))


def texts(asked: dict[str, str]) -> list[str]:
    if "data.path" in asked:
        return read_texts(asked["data.path"])
    if "text" not in asked and sys.stdin.isatty():
        raise UserError(
            'give text="...", data.path=<a file of texts>, or texts on standard input, one a line'
        )
    lines = [asked["text"]] if "text" in asked else sys.stdin.read().split("\n")
    found = [text for text in map(clean_text, lines) if text]
    if not found:
        raise UserError("there is no text to label: what was given is empty")
    return found


def label(kept: dict[str, Any], found: list[str]) -> pd.DataFrame:
    """text, label, probability of that label, and of each class."""
    spec, state = kept["hyper_parameters"]["spec"], kept["hyper_parameters"]["state"]
    learner = SentimentModule(spec, state)
    learner.load_state_dict(kept["state_dict"])
    corpus = tokenize(state["tokenizer"], found, state["max_tokens"], None)
    rows = torch.arange(len(found))
    batches = BucketedLoader(
        take(corpus, torch.zeros_like(rows)), rows, corpus.lengths, BATCH, None
    )
    with torch.inference_mode():
        logits = torch.cat([learner.eval().net(batch) for batch in batches])[batches.inverse()]
    p = logits.double().softmax(-1)
    names = pd.Series(state["classes"])
    frame = pd.DataFrame(
        {
            "text": found,
            "label": names[p.argmax(-1).numpy()].to_numpy(),
            "probability": p.amax(-1).numpy(),
        }
    )
    return frame.assign(**{f"p_{name}": p[:, k].numpy() for k, name in enumerate(state["classes"])})
