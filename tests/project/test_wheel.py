"""The wheel carries the whole package and its conf/, and finds that wherever it is unpacked."""

import os
import subprocess
import sys
import tomllib
from email import message_from_string
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from helpers.project import REPO
from upgate.config.compose import compose

pytestmark = [
    pytest.mark.skipif(
        find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is not installed"
    ),
    pytest.mark.skipif(
        not (REPO / "pyproject.toml").exists(), reason="no pyproject.toml: not a checkout"
    ),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built offline with the hatchling that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run(
        [*pip, "--wheel-dir", str(folder), str(REPO)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("upgate-*.whl")
    return built


def test_it_holds_every_module_and_every_choice_and_nothing_else(wheel: Path) -> None:
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kinds = ("*.py", "*.pyi", "*.css", "translations.yaml", "mlflow_tables.sql", "py.typed")
    files = [path for kind in kinds for path in (REPO / "src").rglob(kind)]
    modules = {path.relative_to(REPO / "src").as_posix() for path in files}
    conf = {
        f"upgate/{path.relative_to(REPO).as_posix()}" for path in (REPO / "conf").rglob("*.yaml")
    }
    assert names == modules | conf and "upgate/py.typed" in names


def test_it_has_the_command_and_the_readme(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        told = {
            Path(name).name: opened.read(name).decode()
            for name in opened.namelist()
            if ".dist-info/" in name
        }
    assert "upgate = upgate.cli:main" in told["entry_points.txt"].splitlines()
    metadata = message_from_string(told["METADATA"])
    assert metadata["Name"] == "upgate" and str(metadata.get_payload()).startswith("# Upgate")


def test_it_says_whose_it_is_and_under_which_license(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        (metadata,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        (license_file,) = (name for name in opened.namelist() if name.endswith("/LICENSE"))
        headers = message_from_string(opened.read(metadata).decode())
        assert opened.read(license_file) == (REPO / "LICENSE").read_bytes()
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert headers["License-Expression"] == project["license"] == "Apache-2.0"
    assert headers["Author"] == project["authors"][0]["name"]
    assert "Typing :: Typed" in headers.get_all("Classifier", [])
    links = dict(line.split(", ", 1) for line in headers.get_all("Project-URL", []))
    assert {"Homepage", "Issues", "Changelog"} <= set(links) and links == project["urls"]


def test_unpacked_anywhere_it_finds_its_own_conf(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "elsewhere").mkdir()

    def said(*command: str) -> str:
        env = {
            **os.environ,
            "PYTHONPATH": str(tmp_path / "site"),
        }  # goes before an editable install
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path / "elsewhere",
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    inside = tmp_path / "site" / "upgate"
    assert said(
        "-c", "from upgate.config.compose import conf_dir; print(conf_dir())"
    ).strip() == str(inside / "conf")
    assert yaml.safe_load(said("-m", "upgate.cli", "train", "--cfg", "job")) == compose([])
    assert not list((tmp_path / "elsewhere").iterdir())
