"""A tooltip whose text is shown as it stands: a token may look like markup, and Qt would take it for some."""

from __future__ import annotations

import html


def plain_tip(text: str) -> str:
    """The text for `QToolTip.showText` and `setToolTip`; "" stays "", which shows none."""
    if not text:
        return ""
    lines = html.escape(text).replace("\n", "<br>")
    return f'<p style="white-space: pre">{lines}</p>'
