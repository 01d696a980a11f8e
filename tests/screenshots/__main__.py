"""`python -m tests.screenshots`: every page and state of the real window, in both colours and sizes, as PNG files.

Fails, with a line for each finding, on what a person would not forgive: cut text, a control without a name, widgets on
top of each other, an empty page, a warning of Qt's, an exception that nobody caught.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.support import model_files


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures; 0 when there is nothing to find, 1 with findings."""
    given = _parser().parse_args(arguments)
    platform = given.platform or ("xcb" if os.environ.get("DISPLAY") else "offscreen")
    os.environ["QT_QPA_PLATFORM"] = platform
    given.out.mkdir(parents=True, exist_ok=True)
    findings, n_pictures = _take(given.out, given.only)
    for finding, shots in findings.items():
        more = f" (and {len(shots) - 1} more)" if len(shots) > 1 else ""
        print(f"{finding}  [{shots[0]}{more}]")
    print(f"{n_pictures} pictures in {given.out}, {len(findings)} findings")
    return 1 if findings else 0


def _take(out: Path, only: str) -> tuple[dict[str, list[str]], int]:
    """All pictures; returns each finding with the pictures it was seen in, and how many pictures there are."""
    from PySide6.QtWidgets import QApplication

    from tests.screenshots.scenes import scenes
    from tests.screenshots.studio import MODES, SIZES, Studio
    from tests.support.screen_checks import QtMessages, blank_reason, findings_of

    found: dict[str, list[str]] = {}
    n_pictures = 0

    def note(finding: object, shot: str) -> None:
        found.setdefault(str(finding), []).append(shot)

    log = _LoggedFaults()
    before, sys.excepthook = sys.excepthook, log.caught
    with tempfile.TemporaryDirectory() as folder, QtMessages() as said:
        app = QApplication(["screenshots"])
        with Studio(app, Path(folder), model_files.smollm2()) as studio:
            for scene in scenes(model_files.gemma3()):
                is_wanted = not only or only in (scene.name, scene.page)
                if not (is_wanted or scene.is_needed):
                    continue
                try:
                    with scene.hold(studio):
                        for mode in MODES if is_wanted else ():
                            for size in SIZES:
                                shot = f"{scene.name}-{mode.value}-{size[0]}x{size[1]}"
                                studio.dress(mode, size)
                                scene.again(studio)
                                picture = studio.picture()
                                n_pictures += picture.save(str(out / f"{shot}.png"))
                                for each in findings_of(studio.window):
                                    note(each, shot)
                                if reason := blank_reason(studio.page_picture()):
                                    note(f"blank: {reason}", shot)
                except Exception as error:  # the other pictures are wanted all the same
                    traceback.print_exc()
                    note(f"scene: {type(error).__name__}: {error}", scene.name)
                for each in (*said.findings, *log.take()):
                    note(each, scene.name)
                said.findings.clear()
        for each in (*said.findings, *log.take()):
            note(each, "closing")
    sys.excepthook = before
    return found, n_pictures


class _LoggedFaults(logging.Handler):
    """Collects what went wrong behind the window's back: logged errors, and exceptions that came out of a slot."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._told: list[str] = []
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self._told.append(f"log: {record.name}: {record.getMessage()}\n{trace}".rstrip())

    def caught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Python's last door."""
        self._told.append("exception: " + "".join(traceback.format_exception(kind, error, trace)).rstrip())

    def take(self) -> list[str]:
        """What was collected since the last time."""
        told, self._told = self._told, []
        return told


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("screenshots"), metavar="DIR", help="where the pictures go")
    parser.add_argument("--only", default="", metavar="PAGE", help="only this page's scenes, or this scene")
    parser.add_argument("--platform", choices=("xcb", "offscreen"), help="Qt's platform; xcb where there is a display")
    return parser


if __name__ == "__main__":
    sys.exit(main())
