"""The backbone against PyTorch's own stacked and packed LSTM; padding takes no part.

The fused kernel is in use.
"""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from helpers.parts import needs_bf16
from upgate.errors import UserError
from upgate.generators import generator
from upgate.model.backbone import Backbone, Head, Pooling, build_backbone, layer_groups
from upgate.model.pooling import reverse
from upgate.recipe.param_groups import check_layers
from upgate.tasks.generic import SequenceNet

B, T, I, H = 4, 7, 3, 5
LENGTHS = torch.tensor([7, 1, 4, 6])  # whole, shortest, between
POOLINGS = get_args(Pooling)
both_ways = pytest.mark.parametrize("bidirectional", [False, True], ids=["forth", "both"])
every_pooling = pytest.mark.parametrize("pooling", POOLINGS)


def made(pooling: Pooling = "last", bidirectional: bool = False, num_layers: int = 2) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Backbone(I, H, num_layers, bidirectional, pooling)


def tokens() -> Tensor:  # (B, T, I)
    return torch.randn(B, T, I, generator=generator(0, "tokens"))


def states(
    backbone: Backbone, x: Tensor, lengths: Tensor | None
) -> Tensor:  # (B, T, D), before pooling
    for layer in backbone.layers:
        x = layer(x, lengths)
    return x


def plain(backbone: Backbone) -> nn.LSTM:
    """One stacked `nn.LSTM` with copies of the backbone's weights."""
    bidirectional = backbone.layers[0].back is not None
    lstm = nn.LSTM(I, H, len(backbone.layers), batch_first=True, bidirectional=bidirectional)
    weights = {}
    for i, layer in enumerate(backbone.layers):
        for part, suffix in ((layer.forth, ""), (layer.back, "_reverse")):
            if part is not None:
                weights |= {
                    name.replace("_l0", f"_l{i}{suffix}"): value
                    for name, value in part.state_dict().items()
                }
    lstm.load_state_dict(weights)
    return lstm


def padding() -> Tensor:  # (B, T)
    return torch.arange(T) >= LENGTHS[:, None]


def test_right_padded_input_gives_what_packing_gives() -> None:
    backbone, x = made(bidirectional=True), tokens()
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    out, (h, _) = plain(backbone)(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
    torch.testing.assert_close(
        states(backbone, x, LENGTHS)[~padding()], expected[~padding()], rtol=0, atol=1e-6
    )
    torch.testing.assert_close(
        backbone(x, LENGTHS), torch.cat([h[-2], h[-1]], dim=-1), rtol=0, atol=1e-6
    )


@both_ways
@pytest.mark.parametrize("num_layers", [1, 3])
def test_without_padding_it_is_the_plain_stacked_lstm(bidirectional: bool, num_layers: int) -> None:
    backbone, x = made("last", bidirectional, num_layers), tokens()
    out, (h, _) = plain(backbone)(x)
    torch.testing.assert_close(states(backbone, x, None), out, rtol=0, atol=1e-6)
    expected = torch.cat([h[-2], h[-1]], dim=-1) if bidirectional else h[-1]
    torch.testing.assert_close(backbone(x), expected, rtol=0, atol=1e-6)


def test_reverse_is_its_own_inverse_and_leaves_the_padding() -> None:
    x = tokens()
    once = reverse(x, LENGTHS)
    assert torch.equal(reverse(once, LENGTHS), x) and torch.equal(
        reverse(reverse(x, None), None), x
    )
    assert torch.equal(once[padding()], x[padding()])
    for row, n in enumerate(LENGTHS.tolist()):
        assert torch.equal(once[row, :n], x[row, :n].flip(0))


@every_pooling
@both_ways
def test_padding_takes_no_part(pooling: Pooling, bidirectional: bool) -> None:
    backbone, x = made(pooling, bidirectional), tokens()
    other = x.masked_fill(padding()[..., None], 1e3)
    assert torch.equal(backbone(x, LENGTHS), backbone(other, LENGTHS))
    other.requires_grad_()
    backbone(other, LENGTHS).sum().backward()
    assert not other.grad[padding()].any() and other.grad[~padding()].any(dim=-1).any()


@every_pooling
@both_ways
def test_no_lengths_mean_all_of_the_window(pooling: Pooling, bidirectional: bool) -> None:
    backbone, x = made(pooling, bidirectional), tokens()
    pooled = backbone(x)
    assert pooled.shape == (B, backbone.width)
    torch.testing.assert_close(pooled, backbone(x, torch.full((B,), T)), rtol=0, atol=1e-6)


@both_ways
def test_poolings_are_their_formulas(bidirectional: bool) -> None:
    for pooling in POOLINGS:
        backbone, x = made(pooling, bidirectional), tokens()
        h = states(backbone, x, LENGTHS)
        for row, n in enumerate(LENGTHS.tolist()):
            valid = h[row, :n]  # (n, D)
            last = torch.cat([valid[-1, :H], valid[0, H:]])
            parts = {"last": last, "max": valid.amax(0), "mean": valid.mean(0)}
            expected = parts.get(pooling, torch.cat(list(parts.values())))
            if backbone.score is not None:
                expected = backbone.score(valid).softmax(0).squeeze(-1) @ valid
            torch.testing.assert_close(backbone(x, LENGTHS)[row], expected, rtol=0, atol=1e-6)


@every_pooling
@both_ways
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "padded"])
def test_gradients_reach_every_parameter(
    pooling: Pooling, bidirectional: bool, lengths: Tensor | None
) -> None:
    backbone = made(pooling, bidirectional)
    backbone(tokens(), lengths).square().sum().backward()
    for name, p in backbone.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.any(), name


