"""The Chat page on screen: chats on the left, the thread and the composer in the middle, the inspector on the right.

A thin shell over `ChatPresenter`: it lays out, turns values into words and passes on what a person does. The
inspector is handed in ready-made, because panels do not know each other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import cast

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSplitter, QStackedLayout, QVBoxLayout, QWidget

from engine.base.errors import Trouble
from engine.models.library import LibraryEntry
from engine.store.rows import ConversationId, ConversationRow, MessageId, SearchHit
from engine.workbench.events import ThreadMessage, TokensWanted
from gui.model_file import ask_for_model
from gui.notices import Severity
from gui.page import Activates, Closes, Deactivates, PanelContext
from gui.palette import Entry
from gui.panels.chat.composer import Composer
from gui.panels.chat.conversation_list import ConversationList
from gui.panels.chat.header import ChatHeader, SystemPromptBox
from gui.panels.chat.model_strip import ModelStrip
from gui.panels.chat.presenter import ChatPresenter
from gui.panels.chat.states import ComposerState, Doing, Empty, Header, Progress, Strip
from gui.panels.chat.threads import ThreadChange
from gui.panels.chat.words import bent_template, message_value, progress_text, title_text
from gui.theme import set_kind
from gui.widgets.busy import Busy
from gui.widgets.empty_state import EmptyState
from gui.widgets.transcript import Transcript

LIST_WIDTH, INSPECTOR_WIDTH = 230, 330
NARROW_LIST_WIDTH, NARROW_INSPECTOR_WIDTH = 190, 290
NARROW_PAGE = 1180  # the thread needs the room more than the columns do
NARROWEST = {"list": 180, "centre": 340, "inspector": 270}
PROGRESS_AFTER_MS = 500  # what is over sooner need not be announced; each frame takes processor from the engine
FOOT_GAP = 14  # pixels under the composer
_LIST_FLAG, _INSPECTOR_FLAG, _MOVED_FLAG = "chat.list", "chat.inspector", "chat.columns.moved"


class ChatPage(QWidget):
    """The page.

    Attributes:
        inspector: the right column, handed in.
        list, header, transcript, composer, system_prompt, progress, no_model: its parts.
        presenter: its decisions.
    """

    def __init__(
        self,
        context: PanelContext,
        inspector: QWidget,
        *,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        super().__init__()
        self.context, self._now = context, now
        self._told_warnings: set[tuple[str, ...]] = set()
        self._is_narrow = self._is_moved = self._is_shown = self._is_prepared = False
        self.setAccessibleName(self.tr("Chat"))
        self.presenter = ChatPresenter(context.workbench)
        theme, icons = context.theme, context.icons
        self.list = ConversationList(theme, icons)
        self.inspector = inspector
        self.header = ChatHeader(theme, icons)
        self.header.set_menu_end(self._end_model_menu)
        self.system_prompt = SystemPromptBox(theme)
        self.transcript = Transcript(theme, icons)
        self.composer = Composer(theme)
        self.progress = Busy(theme, can_cancel=False)
        self._progress_timer = QTimer(self, singleShot=True, interval=PROGRESS_AFTER_MS)
        self._progress_timer.timeout.connect(self.progress.show)
        self.no_model = EmptyState(
            theme,
            self.tr("A small model came with Llamarium. It answers on this computer, without the network."),
            title=self.tr("No model is loaded"),
            button=self.tr("Load the starter model"),
            icon=lambda: icons.icon("models", "text3", 32),
        )
        self._choose = QPushButton(self.tr("Choose a model"))
        self.strip = ModelStrip()
        self._lay_out()
        self._connect()
        self._restore()
        self.presenter.attach(self)
        context.add_palette_source(self._palette_entries)

    # ---- the window's wishes

    def activated(self) -> None:
        # The page's notices belong over the thread, not over all three columns.
        notices = self.context.notices
        if notices.parentWidget() is not self._centre:
            self._centre_layout.insertWidget(2, notices)
        self._share_edges()
        if isinstance(self.inspector, Activates):
            self.inspector.activated()
        self._is_shown = True
        if not self._is_prepared:
            self._is_prepared = True
            self.transcript.prepare()
        self._place_toast()
        self.composer.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def deactivated(self) -> None:
        self._is_shown = False
        self.context.toast.set_bottom_gap()
        self.flush()
        if isinstance(self.inspector, Deactivates):
            self.inspector.deactivated()

    def close_panel(self) -> None:
        self.flush()
        self.presenter.close()
        if isinstance(self.inspector, Closes):
            self.inspector.close_panel()

    def flush(self) -> None:
        """Tell what was typed and is not told yet."""
        self.composer.flush_draft()
        self.system_prompt.flush()

    # ---- actions

    def new_chat(self) -> None:
        """An empty chat, ready to type."""
        self.flush()
        self.presenter.new_chat()
        self.composer.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def focus_search(self) -> None:
        self.set_list_shown(True)
        self.list.focus_search()

    def toggle_list(self) -> None:
        self.set_list_shown(self.list.isHidden())

    def set_list_shown(self, shown: bool) -> None:
        self.list.setVisible(shown)
        self.context.state.set_flag(_LIST_FLAG, shown)

    def toggle_inspector(self) -> None:
        shown = self.inspector.isHidden()
        self.inspector.setVisible(shown)
        self.context.state.set_flag(_INSPECTOR_FLAG, shown)

    def _show_tokens(self, message_id: str) -> None:
        """The inspector shows an answer's tokens; it comes on screen for it."""
        self.inspector.show()
        self.context.state.set_flag(_INSPECTOR_FLAG, True)
        self.context.bus.post(TokensWanted(MessageId(message_id)))

    def regenerate(self) -> None:
        """Another answer to the last question."""
        self.presenter.answer_again()

    def copy_last_answer(self) -> None:
        """Put the last answer's Markdown on the clipboard."""
        message = self.presenter.last_answer()
        if message is not None:
            QGuiApplication.clipboard().setText(message.text)
            self.context.toast.show_text(self.tr("Answer copied"))

    def rename_chat(self) -> None:
        """Name the chat on screen."""
        if self.header.title.button.isEnabled():
            self.header.title.begin()

    def delete_chat(self, conversation_id: str = "") -> None:
        """Delete a chat, or the one on screen; a toast brings it back."""
        wanted = conversation_id or str(self.presenter.conversation_id or "")
        if not wanted:
            return
        row = self.presenter.row(wanted)
        name = title_text(row) if row is not None else self.tr("Chat")
        self.flush()
        restore = self.presenter.delete(wanted)
        self.context.toast.show_undo(self.tr("“{title}” deleted").format(title=_shortened(name)), restore)

    def edit_system_prompt(self) -> None:
        """Show or hide the system prompt."""
        self.header.prompt_button.toggle()

    # ---- what the presenter tells (ChatSurface)

    def show_header(self, header: Header) -> None:
        self.header.show_header(header)
        self.context.set_title(header.title)

    def show_composer(self, state: ComposerState) -> None:
        self.composer.set_state(state)

    def show_progress(self, progress: Progress) -> None:
        if progress.doing is Doing.NOTHING:
            self._progress_timer.stop()
            self.progress.hide()
            return
        self.progress.set_progress(progress.fraction, progress_text(progress))
        if self.progress.isHidden() and not self._progress_timer.isActive():
            self._progress_timer.start()

    def show_empty(self, empty: Empty) -> None:
        if empty is Empty.LOST:
            title, hint = self.tr("The engine stopped"), self.tr("Load the model again to go on.")
        elif empty is Empty.READY:
            title, hint = self.tr("What shall we talk about?"), self.tr("Everything stays on this computer.")
        else:
            title, hint = (
                self.tr("Getting ready"),
                self.tr("You can write already; it is sent when the model is there."),
            )
        self.transcript.set_empty_text(title, hint)
        self._is_without_model = empty is Empty.NO_MODEL
        self._show_middle()

    def show_strip(self, strip: Strip) -> None:
        self.strip.show_strip(strip)

    def change_thread(self, change: ThreadChange) -> None:
        transcript = self.transcript
        if change.reset:
            self._told_warnings.clear()
            transcript.set_messages([message_value(each) for each in change.appended])
            target = self.presenter.take_scroll_target()
            if any(each.id == target for each in change.appended):
                transcript.scroll_to(target)
        else:
            if change.cut:
                transcript.remove_after(change.keep_id)
            for message in change.updated:
                transcript.update(str(message.id), message_value(message))
            for message in change.appended:
                transcript.append_message(message_value(message))
            if change.appended:
                transcript.jump_to_latest()
        self._has_messages = bool(change.appended) or not change.reset
        self._show_middle()

    def add_text(self, message_id: str, text: str, thinking: str) -> None:
        if thinking:
            self.transcript.append_thinking(message_id, thinking)
        if text:
            self.transcript.append_text(message_id, text)

    def finish_message(self, message: ThreadMessage) -> None:
        self.transcript.finish(str(message.id), message_value(message))
        warnings = message.figures.warnings if message.figures else ()
        if warnings and warnings not in self._told_warnings:
            self._told_warnings.add(warnings)
            self.context.notices.show_trouble(bent_template(warnings), Severity.WARNING)

    def show_draft(self, text: str) -> None:
        self.composer.set_text(text)

    def show_system_prompt(self, text: str) -> None:
        self.system_prompt.set_text(text)

    def show_list(self, rows: tuple[ConversationRow, ...], open_id: ConversationId | None) -> None:
        self.list.set_rows(rows, open_id, self._now())

    def show_hits(self, hits: tuple[SearchHit, ...], query: str) -> None:
        self.list.set_hits(hits)

    def show_models(self, entries: tuple[LibraryEntry, ...], present: str) -> None:
        self.header.show_models(entries, present)

    def show_trouble(self, trouble: Trouble) -> None:
        self.context.notices.show_trouble(trouble)

    # ---- hands

    def _send(self, text: str) -> None:
        is_edit = self.presenter.editing_id is not None
        if self.presenter.send(text) and not is_edit:
            self.composer.clear()
            self.presenter.set_draft("")

    def _edit(self, message_id: str) -> None:
        self.flush()
        text = self.presenter.begin_edit(message_id)
        if text is not None:
            self.composer.begin_edit(text)

    def _open(self, conversation_id: str, message_id: str) -> None:
        if message_id and conversation_id == self.presenter.conversation_id:
            if self.presenter.message(message_id) is not None:
                self.transcript.scroll_to(message_id)
            return
        self.flush()
        self.presenter.open(conversation_id, message_id)
        self.composer.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def _prompt_shown(self, shown: bool) -> None:
        self.system_prompt.setVisible(shown)
        if shown:
            self.system_prompt.edit.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.system_prompt.flush()

    def _open_link(self, link: str) -> None:
        url = QUrl(link)
        if url.scheme().lower() in ("http", "https", "mailto"):  # a model must not make us run a file
            QDesktopServices.openUrl(url)

    def ask_for_file(self) -> None:
        """Choose a GGUF file anywhere and load it."""
        ask_for_model(self, self.presenter.open_model)

    def _end_model_menu(self, menu: QMenu) -> None:
        menu.addAction(self.tr("Open file …"), self.ask_for_file)
        menu.addAction(self.tr("All models"), lambda: self.context.go("models"))
        if self.presenter.state.model_path:
            menu.addSeparator()
            menu.addAction(self.tr("Load again"), self.context.workbench.reload)
            menu.addAction(self.tr("Unload"), self.context.workbench.unload_model)

    def _palette_entries(self) -> list[Entry]:
        chats = [
            Entry(
                f"chat:{row.id}",
                title_text(row),
                self.tr("Chat"),
                partial(self._go_to_chat, str(row.id)),
                icon="chat",
            )
            for row in self.presenter.rows
        ]
        models = [
            Entry(
                f"model:{entry.path}",
                entry.label,
                self.tr("Model"),
                partial(self.presenter.open_model, str(entry.path)),
                icon="models",
                help=str(entry.path),
            )
            for entry in self.context.workbench.library
            if entry.is_model
        ]
        return [*chats, *models]

    def _go_to_chat(self, conversation_id: str) -> None:
        self.context.go("chat")
        self._open(conversation_id, "")

    # ---- making it

    def _show_middle(self) -> None:
        empty = self._is_without_model and not self._has_messages
        self._middle.setCurrentWidget(self.no_model if empty else self.transcript)

    def _connect(self) -> None:
        presenter, composer, transcript = self.presenter, self.composer, self.transcript
        composer.sent.connect(self._send)
        composer.stopped.connect(presenter.stop)
        composer.draft_changed.connect(presenter.set_draft)
        composer.edit_left.connect(presenter.end_edit)
        transcript.edit_requested.connect(self._edit)
        transcript.again_requested.connect(presenter.answer_again)
        transcript.tokens_requested.connect(self._show_tokens)
        transcript.sibling_requested.connect(presenter.show_sibling)
        transcript.copy_requested.connect(lambda _id: self.context.toast.show_text(self.tr("Message copied")))
        transcript.link_clicked.connect(self._open_link)
        self.list.open_wanted.connect(self._open)
        self.list.new_wanted.connect(self.new_chat)
        self.list.delete_wanted.connect(self.delete_chat)
        self.list.rename_wanted.connect(presenter.rename)
        self.list.pin_wanted.connect(presenter.pin)
        self.list.search_changed.connect(presenter.search)
        self.header.renamed.connect(presenter.rename_open)
        self.header.model_chosen.connect(presenter.open_model)
        self.header.prompt_toggled.connect(self._prompt_shown)
        self.system_prompt.edited.connect(presenter.set_system_prompt)
        self.system_prompt.left.connect(lambda: self.header.prompt_button.setChecked(False))
        self.no_model.first_step.connect(presenter.load_starter)
        self._choose.clicked.connect(lambda: self.context.go("models"))
        self.strip.choice_wanted.connect(lambda: self.context.go("models"))
        self.strip.starter_wanted.connect(presenter.load_starter)
        self.strip.reload_wanted.connect(presenter.load_again)

    def _lay_out(self) -> None:
        self._has_messages = self._is_without_model = False
        self._choose.setAccessibleName(self._choose.text())
        column = cast(QVBoxLayout, self.no_model.layout())
        column.insertWidget(column.count() - 1, self._choose, 0, Qt.AlignmentFlag.AlignHCenter)
        self._centre, self._foot = QWidget(), QWidget()
        set_kind(self._centre, "surface0")
        self._centre.installEventFilter(self)
        middle = QWidget()
        self._middle = QStackedLayout(middle)
        self._middle.addWidget(self.transcript)
        self._middle.addWidget(self.no_model)
        self._centre_layout = QVBoxLayout(self._centre)
        self._centre_layout.setContentsMargins(0, 0, 0, 0)
        self._centre_layout.setSpacing(0)
        self._centre_layout.addWidget(self.header)
        self._centre_layout.addWidget(self.system_prompt)
        self._centre_layout.addWidget(middle, 1)
        self._fill_foot()
        self._centre_layout.addWidget(self._foot)
        self.system_prompt.hide()
        self.progress.hide()
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(1)
        # First, as a style sheet makes Qt restyle all that a widget holds whenever that is put into another one.
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter)
        for place, (name, widget) in enumerate(
            (("list", self.list), ("centre", self._centre), ("inspector", self.inspector))
        ):
            widget.setMinimumWidth(NARROWEST[name])
            self.splitter.addWidget(widget)
            self.splitter.setStretchFactor(place, 1 if name == "centre" else 0)

    def _fill_foot(self) -> None:
        """What stands under the thread, as wide as its column."""
        self._foot_layout = QVBoxLayout(self._foot)
        self._foot_layout.setSpacing(8)
        for each in (self.strip, self.progress, self.composer):
            self._foot_layout.addWidget(each)
        self._foot.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            if watched is self._centre:
                self._share_edges()
            elif watched is self._foot:
                self._place_toast()
        return super().eventFilter(watched, event)

    def _share_edges(self) -> None:
        """Everything in the middle begins and ends where the thread's text does."""
        left, right = self.transcript.edges_in(self._centre.width())
        self.header.set_left(left)
        self.system_prompt.set_edges(left, right)
        self.context.notices.set_edges(left, right)
        self._foot_layout.setContentsMargins(left, 6, right, FOOT_GAP)

    def _place_toast(self) -> None:
        """Keep toasts off what is being typed."""
        if self._is_shown:
            below = self.window().height() - self.mapTo(self.window(), self.rect().bottomLeft()).y() - 1
            self.context.toast.set_bottom_gap(below + self._foot.height() + 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_narrow = self.width() < NARROW_PAGE
        if is_narrow is not self._is_narrow:
            self._is_narrow = is_narrow
            self._share_width()

    def _share_width(self) -> None:
        """Give the columns their usual width, unless somebody has set another."""
        if self._is_moved:
            return
        sides = (NARROW_LIST_WIDTH, NARROW_INSPECTOR_WIDTH) if self._is_narrow else (LIST_WIDTH, INSPECTOR_WIDTH)
        self.splitter.setSizes([sides[0], 10_000, sides[1]])

    def _moved(self) -> None:
        if not self._is_moved:
            self._is_moved = True
            self.context.state.set_flag(_MOVED_FLAG, True)

    def _restore(self) -> None:
        state = self.context.state
        self._share_width()
        self._is_moved = state.flag(_MOVED_FLAG, False)
        if self._is_moved:
            state.attach_splitter("chat.columns", self.splitter)
        self.splitter.splitterMoved.connect(lambda _position, _index: self._moved())
        self.list.setVisible(state.flag(_LIST_FLAG, True))
        self.inspector.setVisible(state.flag(_INSPECTOR_FLAG, True))


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
