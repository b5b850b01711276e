"""What is said of recipes and their parts: what cannot be combined, what did not take effect."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
