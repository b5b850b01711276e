"""The sentiment net and its learner: padding takes no part and never moves, precision holds,
embeddings are a layer.
"""

import itertools
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.parts import (
    CLASSES,
    EMBEDDING,
    MODEL,
    VOCABULARY,
    Loop,
    fits,
    knobs,
    learner,
    made,
    needs_bf16,
    parts,
    same,
    texts,
)
from upgate.config.compose import choices
from upgate.errors import UserError
from upgate.generators import generator
from upgate.model.backbone import Pooling
from upgate.tasks.sentiment import module
from upgate.tasks.sentiment.module import SentimentModule, SentimentNet

every_shape = pytest.mark.parametrize("both_ways", [False, True], ids=["forth", "both"])
every_pooling = pytest.mark.parametrize("pooling", get_args(Pooling))
BUSY = ("regularization=[dropout,l1,l2,locked,word]", "averaging=ema", "schedule=onecycle")


def net(vocabulary: int = VOCABULARY, embedding: int = EMBEDDING, **model: Any) -> SentimentNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SentimentNet(vocabulary, 3, embedding, MODEL | model)


def whole_loss(made: SentimentNet, data: dict[str, Tensor]) -> Tensor:
    return F.cross_entropy(made(data), data["y"], reduction="sum")


def gradients(made: SentimentNet) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}
    made.zero_grad()
    return found


@every_pooling
@every_shape
def test_a_padded_batch_is_each_text_alone(pooling: str, both_ways: bool) -> None:
    """Logits and the gradients of all parameters."""
    made, data = net(pooling=pooling, bidirectional=both_ways), texts(n=6, length=9)
    assert data["lengths"].unique().numel() > 3
    whole_loss(made, data).backward()
    padded, together = made(data), gradients(made)
    for row, n in enumerate(data["lengths"].tolist()):
        alone = {
            "x": data["x"][row : row + 1, :n],
            "lengths": data["lengths"][row : row + 1],
            "y": data["y"][row : row + 1],
        }
        torch.testing.assert_close(made(alone)[0], padded[row], rtol=0, atol=1e-6)
        whole_loss(made, alone).backward()
    torch.testing.assert_close(gradients(made), together, rtol=1e-5, atol=1e-6)


