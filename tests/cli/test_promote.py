"""A run that is promoted (a model of MLflow's registry) or exported (a file) answers as
`upgate predict` does.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import HashingVectorizer
from tokenizers import Tokenizer

from helpers.run import places, small, train
from helpers.store import Server, free_port
from upgate.cli.entry import main
from upgate.cli.predict import find_run, predict_rows
from upgate.data.prices.features import FEATURES, Panel, inputs
from upgate.data.prices.sources import load_sp500
from upgate.errors import UserError
from upgate.model.export import write
from upgate.model.export.write import FORMATS
from upgate.store.store import Store
from upgate.tasks.base import Task
from upgate.tasks.registry import get_task
from upgate.tasks.stock.export import formula

TINY = ("trainer.max_epochs=1", "twin=false", "model.hidden_size=4", "model.num_layers=1")
TEXTS = ["a great film, truly moving", "dull, far too long and badly acted", "it is a film"]
RUNS = {
    "return": ("task.target=return", "data=prices", "data.path={prices}"),
    "volatility": ("task.target=volatility", "data=prices", "data.path={prices}"),
    "panel": (
        *("task.target=return", "data=prices", "data.path={panel}", "data.start=null"),
        "task.features=[close_return,market_return_5]",
    ),
    "sentiment": ("task=sentiment",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of prices of one ticker and of two, and a store with a run of each kind."""
    folder = tmp_path_factory.mktemp("promote")
    frame = load_sp500(start="2015").table.drop(columns="ticker")
    frame["volume"] = frame["volume"].round().astype("int64")
    frame.to_parquet(folder / "prices.parquet")
    other = frame.assign(**{name: 2 * frame[name] for name in ("open", "high", "low", "close")})
    frames = [frame.assign(ticker="A"), other.iloc[7:].assign(ticker="B")]
    pd.concat(frames).to_parquet(folder / "panel.parquet")
    files = {name: str(folder / f"{name}.parquet") for name in ("prices", "panel")}
    for words in RUNS.values():
        code, said = train(folder / "runs", *(word.format(**files) for word in words), *TINY)
        assert code == 0, said
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> dict[str, str]:
    """Kind of run -> the start of its key."""
    keys = {}
    for row in Store(folder / "runs").rows():
        if not row.is_parent:
            panel = "market" in row.params.get("task.features", "")
            kind = "panel" if panel else row.params.get("task.target", row.task)
            keys[kind] = row.key[:12]
    return keys


@pytest.fixture
def root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The store's folder, which is MLflow's default here."""
    from mlflow.environment_variables import _MLFLOW_IS_IN_SERVING_ENVIRONMENT

    root = folder / "runs"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv(_MLFLOW_IS_IN_SERVING_ENVIRONMENT.name, "false")  # the server sets it
    yield root


def promote(root: Path, *words: str) -> None:
    assert main(["promote", f"root={root}", *words]) == 0


def load(name: str, alias: str = "champion") -> Any:
    import mlflow

    return mlflow.pyfunc.load_model(f"models:/{name}@{alias}")


def serve(model: Any, **request: Any) -> pd.DataFrame:
    """What MLflow's scoring server answers to a request."""
    from fastapi.testclient import TestClient
    from mlflow.pyfunc.scoring_server import init

    answer = TestClient(init(model)).post("/invocations", json=request)
    assert answer.status_code == 200, answer.text
    return pd.DataFrame(answer.json()["predictions"])


