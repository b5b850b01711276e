"""Label and probability of texts from a stored run, tokenizer included."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd
import torch

from upgate.config.values import Section
from upgate.data.bucketed_loader import BucketedLoader
from upgate.data.reviews.formats import clean_text
from upgate.data.reviews.ngram_ratios import NgramRatios, with_ratios
from upgate.data.reviews.reader import read_texts
from upgate.data.reviews.tokenizer import token_batches, tokenize
from upgate.errors import UserError
from upgate.tasks.sentiment.module import SentimentModule
from upgate.tasks.sentiment.skip import add_log_odds, model_of
from upgate.tasks.sentiment.texts import say
from upgate.types import Batch

BATCH = 256
EXAMPLE, MOST = "Not bad at all.", 5  # of a served model: a text, and how many of those given


def predict_labels(overrides: Sequence[str], checkpoint: Section) -> pd.DataFrame:
    """Label the text of the overrides, of a file, or of standard input: a row per text."""
    return label(checkpoint, texts(parse_texts(overrides)))


def parse_texts(overrides: Sequence[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in overrides)


def texts(options: Mapping[str, str]) -> list[str]:
    """The cleaned texts to label; standard input has a text a line. Raises UserError for none."""
    if "data.path" in options:
        return read_texts(options["data.path"])
    if "text" not in options and sys.stdin.isatty():
        raise UserError(say("needs_texts"))
    lines = [options["text"]] if "text" in options else sys.stdin.read().split("\n")
    return without_blanks(lines)


def frame_texts(frame: pd.DataFrame) -> list[str]:
    """The cleaned texts of the column text, or of a list that MLflow made a frame of.

    Raises UserError.
    """
    column = "text" if "text" in frame else 0
    if column not in frame:
        raise UserError(say("text_column_of_frame", column=str(frame.columns[0])))
    return without_blanks(frame[column].dropna().astype(str))


def without_blanks(raw: Iterable[str]) -> list[str]:
    """Texts without markup, and without those that are empty. Raises UserError for none."""
    cleaned = [text for text in map(clean_text, raw) if text]
    if not cleaned:
        raise UserError(say("nothing_to_label"))
    return cleaned


def label(checkpoint: Section, cleaned: list[str]) -> pd.DataFrame:
    """text, label, probability of that label, and p_<class> of each class."""
    hyperparameters = checkpoint["hyper_parameters"]
    state = hyperparameters["state"]
    module = SentimentModule(hyperparameters["spec"], state)
    module.load_state_dict(checkpoint["state_dict"])
    output = logits(module, state, cleaned).double()
    if "finish" in checkpoint:  # model.skip=reference
        fitted = checkpoint["finish"]
        odds = torch.from_numpy(model_of(fitted)(cleaned))
        output = add_log_odds(odds, output, fitted["weights"])
    p = output.softmax(-1)
    names = pd.Series(state["classes"])
    best = names[p.argmax(-1).numpy()].to_numpy()
    frame = pd.DataFrame({"text": cleaned, "label": best, "probability": p.amax(-1).numpy()})
    for k, name in enumerate(state["classes"]):
        frame[f"p_{name}"] = p[:, k].numpy()
    return frame


def logits(module: SentimentModule, state: Section, cleaned: list[str]) -> torch.Tensor:
    """(n, K), in the order of the texts."""
    take_rows, lengths = text_batches(state, cleaned)
    batches = BucketedLoader(take_rows, torch.arange(len(cleaned)), lengths, BATCH, None)
    with torch.inference_mode():
        return torch.cat([module.eval().evaluate(batch) for batch in batches])[batches.inverse()]


def text_batches(
    state: Section, cleaned: list[str]
) -> tuple[Callable[[torch.Tensor], Batch], torch.Tensor]:
    """A function of the texts' numbers, (B,), to their batch; the texts' lengths, (n,)."""
    limit = {"max_tokens": state["max_tokens"], "keep": state.get("keep", "head")}
    corpus = tokenize(state["tokenizer"], cleaned, folder=None, **limit)
    nothing = torch.zeros(len(cleaned), dtype=torch.int64)  # labels; folds of the ratios
    take_rows = token_batches(corpus, nothing)
    if "ratios" in state:
        take_rows = with_ratios(take_rows, NgramRatios(**state["ratios"]), nothing)
    return take_rows, corpus.lengths
