"""What a study says on the terminal; its sentence is stored too, in English."""

from pathlib import Path

from upgate.messages import Messages

say = Messages(Path(__file__).with_name("translations.yaml"))