@every_pooling
@every_shape
@pytest.mark.parametrize(("hidden", "rounding"), [(64, 0), (5, 1e-6)])
def test_evaluation_in_pieces_gives_the_same_logits(
    hidden: int, rounding: float, pooling: str, both_ways: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit at a size of whole vectors; else up to the rounding of what is left over."""
    shape = {"pooling": pooling, "bidirectional": both_ways, "hidden_size": hidden}
    made = learner("sentiment", parts(), **shape).eval()
    data = texts(n=70, length=9)
    sizes: list[int] = []
    made.net.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0]["x"])))
    monkeypatch.setattr(module, "TOKENS", 150)
    with torch.inference_mode():
        pieces, whole = made.evaluate(data), made.net(data)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=rounding)
    assert sizes == [18, 18, 17, 17, 70]


@every_pooling
@every_shape
def test_what_stands_in_the_padding_does_not_matter(pooling: str, both_ways: bool) -> None:
    made, data = net(pooling=pooling, bidirectional=both_ways), texts()
    other = torch.where(data["x"] == 0, 5, data["x"])
    assert torch.equal(made(data | {"x": other}), made(data))


# every optimizer and every kind of update; all their pairs in the long tests
PAIRS = [
    pytest.param(*pair, marks=[] if {"joint", "adamw"} & set(pair) else pytest.mark.long)
    for pair in itertools.product(choices("optimizer"), choices("layerwise"))
]


@pytest.mark.parametrize(("optimizer", "layerwise"), PAIRS)
def test_the_paddings_vector_stays_0(optimizer: str, layerwise: str) -> None:
    """Under momentum, decay, penalties, an average of weights, and tokens dropped to padding."""
    decay = (
        (f"optimizer.weight_decay={0.1}",)
        if "weight_decay" in knobs("optimizer", optimizer)
        else ()
    )
    chosen = (f"optimizer={optimizer}", f"layerwise={layerwise}", *decay)
    if not fits(*chosen):
        pytest.skip("refused: see test_compatibility.py")
    loop = Loop(parts(*chosen, *(BUSY if fits(*chosen, *BUSY) else ())), task="sentiment")
    start = loop.weights()["embedding.weight"]
    loop.steps(10)
    for _ in range(2):  # the weights and their average
        now = loop.net.embedding.weight.detach()
        assert not now[0].any()
        assert (now[1:] != start[1:]).any(dim=1).all() or layerwise in (
            "cyclic",
            "greedy",
        )  # which may not have come so low
        loop.hold_judged_weights()


@pytest.mark.parametrize("name", choices("init"))
def test_embeddings_start_as_pytorch_built_them_or_small(name: str) -> None:
    """The null choice leaves N(0, 1); the others draw U(-0.1, 0.1). The padding is 0 with all of
    them.
    """
    embedding = net(vocabulary=2000, embedding=50).embedding
    built = embedding.weight.detach().clone()
    made("init", name, **({"t_max": 20.0} if name == "chrono" else {}))(
        embedding, generator(0, "test")
    )
    weight = embedding.weight.detach()
    assert torch.equal(weight[0], torch.zeros(50))
    if name == "pytorch":
        assert torch.equal(weight, built) and float(weight[1:].std()) == pytest.approx(1, rel=0.02)
    else:
        assert 0.0999 < float(weight.abs().max()) <= 0.1
        assert float(weight[1:].std()) == pytest.approx(0.1 / 3**0.5, rel=0.02)


@needs_bf16
@every_pooling
@every_shape
def test_logits_and_loss_stay_float32_under_bf16_autocast(pooling: str, both_ways: bool) -> None:
    loop = Loop(parts(*BUSY), task="sentiment", pooling=pooling, bidirectional=both_ways)
    exact = loop.net.eval()(texts())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = loop.net(texts())
        assert logits.dtype == loop.learner.loss(logits, texts()).dtype == torch.float32
        torch.testing.assert_close(logits, exact, rtol=0, atol=0.02)
        loop.steps(3)
    assert all(w.isfinite().all() and w.dtype == torch.float32 for w in loop.weights().values())


def test_layers_from_the_bottom_to_the_top() -> None:
    loop = Loop(
        parts("layerwise=discriminative", "optimizer.lr=0.1"), task="sentiment", num_layers=2
    )
    assert [name for name, _ in loop.learner.layers()] == ["embedding", "lstm.0", "lstm.1", "head"]
    assert loop.rates() == pytest.approx(
        {"embedding": 0.1 / 2.6**3, "lstm.0": 0.1 / 2.6**2, "lstm.1": 0.1 / 2.6, "head": 0.1}
    )


@pytest.mark.parametrize("optimizer", choices("optimizer"))
@pytest.mark.parametrize(
    "words",
    [(), ("regularization=[locked,word,l1,l2]", "averaging=ema", "clip=value")],
    ids=["alone", "with others"],
)
def test_independent_is_joint_bit_for_bit(optimizer: str, words: tuple[str, ...]) -> None:
    words = (
        words
        if fits(f"optimizer={optimizer}", *words)
        else ("regularization=[locked,word,l2]", "clip=value")
    )
    joint, own = (
        Loop(
            parts(f"optimizer={optimizer}", f"layerwise={how}", *words),
            task="sentiment",
            bidirectional=True,
            pooling="attention",
        )
        for how in ("joint", "independent")
    )
    assert joint.steps(10) == own.steps(10)
    assert same(joint.weights(), own.weights())


def test_a_seed_decides_the_first_weights_and_nothing_else_moves() -> None:
    before = torch.get_rng_state()
    first, again, other = (
        Loop(parts(), task="sentiment", seed=seed).weights() for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert same(first, again) and not torch.equal(
        first["embedding.weight"], other["embedding.weight"]
    )


def test_the_checkpoint_holds_what_makes_the_learner_again() -> None:
    made = learner("sentiment", parts(*BUSY), pooling="max")
    assert isinstance(made, SentimentModule)
    kept = dict(made.hparams)
    assert kept["state"] == {"vocabulary": VOCABULARY, "classes": CLASSES} and set(kept) == {
        "spec",
        "state",
    }
    again = SentimentModule(kept["spec"], kept["state"])
    again.load_state_dict(made.state_dict())
    assert torch.equal(again.eval()(texts()), made.eval()(texts()))
    assert made(texts()).shape == (4, len(CLASSES))


def test_a_wrong_knob_of_the_model_is_told() -> None:
    with pytest.raises(
        UserError, match=r"^model\.pooling=maxx is not a choice, did you mean 'max'\?"
    ):
        net(pooling="maxx")


def test_the_loss_is_cross_entropy_by_hand() -> None:
    made, data = learner("sentiment", parts()), texts()
    logits = made(data).detach()
    by_hand = -logits.double().log_softmax(-1)[torch.arange(4), data["y"]].mean()
    assert float(made.loss(logits, data)) == pytest.approx(float(by_hand), rel=1e-6)


@pytest.mark.parametrize(
    "words",
    [
        (),
        (
            "regularization=[locked,word]",
            "regularization.locked.p=0.2",
            "regularization.word.p=0.05",
        ),
    ],
)
def test_it_learns_which_of_two_words_came_last(words: tuple[str, ...]) -> None:
    """Order, not counts: a rule that a bag of words cannot know."""
    loop = Loop(
        parts("optimizer=adam", "optimizer.lr=0.02", *words),
        total=150,
        task="sentiment",
        hidden_size=16,
        num_layers=1,
    )

    def with_rule(i: int) -> dict[str, Tensor]:
        data = texts(i, n=32, length=8)
        data["x"] = torch.where(data["x"] == 0, 0, 1 + data["x"] % 2)
        last = data["x"].gather(1, data["lengths"][:, None] - 1).squeeze(1)
        return data | {"y": last - 1}

    for i in range(150):
        loop.step(with_rule(i))
    loop.net.eval()
    test = with_rule(999)
    assert float((loop.net(test).argmax(-1) == test["y"]).float().mean()) > 0.95
