"""A second Ctrl-C, or SIGTERM, ends a command at once; the first ends it in order."""

import signal
import subprocess
import sys

import pytest

from upgate.execution.signals import ending_at_once, sigterm_as_ctrl_c

CODE = """
import os, signal, sys, time
from upgate.execution.signals import ending_at_once
print("asked")
with ending_at_once(lambda: print("killed")):
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(30)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_kills_and_ends(number: signal.Signals) -> None:
    command = [sys.executable, "-c", CODE, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (130, "asked\nkilled\n", "")


def test_sigterm_is_ctrl_c_and_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    with ending_at_once(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
