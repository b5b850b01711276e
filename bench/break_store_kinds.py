"""The ways in which a sweep is broken. Each starts it and disturbs it; what ends it comes later."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from break_store_place import LONGEST, Command, Place, Stopped

Kind = Callable[[Place, Random], None]


def ended(command: Command, seconds: float = LONGEST) -> int:
    """Wait for the end of a command. Raises Stopped where there is none."""
    code = command.wait(seconds)
    if code is None:
        raise Stopped(f"it had not ended after {seconds} s")
    return code


def by_signal(*signals: signal.Signals, pause: float = 0.0) -> Kind:
    def disturb(place: Place, chance: Random) -> None:
        command, began = place.start(), time.monotonic()
        if command.wait(place.moment(chance)) is not None:  # too late: the machine is faster now
            place.undisturbed.seconds = time.monotonic() - began
        for i, number in enumerate(signals):
            time.sleep(pause * bool(i))
            place.disturbed += command.signal(number) and not i
        ended(command, 60)

    return disturb


def kills(times: int) -> Kind:
    def disturb(place: Place, chance: Random) -> None:
        for _ in range(times):
            by_signal(signal.SIGKILL)(place, chance)

    return disturb


def processes(command: Command, what: str) -> list[int]:
    """Processes below a command in whose command line a text stands."""
    parents, found, below = {}, [], {command.pid}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    for _ in range(4):
        below |= {pid for pid, parent in parents.items() if parent in below}
    for pid in sorted(below - {command.pid}):
        with suppress(OSError):
            if what.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def without_watchdog(place: Place, chance: Random) -> None:
    command = place.start()
    time.sleep(place.moment(chance))
    for pid in processes(command, "upgate.store.reaper"):
        os.kill(pid, signal.SIGKILL)
    place.disturbed += command.signal(signal.SIGKILL)
    ended(command)


def stop_and_continue(place: Place, chance: Random) -> None:
    command = place.start()
    time.sleep(place.moment(chance))
    place.disturbed += command.signal(signal.SIGSTOP)
    time.sleep(chance.uniform(1, 8))
    command.signal(signal.SIGCONT)
    if (code := ended(command)) != 0:
        raise Stopped(f"after SIGCONT it ended with {code}")


def worker(what: str) -> Kind:
    """Kill a worker, as the kernel does when memory is short, or the server that forks them."""

    def disturb(place: Place, chance: Random) -> None:
        place.more = ["executor=local", "executor.workers=2"]
        command = place.start()
        until = time.monotonic() + LONGEST
        while command.poll() is None and time.monotonic() < until:
            found = processes(command, "forkserver")
            logs = list(place.root.glob("open/*/*.jsonl"))
            if len(found) > 1 and len(logs) > 1:
                break
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 3))
        found = processes(command, "forkserver")
        if found and command.poll() is None:
            os.kill(found[0] if what == "server" else found[-1], signal.SIGKILL)
            place.disturbed += 1
        if (code := ended(command)) not in (0, 1, 2):
            raise Stopped(f"it ended with {code}")

    return disturb


def clock_backwards(place: Place, chance: Random) -> None:
    """The clock that a process sees goes back by an hour or a month, at a random moment.

    Or the sweep is killed, and the command that is given again has a clock that is so much late.
    The clock is Python's, replaced in the real process; that of files is the machine's.
    """
    span, real, real_ns = chance.choice([3600.0, 30 * 86400.0]), time.time, time.time_ns
    moment = place.moment(chance)
    if chance.random() < 0.5:
        by_signal(signal.SIGKILL)(place, chance)
        moment = 0.0
    begin = time.monotonic()

    def back() -> float:
        return span * (time.monotonic() - begin > moment)

    def before() -> None:
        time.time = lambda: real() - back()  # type: ignore[assignment]
        time.time_ns = lambda: real_ns() - int(back() * 1e9)  # type: ignore[assignment]

    command = place.start(before=before)
    place.disturbed += bool(moment)  # else the kill counts
    if (code := ended(command)) != 0:
        raise Stopped(f"it ended with {code}")


def locked_database(place: Place, chance: Random) -> None:
    """Somebody else holds the database for 60 s."""
    command = place.start()
    time.sleep(place.moment(chance))
    while not place.database.exists() and command.poll() is None:
        time.sleep(0.05)
    if command.poll() is None:
        other = sqlite3.connect(place.database, timeout=30, isolation_level=None)
        with suppress(sqlite3.OperationalError):
            other.execute("begin exclusive")
            place.disturbed += 1
            time.sleep(60)
        other.close()
    ended(command)


def small_files(place: Place, chance: Random) -> None:
    """No file may grow beyond a limit: what a quota does."""
    limit = chance.choice([100, 5_000, 60_000, 300_000, 700_000])

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = place.start(before=before)
    place.disturbed += ended(command) != 0


def mount(place: Place, options: str) -> None:
    place.root.mkdir(exist_ok=True)
    call = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place.root)]
    subprocess.run(call, check=True, capture_output=True)
    place.closers.append(lambda: subprocess.run(["umount", "-l", str(place.root)], check=False))


def remount(place: Place, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place.root)], check=True)


def full_disk(place: Place, chance: Random) -> None:
    mount(place, f"size={chance.choice([100, 600, 900, 1200, 1500, 2000])}k")
    command = place.start()
    place.disturbed += ended(command) != 0
    remount(place, "size=500m")


def read_only(place: Place, chance: Random) -> None:
    """The root is read-only, from the start or from a moment on."""
    mount(place, "size=500m")
    if chance.random() < 0.5:
        remount(place, "ro")
        command = place.start()
        if (code := ended(command)) != 2:
            raise Stopped(f"on a read-only root it ended with {code}")
        place.disturbed += 1
    else:
        command = place.start()
        time.sleep(place.moment(chance))
        place.disturbed += command.signal(signal.SIGKILL)
        ended(command)
        wait_for_watchdogs(place)
        with suppress(subprocess.CalledProcessError):
            remount(place, "ro")
            if (code := ended(place.start())) != 2:
                raise Stopped(f"on a read-only root it ended with {code}")
    remount(place, "rw")


def wait_for_watchdogs(place: Place) -> None:
    """Until the watchdogs of the place's dead commands have done their work."""
    until = time.monotonic() + 120
    while time.monotonic() < until and list(place.root.glob("open/*/*.jsonl")):
        time.sleep(0.2)


