"""Which words made the answers to a text: integrated gradients of a margin of logits.

The output is the logit of the run's answer minus that of the twin's, of both networks: what speaks
for the one speaks against the other. Its path leads from embeddings and n-gram ratios of 0, those
of padding, to the text's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from upgate.config.values import Section
from upgate.data.reviews.tokenizer import token_spans
from upgate.model.integrated_gradients import InputShares, integrated_gradients
from upgate.tasks.account import Account
from upgate.tasks.sentiment.module import SentimentModule, SentimentNet
from upgate.tasks.sentiment.predict import text_batches
from upgate.tasks.sentiment.skip import model_of
from upgate.types import Batch


@dataclass(frozen=True)
class Word:
    """A piece of a text that the network reads, and its share in either network's margin."""

    start: int
    end: int
    run: float
    twin: float


@dataclass(frozen=True)
class ExplainedText:
    """about: a row of `find_disagreements`. words: in order, disjoint."""

    about: pd.Series
    run: Account
    twin: Account
    words: list[Word]


def explain_texts(differing: pd.DataFrame, run: Section, twin: Section) -> list[ExplainedText]:
    """Both networks' margins for the texts of `find_disagreements`. run, twin: checkpoints."""
    texts = differing["text"].tolist()
    state = run["hyper_parameters"]["state"]
    number = {name: k for k, name in enumerate(state["classes"])}
    pairs = [
        (number[a], number[b]) for a, b in zip(differing["run"], differing["twin"], strict=True)
    ]
    keep = state.get("keep", "head")
    spans = token_spans(state["tokenizer"], texts, state["max_tokens"], keep)
    accounts = [margin_accounts(checkpoint, texts, pairs) for checkpoint in (run, twin)]
    explained = []
    for (_, about), places, first, second in zip(
        differing.iterrows(), spans, *accounts, strict=True
    ):
        words = merge_words(places, first.shares, second.shares)
        explained.append(ExplainedText(about, first, second, words))
    return explained


def margin_accounts(
    checkpoint: Section, texts: list[str], pairs: Sequence[tuple[int, int]]
) -> list[Account]:
    """Of each text, the margin of the first class of its pair over the second, by its tokens."""
    parameters = checkpoint["hyper_parameters"]
    module = SentimentModule(parameters["spec"], parameters["state"])
    module.load_state_dict(checkpoint["state_dict"])
    references, scale = linear_margins(checkpoint, texts, pairs)
    take_rows, _ = text_batches(parameters["state"], texts)
    accounts = []
    for i, pair in enumerate(pairs):
        shares = token_shares(module.net, take_rows(torch.tensor([i])), pair)
        accounts.append(Account.of(shares, references[i], scale))
    return accounts


def linear_margins(
    checkpoint: Section, texts: list[str], pairs: Sequence[tuple[int, int]]
) -> tuple[list[float], float]:
    """What the linear model adds to each margin, and the weight of the network's logits.

    0 and 1 but with model.skip=reference.
    """
    if "finish" not in checkpoint:
        return [0.0] * len(texts), 1.0
    fitted = checkpoint["finish"]
    odds = model_of(fitted)(texts)  # (n, K)
    linear, network = (float(weight) for weight in fitted["weights"])
    return [
        linear * float(row[a] - row[b]) for row, (a, b) in zip(odds, pairs, strict=True)
    ], network


def token_shares(net: SentimentNet, batch: Batch, pair: tuple[int, int]) -> InputShares:
    """The shares of the tokens, (T,), of a batch of one text."""
    first, second = pair
    with torch.no_grad():
        read = [net.embedding(batch["x"])]
        read += [batch["ratios"]] if "ratios" in batch else []
        x = torch.cat(read, dim=-1)[0]  # (T, I)

    def margin(path: Tensor) -> Tensor:  # (N, T, I) -> (N,)
        logits = net.head(net.backbone(path, batch["lengths"].expand(len(path))))
        return logits[:, first] - logits[:, second]

    found = integrated_gradients(net, margin, x, torch.zeros_like(x))
    return InputShares(found.shares.sum(-1), found.start, found.end)


def merge_words(places: Sequence[tuple[int, int]], run: np.ndarray, twin: np.ndarray) -> list[Word]:
    """Tokens of one place, such as a character's bytes, as one, with the sum of their shares."""
    words: list[Word] = []
    for (start, end), own, other in zip(places, run.tolist(), twin.tolist(), strict=True):
        if words and start < words[-1].end:
            last = words.pop()
            start, end = last.start, max(end, last.end)
            own, other = own + last.run, other + last.twin
        words.append(Word(start, end, own, other))
    return words
