"""What is said of runs while they train."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
