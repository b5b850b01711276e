"""The command itself, as real processes: help and every typo answer at once, in one line, with exit
code 2.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
import yfinance
from yfinance.config import YfConfig

from upgate.cli import entry as cli
from upgate.cli.help import HELP
from upgate.config.compose import choices, compose, groups

HEAVY = ("torch", "lightning", "mlflow", "pandas", "numpy")


def upgate(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "upgate.cli", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **env},
        timeout=60,
    )


@pytest.fixture
def no_heavy(tmp_path: Path) -> str:
    """A PYTHONPATH on which importing anything heavy raises; lightning's source may be read, not
    imported.
    """
    for name in HEAVY:
        if name != "lightning":  # it imports torch first
            (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    return os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])


TYPOS = [
    (["train", "optimizer=adm"], "upgate: optimizer=adm is not a choice, did you mean 'adam'?"),
    (["train", "--multirn"], "upgate: --multirn is not a flag here, did you mean '--multirun'?"),
    (["trian"], "upgate: upgate trian is not a command, did you mean 'train'?"),
    (
        ["train", "clip.max_nrom=1"],
        "upgate: unknown key clip.max_nrom=1, did you mean 'clip.max_norm'?",
    ),
    (
        ["train", "-m", "seed=0,1", "clip=nrom,none"],
        "upgate: clip=nrom is not a choice, did you mean 'norm'?",
    ),
    (
        ["train", "data=prices"],
        "upgate: data.path is missing; give it a value, as in data.path=...",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), TYPOS, ids=[" ".join(words) for words, _ in TYPOS])
def test_a_typo_is_one_line_and_imports_nothing_heavy(
    words: list[str], sentence: str, no_heavy: str
) -> None:
    done = upgate(*words, PYTHONPATH=no_heavy)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [sentence])


def test_the_fixture_sees_a_heavy_import(no_heavy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env={**os.environ, "PYTHONPATH": no_heavy},
        capture_output=True,
        text=True,
    )
    assert "torch was imported" in done.stderr


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help(flag: str, no_heavy: str) -> None:
    done = upgate(flag, PYTHONPATH=no_heavy)
    assert (done.returncode, done.stdout, done.stderr) == (0, HELP, "")


def test_importing_the_command_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, upgate.cli; print(json.dumps([name.partition('.')[0] for name in"
        " sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & {*HEAVY, "hydra", "omegaconf"}


def test_cfg_job_prints_yaml_that_loads(no_heavy: str) -> None:
    words = ["optimizer=adam", "optimizer.lr=1e-3", "root=/数据/a b", "regularization=[l1,l2]"]
    done = upgate("train", *words, "--cfg", "job", PYTHONPATH=no_heavy, PYTHONUTF8="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout) == compose(words)


def test_choices_lists_every_group_and_choice(no_heavy: str) -> None:
    done = upgate("train", "--choices", PYTHONPATH=no_heavy)
    listed = {
        line.split()[0]: line.split(maxsplit=1)[1].split(", ") for line in done.stdout.splitlines()
    }
    assert (done.returncode, listed) == (
        0,
        {**{group: choices(group) for group in groups()}, "+experiment": choices("experiment")},
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["runs", "tsak=stock"], "did you mean 'task'?"),
        (["runs", "task="], "task needs a value"),
        (["runs", "--jsno"], "did you mean '--json'?"),
        (["runs", "task=a", "task=b"], "task=a and task=b both set task"),
        (["ui", "poort=5000"], "did you mean 'port'?"),
        (["ui", "prot=5001"], "did you mean 'port'?"),
        (["ui", "port=abc"], "port=abc must be a whole number"),
        (["train", "--config-dir"], "--config-dir"),
        (["train", "--config-dir", "/nowhere", "--choices"], "/nowhere is not a folder"),
        (["train", "seed=0,1"], "-m"),
    ],
)
def test_other_words_that_cannot_be_done(
    words: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("upgate: ") and err.count("\n") == 1 and part in err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_names_every_command(command: str) -> None:
    assert f"\n  upgate {command} " in HELP


YAHOO = ["data=yahoo", "data.folder=snapshots"]
PRICES = ["data=prices", "data.path=x.csv"]
DATA = [
    (
        [*YAHOO, "data.tickers=true"],
        "data.tickers=true must be a ticker or a list of them, as in [AAPL,MSFT]",
    ),
    (
        [*YAHOO, "data.tickers=[AAPL,1.5]"],
        "data.tickers=[AAPL,1.5] must be a ticker or a list of them",
    ),
    (
        [*YAHOO, "data.tickers=[]"],
        "data=yahoo needs data.tickers, such as data.tickers=[AAPL,MSFT]",
    ),
    (
        [*YAHOO, "data.tickers=3"],
        "Yahoo gave no or almost no prices for 3: it cannot be reached from here",
    ),
    ([*YAHOO, "data.start=5"], "data.start is '5', which is no day; write it as 2010-12-31"),
    (
        [*YAHOO, "data.end=[2014]"],
        "data.end=[2014] must be a day, a month or a year, as in 2010-12-31",
    ),
    ([*YAHOO, "data.refresh=maybe"], "data.refresh=maybe must be true or false"),
    ([*YAHOO, "data.bad=maybe"], "data.bad=maybe is not a choice; there is drop, refuse"),
    (["data=yahoo", "data.folder=3"], "data.folder=3 must be text, as in data.folder='\"3\"'"),
    (["data.start=5"], "data.start is '5', which is no day"),
    (["data.start=2014.5"], "data.start=2014.5 must be a day, a month or a year"),
    (["data.end=true"], "data.end=true must be a day, a month or a year"),
    (["data.bad=drpo"], "data.bad=drpo is not a choice, did you mean 'drop'?"),
    ([*PRICES, "data.tickers={a:1}"], "data.tickers={a:1} must be a ticker or a list of them"),
    (
        [*PRICES, "data.tickers=[]"],
        "data.tickers=[] leaves nothing; data.tickers=null takes all of them",
    ),
    ([*PRICES, "data.tickers=3"], "there is no file x.csv"),
    (
        ["data=prices", "data.path=[a,b]"],
        "data.path=[a,b] must be text, as in data.path='\"[a,b]\"'",
    ),
    (["data=prices", "data.path=3"], "data.path=3 must be text, as in data.path='\"3\"'"),
    (
        ["data=prices", "data.path=null"],
        "data=prices needs data.path=<a file or folder of daily prices>",
    ),
]


@pytest.mark.filterwarnings(
    "ignore::pandas.errors.Pandas4Warning:yfinance"
)  # its own use of pandas
@pytest.mark.parametrize(("words", "told"), DATA, ids=[" ".join(words) for words, _ in DATA])
def test_data_that_cannot_be_is_told_before_anything_runs(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        YfConfig.network.data, "proxy", "http://127.0.0.1:9"
    )  # where nobody listens
    yfinance.set_tz_cache_location(str(tmp_path.parent / "yfinance"))
    assert cli.main(["train", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"upgate: {told}")
    assert not list(tmp_path.iterdir())


def test_a_chinese_code_is_a_ticker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        "ticker,date,open,high,low,close",
        "600519,2020-01-02,1,1,1,1",
        "000858,2020-01-02,2,2,2,2",
    ]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    for word in ("600519", "000858", "[600519,000858]"):  # found, and then too few for a split
        assert (
            cli.main(
                [
                    "train",
                    "data=prices",
                    f"data.path={tmp_path / 'x.csv'}",
                    f"data.tickers={word}",
                    f"root={tmp_path}",
                ]
            )
            == 2
        )
        assert "1 dates are too few for this split" in capsys.readouterr().err


def test_glob_reaches_a_folder_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "lynx.yaml").write_text("name: lynx\nlr: 1e-4\n")
    assert (
        cli.main(
            ["train", "-m", "optimizer=glob(ly*)", "--config-dir", str(tmp_path), "--cfg", "job"]
        )
        == 0
    )
    assert yaml.safe_load(capsys.readouterr().out)["optimizer"] == {"name": "lynx", "lr": 1e-4}


def test_a_folder_of_ones_own_that_is_no_group_is_refused_where_choices_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.yaml").write_text("name: x\n")
    for words in (["--choices"], ["--cfg", "job"], ["optimizer=adam"]):
        assert cli.main(["train", *words, "--config-dir", str(tmp_path)]) == 2
        assert (
            "mine is not a group, so nothing would use its choices; there is averaging, clip,"
            in capsys.readouterr().err
        )


def test_a_word_with_a_line_break_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["train", "sead=a\nb"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_cfg_takes_job_only() -> None:
    assert cli.main(["train", "--cfg", "jbo"]) == 2


def test_cfg_of_a_sweep_is_one_document_per_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "-m", "seed=0,1", "--cfg", "job"]) == 0
    assert [one["seed"] for one in yaml.safe_load_all(capsys.readouterr().out)] == [0, 1]


@pytest.mark.parametrize(("own", "expected"), [(None, "passive"), ("active", "active")])
def test_threads_that_wait_sleep_unless_a_user_says_otherwise(
    own: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if own is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", own)
    assert cli.main(["train", "sead=1"]) == 2
    assert os.environ["OMP_WAIT_POLICY"] == expected
