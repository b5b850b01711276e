"""Tests of init.

Every gate block has the spread its paper says, and what flows through neither dies out nor
saturates.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from helpers.parts import Loop, knobs, made, parts
from upgate.config.compose import choices, compose
from upgate.errors import UserError
from upgate.generators import generator
from upgate.run.resolve import check_recipe

I, H = 192, 320  # large: a block's std is known to 1%; unequal: fan_in is told from fan_out
EVERY = choices("init")


def lstm(
    name: str, seed: int = 0, sizes: tuple[int, int] = (I, H), **changed: float | None
) -> nn.LSTM:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = nn.LSTM(*sizes, batch_first=True)
    made("init", name, **changed)(net, generator(seed, "init"))
    return net


def blocks(net: nn.LSTM) -> dict[str, tuple[Tensor, ...]]:
    return {
        "input": net.weight_ih_l0.detach().chunk(4),
        "recurrent": net.weight_hh_l0.detach().chunk(4),
    }


STD = {  # of the input blocks and of the recurrent ones
    "pytorch": (1 / math.sqrt(3 * H), 1 / math.sqrt(3 * H)),
    "xavier": (math.sqrt(2 / (I + H)), math.sqrt(2 / (H + H))),
    "he": (math.sqrt(2 / I), math.sqrt(2 / H)),
    "lecun": (1 / math.sqrt(I), 1 / math.sqrt(H)),
    "orthogonal": (math.sqrt(2 / (I + H)), 1 / math.sqrt(H)),
    "chrono": (math.sqrt(2 / (I + H)), 1 / math.sqrt(H)),
}


@pytest.mark.parametrize("name", STD)
def test_each_gate_block_has_the_formulas_spread(name: str) -> None:
    net = lstm(name)
    for kind, wanted in zip(("input", "recurrent"), STD[name], strict=True):
        for gate in blocks(net)[kind]:
            assert float(gate.std()) == pytest.approx(wanted, rel=0.02)
            assert abs(float(gate.mean())) < 4 * wanted / math.sqrt(gate.numel())


@pytest.mark.parametrize(
    ("name", "kind"), [("xavier", "input"), ("xavier", "recurrent"), ("orthogonal", "input")]
)
def test_xavier_is_uniform_up_to_its_bound(name: str, kind: str) -> None:
    a = math.sqrt(6 / ((I if kind == "input" else H) + H))
    for gate in blocks(lstm(name))[kind]:
        assert 0.999 * a < float(gate.abs().max()) <= a


@pytest.mark.parametrize("name", ["he", "lecun"])
def test_he_and_lecun_are_normal(name: str) -> None:
    gate = blocks(lstm(name))["input"][0]
    assert float(((gate / gate.std()) ** 4).mean()) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("name", ["orthogonal", "chrono"])
def test_every_recurrent_gate_block_is_orthogonal(name: str) -> None:
    for gate in blocks(lstm(name))["recurrent"]:
        assert torch.linalg.svdvals(gate).sub(1).abs().max() < 1e-5
        assert torch.allclose(gate @ gate.T, torch.eye(H), atol=1e-5)


def test_the_null_choice_is_pytorchs_own_bit_for_bit() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        fresh = nn.LSTM(I, H, batch_first=True)
    ours = lstm("pytorch")
    assert all(torch.equal(p, ours.get_parameter(name)) for name, p in fresh.named_parameters())


@pytest.mark.parametrize("name", [n for n in EVERY if "forget_bias" in knobs("init", n)])
@pytest.mark.parametrize("bias", [1.0, 0.3, -2.0])
def test_the_two_forget_biases_add_up_to_what_was_asked(name: str, bias: float) -> None:
    net, without = lstm(name, forget_bias=bias), lstm(name, forget_bias=None)
    total, bare = (n.bias_ih_l0.detach() + n.bias_hh_l0.detach() for n in (net, without))
    asked = torch.tensor(bias)
    assert torch.equal(total[H : 2 * H], asked.expand(H))
    others = torch.ones(4 * H, dtype=torch.bool)
    others[H : 2 * H] = False
    assert torch.equal(total[others], bare[others])
    assert torch.equal(net.weight_ih_l0, without.weight_ih_l0) and torch.equal(
        net.weight_hh_l0, without.weight_hh_l0
    )


def biases(net: nn.LSTM) -> tuple[Tensor, ...]:
    """i, f, g, o: what the two bias vectors add up to."""
    return (net.bias_ih_l0.detach() + net.bias_hh_l0.detach()).chunk(4)


@pytest.mark.parametrize("t_max", [3, 20, 60, 1000])
def test_chrono_spreads_the_memories_up_to_t_max(t_max: int) -> None:
    """f / (1 - f) is uniform over [1, t_max - 1].

    A memory that a unit keeps for t steps is one it needs t steps to fill.
    """
    many = [
        biases(lstm("chrono", seed, t_max=t_max, sizes=(4, H))) for seed in range(13)
    ]  # 4,160 units
    i, f, g, o = (torch.cat(gate) for gate in zip(*many, strict=True))
    assert torch.equal(i, -f) and not g.any() and not o.any()
    keep = f.double().sigmoid()
    assert float(keep.min()) >= 0.5 and float(keep.max()) <= (t_max - 1) / t_max + 1e-7
    odds = ((keep / (1 - keep)) - 1) / (t_max - 2)
    wanted = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert torch.quantile(odds, wanted).sub(wanted).abs().max() < 0.03


def test_chrono_for_two_steps_keeps_half() -> None:
    i, f, *_ = biases(lstm("chrono", t_max=2))
    assert not i.any() and not f.any()


def test_chrono_differs_from_orthogonal_in_two_biases_only() -> None:
    chrono, orthogonal = lstm("chrono"), lstm("orthogonal", forget_bias=None)
    for name, p in orthogonal.named_parameters():
        theirs = chrono.get_parameter(name)
        same = p == theirs
        assert bool(same.all()) == (name != "bias_ih_l0")
        if name == "bias_ih_l0":
            assert same[2 * H :].all() and not same[: 2 * H].any()


@pytest.mark.parametrize(
    ("words", "t_max"), [((), 60), (("task.window=20",), 20), (("task=sentiment",), 512)]
)
def test_chronos_memory_is_the_tasks_length(words: tuple[str, ...], t_max: int) -> None:
    assert check_recipe(compose(["init=chrono", *words]))["init"] == {
        "name": "chrono",
        "t_max": t_max,
    }


@pytest.mark.parametrize("t_max", [1, 0, -5])
def test_chrono_needs_room_for_a_memory(t_max: int) -> None:
    with pytest.raises(UserError, match=r"^init.t_max=.* must be 2 or more$"):
        made("init", "chrono", t_max=t_max)


@pytest.mark.parametrize("name", [n for n in EVERY if n != "pytorch"])
def test_a_draw_depends_on_the_seed_alone_and_gates_differ(name: str) -> None:
    one, again, other = lstm(name), lstm(name), lstm(name, seed=1)
    assert all(torch.equal(p, again.get_parameter(n)) for n, p in one.named_parameters())
    assert not torch.equal(one.weight_hh_l0, other.weight_hh_l0)
    for gates in blocks(one).values():
        assert not any(torch.equal(gates[i], gates[j]) for i in range(4) for j in range(i))


@pytest.mark.parametrize("name", EVERY)
def test_every_layer_direction_and_seed_has_a_draw_of_its_own(name: str) -> None:
    loops = [
        Loop(parts(f"init={name}"), seed=seed, num_layers=3, bidirectional=True) for seed in (0, 1)
    ]
    drawn = [w for loop in loops for key, w in loop.weights().items() if "weight_hh" in key]
    assert len(drawn) == 12 and not any(
        torch.equal(drawn[i], drawn[j]) for i in range(12) for j in range(i)
    )


@pytest.mark.parametrize("name", EVERY)
def test_the_state_neither_vanishes_nor_saturates(name: str) -> None:
    """Var(h_t) over the batch under white noise: it settles, well above 0 and well below 1."""
    net = lstm(name, sizes=(64, 128))
    with torch.no_grad():
        h, _ = net(torch.randn(256, 100, 64, generator=generator(0, "x")))  # (B, T, H)
    variance = h.var(dim=0).mean(dim=1)  # (T,)
    assert float(variance.min()) > 1e-3 and float(variance.max()) < 0.6
    assert 1 / 1.5 < float(variance[99] / variance[49]) < 1.5
    assert float((h.abs() > 0.99).float().mean()) < 0.01