def moved(place: Place, chance: Random) -> None:
    """The store is moved after a kill, with what is not delivered."""
    without_watchdog(place, chance)
    move(place)


def move(place: Place) -> None:
    old = place.root
    place.root = place.folder / f"elsewhere-{time.monotonic_ns()}" / "runs"
    place.root.parent.mkdir()
    if old.exists():
        shutil.move(old, place.root)
        place.left.append(old)
    place.database = place.root / "mlflow.db"


def read(place: Place, chance: Random) -> None:
    """Commands that read the store say what there is, or one sentence."""
    words = chance.choice([["runs"], ["runs", "--json"], ["report"], ["predict"]])
    if (code := ended(place.command([*words, f"root={place.root}"]))) not in (0, 2):
        raise Stopped(f"{words} ended with {code}")


def in_any_order(place: Place, chance: Random) -> None:
    """Three to five of: kills, with the watchdog too, Ctrl-C, moves, lists, the whole sweep."""
    actions: list[Kind] = [
        *(by_signal(signal.SIGKILL), by_signal(signal.SIGINT), without_watchdog, moved, read),
        lambda place, chance: place.finish(),
    ]
    for _ in range(chance.randint(3, 5)):
        chance.choice(actions)(place, chance)


def removed(place: Place, chance: Random) -> None:
    """The store is removed while the sweep goes on."""
    command = place.start()
    time.sleep(place.moment(chance))
    place.disturbed += command.poll() is None
    shutil.rmtree(place.root, ignore_errors=True)
    ended(command)
    wait_for_watchdogs(place)


