"""What `upgate judge` says: on the terminal, on its page and in its sentence."""

from pathlib import Path

from upgate.messages import Messages

TEXTS = Path(__file__).with_name("translations.yaml")

say = Messages(TEXTS)
