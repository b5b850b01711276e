"""What is said of the properties of parts: their titles and what does not hold."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