def same(answer: pd.DataFrame, told: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(answer, told, check_exact=True)


@pytest.mark.parametrize("kind", ["return", "volatility", "panel"])
def test_a_model_of_prices_predicts_and_serves_what_predict_does(
    kind: str, root: Path, folder: Path, runs: dict[str, str]
) -> None:
    promote(root, f"run={runs[kind]}", f"name=prices {kind}")
    path = folder / ("panel.parquet" if kind == "panel" else "prices.parquet")
    words = [f"root={root}", f"run={runs[kind]}", f"data.path={path}"]
    told = predict_rows(words)[1]
    frame, model = pd.read_parquet(path), load(f"prices {kind}")
    same(model.predict(frame), told)
    same(model.predict(frame, params={"interval": 0.8}), predict_rows([*words, "interval=0.8"])[1])
    if kind != "panel":
        same(model.predict(frame.set_index("date")), told)
    frame["date"] = frame["date"].dt.strftime("%Y-%m-%d")
    same(model.predict(frame), told)
    answer = serve(model, dataframe_split=json.loads(frame.to_json(orient="split", index=False)))
    answer["last_day"] = pd.to_datetime(answer["last_day"])
    pd.testing.assert_frame_equal(answer, told, check_dtype=False, rtol=1e-12)


def test_a_model_of_reviews_takes_a_frame_and_a_list(root: Path, runs: dict[str, str]) -> None:
    promote(root, "run=latest", f"data.path={write_texts(root)}")
    words = [f"root={root}", f"run={runs['sentiment']}", f"data.path={write_texts(root)}"]
    told, model = predict_rows(words)[1], load("upgate-sentiment")
    same(model.predict(TEXTS), told)
    same(model.predict(pd.DataFrame({"text": TEXTS})), told)
    for request in ({"dataframe_split": {"columns": ["text"], "data": [[t] for t in TEXTS]}},):
        pd.testing.assert_frame_equal(serve(model, **request), told, rtol=1e-12)
    pd.testing.assert_frame_equal(serve(model, inputs=TEXTS), told, rtol=1e-12)
    with pytest.raises(Exception, match=r'first column is id; give a list of texts, or frame\[\["'):
        model.predict(pd.DataFrame({"id": TEXTS, "text": TEXTS}))


def write_texts(root: Path) -> Path:
    path = root.parent / "texts.txt"
    path.write_text("\n".join(TEXTS))
    return path


def test_a_run_becomes_one_version_and_is_no_pickle(
    root: Path, runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    client, key = Store(root).client, runs["return"]
    promote(root, f"run={key}", "name=once")
    promote(root, f"run={key}", "name=once", "alias=challenger")
    said = capsys.readouterr().out
    assert "once version 1 is registered, as champion" in said
    assert "once version 1 was there already, as challenger" in said
    assert 'load_model("models:/once@challenger")' in said and "mlflow models serve" in said
    (version,) = client.search_model_versions("name = 'once'")
    row = find_run(Store(root), key)
    assert (version.run_id, version.tags["upgate.key"]) == (row.run_id, row.key)
    promote(root, f"run={runs['volatility']}", "name=once")
    aliases = {version.version: version.aliases for version in client.search_model_versions("")}
    assert client.get_model_version_by_alias("once", "champion").version == 2, aliases
    assert client.get_model_version_by_alias("once", "challenger").version == 1
    model = load("once")
    assert model.loader_module == "upgate.run.served" and model.metadata.run_id
    names = [one.name for one in model.metadata.signature.inputs]
    assert names == ["date", "ticker", "open", "high", "low", "close", "volume"]
    files = sorted(path.name for path in (root / "artifacts" / row.run_id).rglob("model/**/*"))
    assert "best.ckpt" in files and not [name for name in files if name.endswith((".pkl", ".py"))]
    requirements = next((root / "artifacts" / row.run_id).rglob("requirements.txt")).read_text()
    assert "upgate==" in requirements and "torch==" in requirements


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "promote needs run=..., such as run=latest"),
        (["run=zzzz"], "run=zzzz is not a finished run of this store"),
        (
            ["run=latest", "nam=a"],
            "unknown key nam for a run of task=sentiment, did you",
        ),
        (["run=latest", "name=a/b"], "name=a/b cannot name a model"),
        (["run=latest", "alias=v1"], "alias=v1 cannot be one"),
        (["run=latest", "alias=latest"], "alias=latest cannot be one"),
        (["run=latest", "name=new", "data.path=no.csv"], "no.csv"),
        (["run=latest", "champion"], "champion cannot be read; write key=value"),
        (["--alias", "run=latest"], "--alias is not a flag here"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    words: list[str], told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", *words, f"root={root}"]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_a_training_registers_its_run_which_delete_then_keeps(
    root: Path, folder: Path, runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(prices=folder / "prices.parquet") for word in RUNS["return"]]
    asked = [*small(*words, *TINY), *places(root), "promote=true", "promote.name=trained"]
    assert main(["train", *asked, "promote.alias=next", "-q"]) == 0  # it is stored already
    *_, told = capsys.readouterr().out.splitlines()
    key = runs["return"]
    assert told.startswith(f"trained version 1 is registered, as next: run {key[:8]}, upgraded")
    assert main(["delete", f"root={root}", f"run={key}", "--yes"]) == 2
    said = capsys.readouterr().err
    assert "version 1 of model trained (next)" in said and said.count("\n") == 1
    client = Store(root).client
    for version in client.search_model_versions(f"run_id = '{find_run(Store(root), key).run_id}'"):
        client.delete_model_version(version.name, version.version)
    assert main(["delete", f"root={root}", f"run={key}"]) == 0  # asks, as there is no version left
    assert "nothing was deleted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-m", "promote=true", "seed=0,1"], "these words are 2; train them, and then upgate pr"),
        (["promote=true", "trainer.fast_dev_run=true"], "that records nothing"),
        (["promote=yes"], "promote=yes must be true or false"),
        (["promote=true", "promote.alais=a"], "did you mean 'promote.alias'"),
        (["promote.alias=a"], "promote.alias=a goes with promote=true"),
        (["promote=true", "promote.alias=v1"], "alias=v1 cannot be one"),
        (["promote=true", "promote=false"], "promote needs one value"),
    ],
)
def test_what_cannot_be_registered_is_said_before_training(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words, f"root={tmp_path / 'runs'}"]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and not (tmp_path / "runs").exists()


