"""A network's file, read again, gives the network's outputs, whatever batch and length."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from upgate.errors import UserError
from upgate.model.backbone import Pooling
from upgate.model.export import onnx_file, write
from upgate.model.export.network import Network, Port, Sizes
from upgate.model.export.onnx_file import check_onnx
from upgate.model.export.write import FORMATS, compare, export
from upgate.tasks.sentiment.export import sample_texts
from upgate.tasks.sentiment.module import SentimentNet

VOCABULARY, CLASSES = 20, 3


class All(nn.Module):
    """Nets of all poolings (concat is last, max and mean) in both directions, in one file."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList([net("concat", True), net("attention", True)])

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        batch = {"x": tokens, "lengths": lengths}
        return torch.cat([net(batch) for net in self.nets], dim=-1)


def net(pooling: Pooling, bidirectional: bool) -> SentimentNet:
    knobs = {"name": "lstm", "hidden_size": 5, "num_layers": 2}
    words = {"pooling": pooling, "bidirectional": bidirectional}
    return SentimentNet(VOCABULARY, CLASSES, 4, knobs | words)


def network(module: nn.Module) -> Network:
    inputs = (
        Port("tokens", ("batch", "length"), "int64", ""),
        Port("lengths", ("batch",), "int64", ""),
    )

    def sample(sizes: Sizes) -> tuple[Tensor, ...]:
        return sample_texts(sizes, VOCABULARY)[:2]

    return Network(module.eval(), inputs, Port("y", ("batch", 1), "float32", ""), sample, {})


@pytest.mark.long  # test_promote.py exports trained networks
@pytest.mark.parametrize("to", ["torch", "onnx"])
def test_every_pooling_and_direction_is_exported_with_any_batch_and_length(
    to: str, tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = All()
    made = network(module)
    content, difference = export(made, FORMATS[to])
    assert difference < 1e-6 and b"upgate/" not in content  # no name of a file of ours
    path = tmp_path / f"network{FORMATS[to].suffix}"
    path.write_bytes(content)
    run = FORMATS[to].load(path)
    for batch, length in ((1, 1), (4, 3), (2, 40)):
        inputs = made.sample({"batch": batch, "length": length})
        with torch.no_grad():
            found, expected = run(inputs), module(*inputs)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
        longer = (nn.functional.pad(inputs[0], (0, 5)), inputs[1])  # padding takes no part
        with torch.no_grad():
            torch.testing.assert_close(run(longer), expected, rtol=0, atol=1e-6)


def test_outputs_that_differ_are_refused() -> None:
    expected = torch.tensor([0.5, 1e6])
    assert compare(expected + torch.tensor([0.0, 1.0]), expected) == 1
    for wrong in (torch.tensor([2e-5, 0.0]), torch.tensor([torch.nan, 0.0])):
        with pytest.raises(UserError, match="differ from the network's own by up to"):
            compare(expected + wrong, expected)
    made = network(All())
    form = write.Format("", check_onnx, lambda n, e, path: path.touch(), lambda p: zeros, {})
    with pytest.raises(UserError, match="nothing was written"):
        export(made, form)


def zeros(inputs: tuple[Tensor, ...]) -> Tensor:
    return torch.zeros(len(inputs[0]), 2 * CLASSES)


def test_a_package_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if "script" in name else name)
    with pytest.raises(UserError, match=r"^to=onnx needs onnxscript: pip install 'upgate\[onnx\]'"):
        check_onnx()
