"""compose.yaml parses, has the versions of constraints.txt, and opens nothing to the network;
docs/cluster.md says what is so.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.project import REPO
from upgate.config import compose as config
from upgate.config.words import expand
from upgate.tune import options as tuning

COMPOSE = REPO / "compose.yaml"

pytestmark = pytest.mark.skipif(not COMPOSE.exists(), reason="no compose.yaml: not a checkout")


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def pinned() -> dict[str, str]:
    return dict(
        re.findall(
            r"^([a-z0-9-]+)==(\S+)",
            (REPO / "constraints.txt").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )


def test_the_server_has_the_clients_versions(asked: dict[str, Any]) -> None:
    mlflow = asked["services"]["mlflow"]
    assert mlflow["image"] == f"upgate-mlflow:{pinned()['mlflow']}" and pinned()[
        "mlflow"
    ] == version("mlflow")
    lines = mlflow["build"]["dockerfile_inline"]
    assert "COPY constraints.txt" in lines and "--constraint /constraints.txt" in lines
    for package in (
        re.findall(r"^RUN pip install .*", lines, re.MULTILINE)[0]
        .split("/constraints.txt ")[1]
        .split()
    ):
        assert package.strip("'").partition("[")[0] in pinned(), (
            f"{package} is not in constraints.txt"
        )
    assert re.fullmatch(r"postgres:\d+\.\d+", asked["services"]["postgres"]["image"])


def test_only_this_machine_reaches_it_and_there_is_no_password_in_it(asked: dict[str, Any]) -> None:
    assert asked["services"]["postgres"]["ports"] == [
        "127.0.0.1:${UPGATE_POSTGRES_PORT:-5432}:5432"
    ]
    assert asked["services"]["mlflow"]["ports"] == [
        "${UPGATE_BIND:-127.0.0.1}:${UPGATE_PORT:-5000}:5000"
    ]
    words = COMPOSE.read_text(encoding="utf-8")
    assert set(re.findall(r"PASSWORD: (\S+)", words)) == {"*password"}
    assert asked["x-password"].startswith(
        "${POSTGRES_PASSWORD:?put a line POSTGRES_PASSWORD=... into the file .env"
    )
    assert (
        "@postgres:" in asked["services"]["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]
    )  # a user, no password


def test_the_server_is_the_small_one_and_outlives_a_restart(asked: dict[str, Any]) -> None:
    mlflow, postgres = asked["services"]["mlflow"], asked["services"]["postgres"]
    told = mlflow["environment"]
    assert (told["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"], told["MLFLOW_DISABLE_TELEMETRY"]) == (
        "false",
        "true",
    )
    assert {"--workers=1", "--serve-artifacts", "--artifacts-destination=/artifacts"} <= set(
        mlflow["command"]
    )
    assert told["MLFLOW_SERVER_ALLOWED_HOSTS"] == "${UPGATE_HOSTS:-localhost:*,127.0.0.1:*}"
    assert mlflow["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert all(
        service["healthcheck"]["test"] and service["restart"] == "unless-stopped"
        for service in (mlflow, postgres)
    )
    kept = {
        place.partition(":")[0] for service in (mlflow, postgres) for place in service["volumes"]
    }
    assert kept == set(asked["volumes"]) == {"artifacts", "postgres"}


def resolved(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [
        "docker",
        "compose",
        "--env-file",
        str(folder / ".env"),
        "--file",
        str(COMPOSE),
        "config",
        "--format",
        "json",
    ]
    return subprocess.run(
        command, env=kept | environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_docker_accepts_it_and_wants_a_password(tmp_path: Path) -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("docker compose is not installed here")
    (tmp_path / ".env").write_text("")
    refused = resolved(tmp_path)
    assert refused.returncode and ".env" in refused.stderr
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=secret\n")
    taken = resolved(tmp_path)
    assert taken.returncode == 0, taken.stderr
    services = json.loads(taken.stdout)["services"]
    assert {port["host_ip"] for service in services.values() for port in service["ports"]} == {
        "127.0.0.1"
    }
    assert (
        services["mlflow"]["environment"]["PGPASSWORD"]
        == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
        == "secret"
    )


def blocks(page: str) -> list[str]:
    return re.findall(
        r"^```bash\n(.*?)^```",
        (REPO / "docs" / page).read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )


def test_the_pages_commands_are_commands_and_both_languages_have_them() -> None:
    """The servers among them run in test_postgres.py; here each word of ours is checked as its
    command would.
    """
    assert blocks("cluster.md") == blocks("cluster.zh-CN.md")
    lines = [shlex.split(line) for block in blocks("cluster.md") for line in block.splitlines()]
    for target, words in [
        (line[1], line[2:]) for line in lines if line[0] == "make" and len(line) > 2
    ]:
        multirun = "ARGS=-m" in words
        words = [word for word in words if not word.startswith("ARGS=")]
        words = tuning.read_tune_options(words)[1] if target == "tune" else words
        assert all(config.compose(one, None)["executor"] for one in expand(words, multirun, None))
    programs = {line[0].partition("=")[0] for line in lines}
    assert programs == {
        "make",
        "docker",
        "echo",
        "export",
        "ssh",
        ".venv/bin/python",
        ".venv/bin/ray",
    }
    told = {
        word
        for line in lines
        if line[0] == "echo"
        for word in re.findall(r"^[A-Z_]+(?==)", line[1])
    }
    assert (
        told
        == {"POSTGRES_PASSWORD", "UPGATE_BIND", "UPGATE_HOSTS"}
        <= set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text(encoding="utf-8")))
    )
