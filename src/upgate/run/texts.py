"""What is said of runs, on the terminal and on their pages in MLflow."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