@both_ways
@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),
    reason="this PyTorch is built without oneDNN, CPU's fused LSTM",
)
def test_training_runs_on_the_fused_kernel(bidirectional: bool) -> None:
    backbone = made(bidirectional=bidirectional).train()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        backbone(tokens(), LENGTHS).sum().backward()
    calls = {event.key: event.count for event in profiled.key_averages()}
    assert calls["aten::mkldnn_rnn_layer"] == len(backbone.layers) * (1 + bidirectional)
    assert not [name for name in calls if "lstm_cell" in name]


def test_taps_run_in_training_only_each_in_its_place() -> None:
    backbone, x, seen = made("max", bidirectional=True, num_layers=3), tokens(), []
    for place, taps in backbone.activation_hooks.items():
        taps.append(lambda h, place=place: seen.append((place, h.shape)) or h)
    backbone.activation_hooks["head"].append(lambda h: 2 * h)
    whole = backbone.eval()(x)
    assert not seen
    assert torch.equal(backbone.train()(x), 2 * whole)
    sequence = (B, T, 2 * H)
    between, last = [("between", sequence)] * 2, [("output", sequence), ("dropped", sequence)]
    assert seen == [("input", x.shape), *between, *last, ("head", (B, 2 * H))]


def test_what_a_tap_returns_goes_on() -> None:
    backbone, x, other = made("max").train(), tokens(), 3 * tokens()
    expected = backbone(other)
    backbone.activation_hooks["input"].append(lambda h: other)
    assert torch.equal(backbone(x), expected)
    backbone.activation_hooks["output"] += [
        torch.zeros_like,
        lambda h: h + 1,
    ]  # one after the other
    assert torch.equal(backbone(x), torch.ones(B, H))


KNOBS = {"name": "lstm", "hidden_size": H, "num_layers": 2, "bidirectional": False}


@needs_bf16
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_the_head_stays_float32_under_bf16_autocast(pooling: Pooling) -> None:
    net = SequenceNet(I, 1, KNOBS | {"pooling": pooling})
    passed = []
    net.head.register_forward_hook(lambda head, args, out: passed.append((args[0], out)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        forecast = net({"x": tokens()})
        assert (
            nn.functional.linear(torch.ones(1, 1), torch.ones(1, 1)).dtype == torch.bfloat16
        )  # autocast is on
    ((pooled, out),) = passed
    assert out.dtype == forecast.dtype == torch.float32
    assert torch.equal(
        forecast, nn.functional.linear(pooled.float(), net.head.weight, net.head.bias).squeeze(-1)
    )


def test_a_head_is_a_linear_layer_in_full_precision() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = nn.Linear(H, 2)
        torch.manual_seed(0)
        head = Head(H, 2)
    x = torch.randn(B, H, generator=generator(0, "pooled"))
    assert torch.equal(head(x), plain(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal(head(x), plain(x))  # which autocast rounds
        assert head(x.bfloat16()).dtype == torch.float32
        out = head(x)
    assert torch.equal(out, plain(x))


@every_pooling
def test_every_parameter_is_in_one_layer_of_the_stack(pooling: Pooling) -> None:
    backbone, head = made(pooling, num_layers=3), nn.Linear(1, 1)
    layers = layer_groups(backbone, head)
    assert [name for name, _ in layers] == ["lstm.0", "lstm.1", "lstm.2", "head"]
    check_layers(layers, nn.ModuleList([backbone, head]))


def test_a_wrong_knob_of_the_model_is_told_by_its_whole_name() -> None:
    with pytest.raises(UserError, match=r"^unknown key model\.poling, did you mean 'pooling'\?$"):
        build_backbone(I, KNOBS | {"poling": "max"})
    with pytest.raises(UserError, match=r"^model\.hidden_size=0 must be 1 or more$"):
        build_backbone(I, KNOBS | {"pooling": "max", "hidden_size": 0})
    made_of = build_backbone(I, KNOBS | {"pooling": "concat"})
    assert made_of.width == 3 * H and len(made_of.layers) == 2