@pytest.mark.long
def test_a_store_of_a_server_has_a_registry_too(
    root: Path, runs: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    server = Server(Store(root).ui_command(port), f"http://127.0.0.1:{port}")
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        promote(root, f"run={runs['return']}", "name=served")
        promote(root, f"run={runs['return']}", "name=served")
        client = Store(root).client
        (version,) = client.search_model_versions("name = 'served'")
        found = client.get_model_version_by_alias("served", "champion")
        assert found.version == version.version == "1"
        words = [f"root={root}", f"run={runs['return']}", f"data.path={folder / 'prices.parquet'}"]
        same(
            load("served").predict(pd.read_parquet(folder / "prices.parquet")),
            predict_rows(words)[1],
        )
    finally:
        server.kill()


BOTH = pytest.mark.parametrize("to", ["torch", pytest.param("onnx", marks=pytest.mark.long)])


def exported(root: Path, run: str, to: str, out: Path) -> tuple[Any, dict[str, Any]]:
    """What runs the file, read without a word of ours in it, and what stands beside it."""
    assert main(["export", f"root={root}", f"run={run}", f"to={to}", f"out={out}"]) == 0
    about = json.loads(out.with_name(f"{out.name}.json").read_text())
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, f"{out.name}.json"]
    assert run in about["key"] and about["largest_difference"] < 1e-5 and about["made_by"]
    if to == "torch":
        nodes = torch.export.load(out).graph.nodes
        assert not [node for node in nodes if "upgate" in str(node.target)]
    return FORMATS[to].load(out), about


