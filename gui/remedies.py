"""What a notice's button does: one place for every `Remedy`, whoever offered it.

The engine names the next step as a value; here it becomes a call of the façade. No Qt: opening a folder or a page is
handed in. Rejected: a callback inside each trouble (it could not cross a pipe).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.base.errors import BugError, Remedy, RemedyKind
from engine.runtime.supervisor import Phase
from engine.store.rows import MessageId, Role
from engine.workbench import Workbench
from engine.workbench.workbench import parse_changes


class Remedies:
    """Does what remedies say.

    Args:
        workbench: the façade.
        go: shows a page by its key.
        open_folder: shows a folder in the desktop's file manager.
    """

    def __init__(self, workbench: Workbench, go: Callable[[str], None], open_folder: Callable[[Path], None]) -> None:
        self._workbench, self._go, self._open_folder = workbench, go, open_folder
        self._answer_when_ready: MessageId | None = None

    def perform(self, remedy: Remedy) -> None:
        """Do it. Raises `KnownError` when it cannot be done (any more)."""
        workbench = self._workbench
        match remedy.kind:
            case RemedyKind.SET_OPTION:
                self._answer_when_ready = self._unanswered()
                workbench.reload(parse_changes(remedy.argument))
            case RemedyKind.RELOAD:
                workbench.reload()
            case RemedyKind.RESTART_ENGINE:
                workbench.restart_engine()
            case RemedyKind.LOAD_ANYWAY:
                workbench.load_anyway()
            case RemedyKind.DROP_OLDEST:
                self._answer(drop_oldest=True)
            case RemedyKind.RETRY:
                self._retry()
            case RemedyKind.CHOOSE_MODEL:
                self._go("models")
            case RemedyKind.OPEN_PAGE:
                self._go(remedy.argument)
            case RemedyKind.OPEN_FOLDER:
                self._open_folder(Path(remedy.argument))
            case _:
                raise BugError(f"nobody knows how to {remedy.kind}")

    def engine_is(self, phase: Phase) -> None:
        """The engine's phase changed: a question that waited for a larger context is answered now."""
        if phase is Phase.READY:
            wanted, self._answer_when_ready = self._answer_when_ready, None
            if wanted is not None and wanted == self._unanswered():
                self._workbench.answer_again(wanted)
        elif phase in (Phase.EMPTY, Phase.LOST):
            self._answer_when_ready = None

    def _unanswered(self) -> MessageId | None:
        """The last message, if it is a question."""
        messages = self._workbench.dialogue.messages
        return messages[-1].id if messages and messages[-1].role is Role.USER else None

    def _answer(self, *, drop_oldest: bool) -> None:
        messages = self._workbench.dialogue.messages
        question = next((each for each in reversed(messages) if each.role is Role.USER), None)
        if question is not None:
            self._workbench.answer_again(question.id, drop_oldest=drop_oldest)

    def _retry(self) -> None:
        """The same again: the answer if there is a model, else the load; the list of chats comes anew in any case."""
        workbench = self._workbench
        workbench.dialogue.refresh_list()
        if workbench.state.phase is Phase.READY:
            if self._unanswered() is not None:
                self._answer(drop_oldest=False)
        elif not workbench.state.is_busy:
            workbench.reload()
