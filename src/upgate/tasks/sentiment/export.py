"""The network of reviews as a file of its own: tokens in, probabilities out."""

import json
from typing import Any

import torch
from torch import Tensor, nn

from upgate.config.values import Section
from upgate.data.reviews.nb_logistic import HASHING
from upgate.data.reviews.ngram_ratios import NgramRatios, ngram_keys
from upgate.data.reviews.tokenizer import PADDING, UNKNOWN
from upgate.generators import generator
from upgate.model.export.network import Network, Port, Sizes
from upgate.tasks.sentiment.module import SentimentModule

TOKENS = "token ids of the tokenizer, padded with 0 on the right"
PLACES = (
    "of each different 1- to 3-gram of the lower-cased text, tokens by token_pattern joined by a"
    " blank: abs(murmurhash3_32(gram, seed 0)) % n_features; padded with -1"
)


class Ratios(nn.Module):
    """The n-grams' ratios, (B, T) -> (B, T, longest * C), searched without `torch.searchsorted`,
    which ONNX does not have: by halves, in as many steps as the number of n-grams has bits.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, ratios: NgramRatios) -> None:
        super().__init__()
        self.longest, self.vocabulary = ratios.longest, ratios.vocabulary
        self.register_buffer("keys", ratios.keys)
        self.register_buffer("values", ratios.values[0])

    def forward(self, tokens: Tensor) -> Tensor:
        wanted = torch.stack(ngram_keys(tokens, self.longest, self.vocabulary), dim=-1)
        at, last = torch.zeros_like(wanted), len(self.keys) - 1
        for bit in reversed(range(last.bit_length())):
            further = (at + 2**bit).clamp(max=last)
            at = torch.where(self.keys[further] <= wanted, further, at)
        found = self.values[torch.where(self.keys[at] == wanted, at, last)]  # (B, T, longest, C)
        return found.flatten(2)


class Texts(nn.Module):
    """(B, T) tokens, (B,) lengths -> (B, K)."""

    def __init__(self, net: nn.Module, ratios: NgramRatios | None) -> None:
        super().__init__()
        self.net, self.ratios = net, Ratios(ratios) if ratios else None

    def logits(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        batch = {"x": tokens, "lengths": lengths}
        if self.ratios is not None:
            batch["ratios"] = self.ratios(tokens)
        logits: Tensor = self.net(batch)
        return logits

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.logits(tokens, lengths).softmax(-1)


class TextsAndSkip(Texts):
    """(B, T) tokens, (B,) lengths, (B, G) places -> (B, K), with the linear model's log-odds."""

    coefficients: Tensor
    intercept: Tensor

    def __init__(self, net: nn.Module, ratios: NgramRatios | None, fitted: Section) -> None:
        super().__init__(net, ratios)
        self.weights = [float(weight) for weight in fitted["weights"]]
        self.register_buffer("coefficients", fitted["coefficients"].float().T.contiguous())
        self.register_buffer("intercept", fitted["intercept"].float())

    def forward(  # type: ignore[override]
        self, tokens: Tensor, lengths: Tensor, places: Tensor
    ) -> Tensor:
        held = self.coefficients[places.clamp(min=0)] * (places >= 0)[..., None]  # (B, G, K or 1)
        odds = held.sum(1) + self.intercept
        if odds.shape[-1] == 1:  # of two classes, the second's
            odds = torch.cat([torch.zeros_like(odds), odds], dim=-1)
        logits = self.weights[0] * odds + self.weights[1] * self.logits(tokens, lengths)
        return logits.softmax(-1)


def export_reviews(checkpoint: Section) -> Network:
    """The network of a checkpoint, with n-grams' ratios and linear model where it has them."""
    spec, state = (checkpoint["hyper_parameters"][name] for name in ("spec", "state"))
    module = SentimentModule(spec, state)
    module.load_state_dict(checkpoint["state_dict"])
    ratios, fitted = state.get("ratios"), checkpoint.get("finish")
    table = NgramRatios(**ratios) if ratios else None
    inputs = [
        Port("tokens", ("batch", "length"), "int64", TOKENS),
        Port("lengths", ("batch",), "int64", "of each text, in tokens, 1 or more"),
    ]
    if fitted:
        inputs.append(Port("places", ("batch", "places"), "int64", PLACES))
    graph = TextsAndSkip(module.net, table, fitted) if fitted else Texts(module.net, table)

    def sample(sizes: Sizes) -> tuple[Tensor, ...]:
        return sample_texts(sizes, state["vocabulary"])[: len(inputs)]

    output = Port("probabilities", ("batch", len(state["classes"])), "float32", "of each class")
    about = describe_texts(state, bool(fitted))
    return Network(graph.eval(), tuple(inputs), output, sample, about)


def sample_texts(sizes: Sizes, vocabulary: int) -> tuple[Tensor, ...]:
    """Drawn texts of several lengths, the first without padding."""
    draws, (batch, length) = generator(0, "export"), (sizes["batch"], sizes["length"])
    lengths = torch.randint(1, length + 1, (batch,), generator=draws)
    lengths[0] = length
    tokens = torch.randint(1, vocabulary, (batch, length), generator=draws)
    tokens = tokens.masked_fill(torch.arange(length) >= lengths[:, None], PADDING)
    shape = (batch, sizes.get("places", 1))
    hashing: dict[str, Any] = HASHING
    places = torch.randint(-1, hashing["n_features"], shape, generator=draws)
    return tokens, lengths, places


def describe_texts(state: Section, skip: bool) -> dict[str, Any]:
    """What prepares the inputs and reads the output, as JSON."""
    about = {
        "classes": list(state["classes"]),
        "max_tokens": state["max_tokens"],
        "keep": state.get("keep", "head"),
        "padding": PADDING,
        "unknown": UNKNOWN,
        "text": "markup is removed; each piece between blanks is encoded by the tokenizer, of the"
        " package tokenizers, and its ids are joined; a text without a known token is [unknown]",
        "tokenizer": json.loads(state["tokenizer"]),
    }
    return about | ({"places": dict(HASHING)} if skip else {})
