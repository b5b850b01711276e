"""What is said of files, tables and splits."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
