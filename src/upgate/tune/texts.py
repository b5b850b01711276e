"""What a search of hyperparameters or learning rates says on the terminal."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