@BOTH
def test_an_exported_network_of_prices_forecasts_what_predict_does(
    to: str, root: Path, folder: Path, runs: dict[str, str], tmp_path: Path
) -> None:
    path = folder / "prices.parquet"
    told = predict_rows([f"root={root}", f"run={runs['return']}", f"data.path={path}"])[1]
    run, about = exported(root, runs["return"], to, tmp_path / f"prices{FORMATS[to].suffix}")
    panel = Panel.of(pd.read_parquet(path).assign(ticker=told["ticker"].iloc[0]))
    x, y = (about["scaling"][name]["tickers"][panel.tickers[0]] for name in "xy")
    scaled = (inputs(panel, list(about["features"])) - x["centre"]) / x["scale"]
    scaled = scaled.clip(-about["clip"], about["clip"])
    (drift,) = about["skip"]["tickers"][panel.tickers[0]]
    skip = (drift - y["centre"][0]) / y["scale"][0]
    windows = torch.tensor(scaled[-about["window"] :][None], dtype=torch.float32)
    forecast = run((windows, torch.tensor([skip], dtype=torch.float32)))
    value = float(forecast) * y["scale"][0] + y["centre"][0]
    assert value == pytest.approx(float(told["return"].iloc[0]), rel=1e-4, abs=1e-7)
    half = about["intervals"]["90"] * y["scale"][0]
    low = float(told["last_close"].iloc[0]) * np.exp(value - half)
    assert low == pytest.approx(float(told["low_90"].iloc[0]), rel=1e-5)


@BOTH
def test_an_exported_network_of_reviews_labels_as_predict_does(
    to: str, root: Path, runs: dict[str, str], tmp_path: Path
) -> None:
    path = write_texts(root)
    told = predict_rows([f"root={root}", f"run={runs['sentiment']}", f"data.path={path}"])[1]
    run, about = exported(root, runs["sentiment"], to, tmp_path / f"reviews{FORMATS[to].suffix}")
    tokenizer = Tokenizer.from_str(json.dumps(about["tokenizer"]))
    pieces = [[tokenizer.encode(piece).ids for piece in text.split()] for text in TEXTS]
    tokens = [torch.tensor([one for piece in ids for one in piece]) for ids in pieces]
    hashing = about["places"] | {"ngram_range": tuple(about["places"]["ngram_range"])}
    counted = HashingVectorizer(**hashing).transform(TEXTS)
    places = [torch.tensor(row.indices, dtype=torch.int64) for row in counted]
    inputs = (
        torch.nn.utils.rnn.pad_sequence(tokens, True, about["padding"]),
        torch.tensor([len(ids) for ids in tokens]),
        torch.nn.utils.rnn.pad_sequence(places, True, -1),
    )
    found = pd.DataFrame(run(inputs).numpy(), columns=[f"p_{name}" for name in about["classes"]])
    pd.testing.assert_frame_equal(found, told[list(found)], check_dtype=False, rtol=0, atol=1e-6)


def test_a_network_whose_file_differs_or_cannot_be_leaves_no_file(
    root: Path,
    runs: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["export", f"root={root}", f"run={runs['return']}", "to=torch"]
    touch = (lambda: None, lambda n, e, path: path.touch(), lambda p: wrongly)
    wrong = write.Format(".pt2", *touch, {})
    monkeypatch.setitem(FORMATS, "torch", wrong)
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "the file's outputs differ from the network's own" in capsys.readouterr().err
    os.mkfifo("pipe.pt2")
    for word, told in (
        ("out=no/x.pt2", "there is no folder no"),
        ("out=pipe.pt2", "is no file"),
        ("out=x.onnx", "out=x.onnx must end in .pt2"),
    ):
        assert main([*words, word]) == 2
        assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.pt2"]
    with pytest.raises(UserError, match="task=stock cannot be exported"):
        Task.export(get_task("stock"), {})


def wrongly(inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.full((len(inputs[0]),), 9.0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["to=onnx"], "export needs run=..., such as run=latest"),
        (["run=latest"], "export needs to=onnx or to=torch"),
        (["run=latest", "to=onx"], "to=onx is no format, did you mean 'onnx'?"),
        (["run=latest", "to=torch", "outt=a"], "unknown key outt, did you mean 'out'?"),
        (["run=zzzz", "to=torch"], "run=zzzz is not a finished run of this store"),
    ],
)
def test_a_wrong_word_of_export_is_one_sentence(
    words: list[str], told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *words, f"root={root}"]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_every_feature_has_its_formula() -> None:
    told = {name: formula(name) for name in FEATURES}
    assert len(set(told.values())) == len(FEATURES)
    assert told["range_volatility_5"].startswith("range_volatility, averaged over the last 5 days")
    assert told["market_return_22"].startswith("close_return's mean over the tickers")