def damaged_line(place: Place, chance: Random) -> None:
    """Killed with its watchdog, and a line of its log has a wrong bit or zeros."""
    without_watchdog(place, chance)
    for path in place.root.glob("open/*/*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        if len(lines) > 1:
            i = chance.randrange(1, len(lines))
            place.spare += lines[i].count(b'":')
            at = chance.randrange(len(lines[i]))
            flipped = bytes([lines[i][at] ^ 1 << chance.randrange(8)])
            zeros = bytes(len(lines[i]) - 1) + b"\n"
            lines[i] = chance.choice([lines[i][:at] + flipped + lines[i][at + 1 :], zeros])
            path.write_bytes(b"".join(lines))


def cut_checkpoint(place: Place, chance: Random) -> None:
    """Killed, and the checkpoint that it would go on from is cut."""
    by_signal(signal.SIGKILL)(place, chance)
    wait_for_watchdogs(place)
    for path in place.root.glob("*/last.ckpt"):
        os.truncate(path, int(path.stat().st_size * chance.random()))


def start_server(place: Place) -> Any:
    """A real MLflow server, for the whole try."""
    from helpers.store import Server, free_port

    port, home = free_port(), place.folder / "server"
    home.mkdir()
    place.database = home / "mlflow.db"
    uri = f"http://127.0.0.1:{port}"
    command = [sys_python(), "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    stored = [f"--backend-store-uri=sqlite:///{place.database}"]
    stored += [f"--artifacts-destination={home / 'artifacts'}"]
    server = Server([*command, *stored], uri)
    place.closers.append(server.kill)
    place.env = {"MLFLOW_TRACKING_URI": uri}
    return server


def server_outage(place: Place, chance: Random) -> None:
    """The server is killed and started again, so often that some runs meet it."""
    server = start_server(place)
    sweep = place.start()
    time.sleep(place.moment(chance))
    server.kill()
    place.disturbed += sweep.poll() is None
    time.sleep(chance.choice([1, 10, 40]))
    server.start()
    ended(sweep)


def losing_answers(hold: float) -> Kind:
    """Two of five answers of the server are lost, or come later than the client waits, 4 s."""

    def disturb(place: Place, chance: Random) -> None:
        from helpers.store import Proxy

        proxy = Proxy(start_server(place).uri, hold, chance.randrange(1000))
        proxy.__enter__()
        place.closers.append(proxy.shutdown)
        place.env = {"MLFLOW_TRACKING_URI": proxy.uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": "4"}
        code = ended(place.start())
        place.disturbed += proxy.lost > 0
        proxy.share = 0.0
        if code != 0:
            raise Stopped(f"it ended with {code}")

    return disturb


def sys_python() -> str:
    import sys

    return sys.executable


KINDS: dict[str, Kind] = {
    "kill -9": kills(1),
    "three to five things in any order": in_any_order,
    "kill -9, three times": kills(3),
    "Ctrl-C": by_signal(signal.SIGINT),
    "Ctrl-C twice": by_signal(signal.SIGINT, signal.SIGINT, pause=0.3),
    "SIGTERM": by_signal(signal.SIGTERM),
    "killed with its watchdog": without_watchdog,
    "stopped and continued": stop_and_continue,
    "clock backwards": clock_backwards,
    "store moved after a kill": moved,
    "damaged line": damaged_line,
    "checkpoint cut": cut_checkpoint,
    "quota": small_files,
    "disk full": full_disk,
    "root read-only": read_only,
    "store removed meanwhile": removed,
    "database locked for 60 s": locked_database,
    "worker killed": worker("worker"),
    "forkserver killed": worker("server"),
    "MLflow server killed and started": server_outage,
    "two of five answers lost": losing_answers(0.0),
    "two of five answers hang": losing_answers(8.0),
}
