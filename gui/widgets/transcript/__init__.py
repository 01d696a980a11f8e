"""The transcript: a virtual list of messages with streaming Markdown. Takes plain values, knows no engine.

`Transcript` is the widget, `MessageValue` what it shows; the other modules are its parts.
"""

from gui.widgets.transcript.transcript import Transcript
from gui.widgets.transcript.values import MessageState, MessageValue, Role

__all__ = ["MessageState", "MessageValue", "Role", "Transcript"]
