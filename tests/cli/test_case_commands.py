"""Commands that once ended with a traceback or a misleading sentence."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from upgate.cli.entry import expand_home, main
from upgate.cli.predict import fetch_foreign_config
from upgate.errors import UserError
from upgate.run.checkpoint import check_sizes
from upgate.run.console_tables import summarize
from upgate.run.result import TwinResult
from upgate.tasks.sentiment.facts import FACTS

HEADER = "Date,Open,High,Low,Close,Volume\n"
FLAT = HEADER + "".join(f"2020-{1 + i // 28:02}-{1 + i % 28:02},1,1,1,1,9\n" for i in range(260))
MOVING = HEADER + "".join(
    f"2020-{1 + i // 28:02}-{1 + i % 28:02},{20 + i % 3},30,10,{20 + i % 5},9\n" for i in range(260)
)


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["train", "task=stock", "data=prices", "threads=1", "task.window=20", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_price_that_never_moves_is_refused_before_training(tmp_path, capsys):
    (tmp_path / "CASH.csv").write_text(FLAT)
    said = refusal([f"data.path={tmp_path / 'CASH.csv'}", f"root={tmp_path / 'runs'}"], capsys)
    assert "the price of CASH never moves in the train part" in said
    assert not (tmp_path / "runs").exists()


def test_a_root_that_is_a_file(tmp_path, capsys):
    (tmp_path / "AAA.csv").write_text(MOVING)
    (tmp_path / "a_file").touch()
    said = refusal([f"data.path={tmp_path / 'AAA.csv'}", f"root={tmp_path / 'a_file'}"], capsys)
    assert f"root={tmp_path / 'a_file'} cannot hold runs: it is a file" in said


def test_a_ticker_that_is_a_word_of_the_language(tmp_path, capsys):
    (tmp_path / "TRUE.csv").write_text(MOVING)
    path = f"data.path={tmp_path / 'TRUE.csv'}"
    assert """'data.tickers=["TRUE"]'""" in refusal([path, "data.tickers=[TRUE]"], capsys)
    words = ["--cfg", "job", "task=stock", "data=prices", path, 'data.tickers=["TRUE"]']
    assert main(["train", *words]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"]["tickers"] == ["TRUE"]


def test_the_home_folder_behind_an_equals_sign(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expand_home("root=~/runs") == "root=/home/me/runs"
    assert expand_home("data.path=~") == "data.path=/home/me"
    for word in ("text=~5 stars", "--cfg", "data.path=a~/b", "data.tickers=[A,B]"):
        assert expand_home(word) == word


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [
        (0.8961, "is level with the linear model"),
        (0.89605, "is level with the linear model"),
        (0.8971, "beats the linear model by 0.10 points"),
        (0.8951, "stays 0.10 points below the linear model"),
    ],
)
def test_a_tie_with_the_linear_model_is_no_defeat(accuracy, said):
    metrics = {"test/accuracy": accuracy, "test/linear/accuracy": 0.8961}
    assert FACTS.result_sentence(metrics).endswith(said)


@pytest.mark.parametrize(
    ("mcc", "said"),
    [(0.75, "its twin did exactly the same"), (0.76, "its accuracy is its twin's, by other")],
)
def test_an_equal_score_alone_is_not_exactly_the_same(mcc, said):
    metrics = {"test/accuracy": 0.875, "test/linear/accuracy": 0.8, "test/mcc": mcc}
    twin = TwinResult("k", "i", {"test/accuracy": 0.875, "test/mcc": 0.75})
    fields = dict.fromkeys(("key", "run_id", "name", "folder", "recipe"), "x")
    run = SimpleNamespace(
        **fields, task="sentiment", metrics=metrics, twin=twin, diverged=False, difference={}
    )
    assert said in summarize(run)


# ---- what a run from elsewhere may ask for


class Elsewhere:
    """A store whose artifact is what another person wrote."""

    def __init__(self, root: Path, config: dict) -> None:
        self.root, self.config = root, config

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        (folder / name).write_text(yaml.safe_dump(self.config))
        return folder / name


ROW = SimpleNamespace(key="ab" * 32, run_id="r", tags={})


@pytest.mark.parametrize(
    "data",
    [
        {"source": "prices", "path": "/etc/passwd"},
        {"source": "prices", "path": "/dev/zero"},
        {"source": "yahoo", "tickers": ["A"], "folder": "/etc"},
    ],
)
def test_a_foreign_configuration_names_no_local_file(data, tmp_path):
    store = Elsewhere(tmp_path, {"data": data})
    with pytest.raises(UserError, match="was trained elsewhere, on files"):
        fetch_foreign_config(store, ROW, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_foreign_configuration_without_files_is_taken_under_another_name(tmp_path):
    store = Elsewhere(tmp_path, {"data": {"source": "sp500", "start": None}})
    path = fetch_foreign_config(store, ROW, tmp_path / "run")
    assert yaml.safe_load(path.read_text())["data"]["source"] == "sp500"
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_foreign_configuration_of_any_size_is_not_read(tmp_path):
    store = Elsewhere(tmp_path, {"data": {"source": "x" * (1 << 20)}})
    with pytest.raises(UserError, match="it is too large"):
        fetch_foreign_config(store, ROW, tmp_path / "run")


def checkpoint(**sizes: int) -> dict:
    model = {"hidden_size": sizes.get("hidden", 4), "num_layers": sizes.get("layers", 1)}
    task = {"embedding": sizes.get("embedding", 3)}
    state = {"vocabulary": sizes.get("vocabulary", 10)}
    weights = {"lstm": torch.zeros(4 * 4 * (4 + 3)), "embedding": torch.zeros(10, 3)}
    parameters = {"spec": {"model": model, "task": task}, "state": state}
    return {"hyper_parameters": parameters, "state_dict": weights}


def test_a_checkpoint_that_holds_what_it_asks_for():
    check_sizes(checkpoint())


@pytest.mark.parametrize("size", ["hidden", "layers", "embedding", "vocabulary"])
@pytest.mark.parametrize("value", [10**9, -1, "many"])
def test_a_checkpoint_that_asks_for_all_memory(size, value):
    with pytest.raises(UserError, match="the checkpoint"):
        check_sizes(checkpoint(**{size: value}))


def test_a_tensor_that_is_larger_than_its_storage_counts_as_its_storage():
    made = checkpoint(hidden=10**4)
    made["state_dict"]["lstm"] = torch.zeros(1).expand(10**5, 10**5)
    with pytest.raises(UserError, match="asks for a network"):
        check_sizes(made)


def test_a_device_is_no_file_of_data(capsys):
    assert "/dev/zero is neither a file nor a folder" in refusal(["data.path=/dev/zero"], capsys)
