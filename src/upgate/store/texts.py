"""What is said of the store: where it is, what it keeps and what MLflow answers."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
