"""What every editor of a field can do, whatever it looks like; the form and its rows know only this.

A Protocol and not a base class, because the editors have nothing in common but their promises: what they emit has
passed the field's own check, what they show was set or emitted, and what they refuse they explain.
"""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QWidget

from engine.base.fields import Field, Value


class Editor(Protocol):
    """An editor of one field; also a QWidget.

    Attributes:
        value_changed: emits the new, checked value when a person changed it; never for `set_value`.
        refused: emits why what was typed is not taken, and "" as soon as it is well again.
    """

    value_changed: SignalInstance
    refused: SignalInstance

    @property
    def field(self) -> Field: ...

    def value(self) -> Value:
        """The last value that was set or taken."""
        ...

    def set_value(self, value: Value) -> None:
        """Show a value without emitting. What is being typed is kept if the value is the one we have."""
        ...

    def reset(self) -> None:
        """Go back to the field's default as if a person had typed it."""
        ...

    def control(self) -> QWidget:
        """The widget that takes the focus and that the label belongs to."""
        ...

    def headline(self) -> QWidget | None:
        """The part that stands at the right end of the label's line in a roomy form, or None."""
        ...

    def has_body(self) -> bool:
        """Whether anything is left to show under the label's line when the headline is taken out."""
        ...

    def set_names(self, name: str, description: str) -> None:
        """Give every control of the editor its accessible name and description."""
        ...
