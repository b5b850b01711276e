"""What is said of words, keys and choices."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
