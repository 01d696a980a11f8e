"""The Chat page's decisions: what stands in the thread, what the button does, what is being waited for.

It hears the bus, keeps the state of the page as values, and tells a `ChatSurface` only what changed. It knows no Qt, so
its rules can be tested in milliseconds. Rejected: the view asking the workbench while it paints (two truths on one
screen), a signal for each label (twenty of them a token).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.base.bus import Unsubscribe
from engine.base.clock import Clock, SystemClock
from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.models.labels import model_label
from engine.models.library import LibraryEntry
from engine.models.starter import starter_model
from engine.runtime.supervisor import EngineState, Phase
from engine.store.rows import ConversationId, ConversationRow, MessageId, Role, SearchHit
from engine.wire.messages import FinishReason, PrefillProgress
from engine.workbench import Workbench
from engine.workbench.events import (
    ConversationsChanged,
    EngineChanged,
    LibraryChanged,
    MessageFinished,
    MessageText,
    ThreadChanged,
    ThreadMessage,
)
from gui.panels.chat.states import ComposerState, Doing, Empty, Header, Progress, Strip
from gui.panels.chat.threads import ThreadChange, thread_change

REMAINING_AFTER_S = 1.5  # seconds of a load before its end is worth a guess
USING = (Phase.READING, Phase.WRITING, Phase.WORKING)  # the model is as loaded as before
LARGEST_DOUBLED = 1 << 20  # tokens: no context beyond this is offered where the training context is unknown


class ChatSurface(Protocol):
    """The page as the presenter sees it. Called on the pumping thread, only with what is new."""

    def show_header(self, header: Header) -> None: ...
    def show_composer(self, state: ComposerState) -> None: ...
    def show_progress(self, progress: Progress) -> None: ...
    def show_empty(self, empty: Empty) -> None: ...
    def show_strip(self, strip: Strip) -> None: ...
    def change_thread(self, change: ThreadChange) -> None: ...
    def add_text(self, message_id: str, text: str, thinking: str) -> None: ...
    def finish_message(self, message: ThreadMessage) -> None: ...
    def show_draft(self, text: str) -> None: ...
    def show_system_prompt(self, text: str) -> None: ...
    def show_list(self, rows: tuple[ConversationRow, ...], open_id: ConversationId | None) -> None: ...
    def show_hits(self, hits: tuple[SearchHit, ...], query: str) -> None: ...
    def show_models(self, entries: tuple[LibraryEntry, ...], present: str) -> None: ...
    def show_trouble(self, trouble: Trouble) -> None: ...


class ChatPresenter:
    """The state of one Chat page. Make it, `attach` a surface, `close` it at the end."""

    def __init__(self, workbench: Workbench, clock: Clock | None = None) -> None:
        self.workbench = workbench
        self._clock = clock or SystemClock()
        self._surface: ChatSurface | None = None
        self._thread: tuple[ThreadMessage, ...] = ()
        self._conversation_id: ConversationId | None = None
        self._title = ""
        self._rows: tuple[ConversationRow, ...] = ()
        self._query = ""
        self._header, self._composer, self._progress = Header(), ComposerState(), Progress()
        self._labelled = ("", "")  # a path, and what its model is called
        self._empty: Empty | None = None
        self._strip: Strip | None = None
        self._waiting_text: str | None = None
        self._waiting_path = ""
        self._editing_id: MessageId | None = None
        self._answer_after_load = False
        self._prefill: tuple[int, int] | None = None
        self._load_from_s: float | None = None
        self._subscriptions: list[Unsubscribe] = []
        self._scroll_to: str = ""

    def attach(self, surface: ChatSurface) -> None:
        """Begin to tell this surface, first of all what is so now."""
        self._surface = surface
        listen = self.workbench.subscribe
        self._subscriptions = [
            listen(EngineChanged, self._engine_changed),
            listen(ThreadChanged, self._thread_changed),
            listen(MessageText, self._text_came),
            listen(MessageFinished, self._finished),
            listen(PrefillProgress, self._prefill_came),
            listen(ConversationsChanged, self._list_changed),
            listen(LibraryChanged, lambda _event: self._show_models()),
        ]
        dialogue = self.workbench.dialogue
        self._conversation_id = dialogue.conversation_id
        self._refresh_engine(force=True)
        surface.show_system_prompt(dialogue.system_prompt)
        if dialogue.messages:
            self._set_thread(dialogue.messages)
        self._show_models()
        dialogue.refresh_list()

    def close(self) -> None:
        """Stop listening."""
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self._subscriptions = []
        self._surface = None

    # ---- what the page asks -------------------------------------------------------------------------------------

    @property
    def state(self) -> EngineState:
        return self.workbench.state

    @property
    def conversation_id(self) -> ConversationId | None:
        return self._conversation_id

    @property
    def thread(self) -> tuple[ThreadMessage, ...]:
        """The messages on screen; the workbench's own may be an event ahead of them."""
        return self._thread

    @property
    def rows(self) -> tuple[ConversationRow, ...]:
        """The conversations, pinned ones first, newest first."""
        return self._rows

    @property
    def editing_id(self) -> MessageId | None:
        """The message that is being written anew."""
        return self._editing_id

    def message(self, message_id: str) -> ThreadMessage | None:
        """A message of the thread on screen."""
        return next((each for each in self.workbench.dialogue.messages if each.id == message_id), None)

    def last_answer(self) -> ThreadMessage | None:
        """The last answer that has a text, for copying."""
        answers = (each for each in reversed(self.workbench.dialogue.messages) if each.role is Role.ASSISTANT)
        return next((each for each in answers if each.text), None)

    def row(self, conversation_id: str) -> ConversationRow | None:
        return next((each for each in self._rows if each.id == conversation_id), None)

    # ---- what a person does -------------------------------------------------------------------------------------

    def send(self, text: str) -> bool:
        """Say it, or have it said as soon as the model is ready. False: it stays in the composer."""
        if not text.strip():
            return False
        if self._editing_id is not None:
            return self._send_edit(self._editing_id, text)
        if self.is_coming:
            self._waiting_text, self._waiting_path = text, self.state.model_path
            self._refresh_engine()
            return False
        return self._try(lambda: self.workbench.say(text))

    def _send_edit(self, message_id: MessageId, text: str) -> bool:
        done = self._try(lambda: self.workbench.edit_message(message_id, text))
        if done:
            self._editing_id = None
            self._refresh_engine()
        return done

    @property
    def is_coming(self) -> bool:
        """Whether a model is on its way, so that a message can wait for it."""
        state = self.state
        return state.phase in (Phase.PLANNING, Phase.LOADING)

    @property
    def is_waiting(self) -> bool:
        """Whether a message waits for the model."""
        return self._waiting_text is not None

    def stop(self) -> None:
        """Stop what is going on; a second time, when it does not stop, by force."""
        if self._waiting_text is not None:
            self._waiting_text = None
            self._refresh_engine()
        elif self.state.can_force:
            self.workbench.supervisor.force_stop()
        elif self.state.is_busy:
            self.workbench.cancel()

    def begin_edit(self, message_id: str) -> str | None:
        """Write a message anew: its text, or None when it cannot be edited now."""
        message = self.message(message_id)
        if message is None or self.workbench.dialogue.is_writing:
            return None
        self._editing_id = message.id
        self._refresh_engine()
        return message.text

    def end_edit(self) -> None:
        """Leave the message as it is."""
        self._editing_id = None
        self._refresh_engine()

    def answer_again(self, message_id: str | None = None, *, drop_oldest: bool = False) -> bool:
        """Another answer to that message, or to the last one."""
        messages = self.workbench.dialogue.messages
        wanted = message_id or (str(messages[-1].id) if messages else None)
        if wanted is None:
            return False
        return self._try(lambda: self.workbench.answer_again(wanted, drop_oldest=drop_oldest))

    def answer_when_ready(self) -> None:
        """A load was begun so that the last question can be answered: do that when the model is there."""
        messages = self.workbench.dialogue.messages
        self._answer_after_load = bool(messages) and messages[-1].role is Role.USER

    def show_sibling(self, message_id: str, delta: int) -> None:
        self.workbench.dialogue.show_sibling(MessageId(message_id), delta)

    def new_chat(self) -> None:
        """An empty chat with the system prompt of the settings."""
        self._leave_edit()
        self.workbench.dialogue.new(str(self.workbench.settings["system_prompt"]))

    def open(self, conversation_id: str, message_id: str = "") -> None:
        """Show a conversation, and one of its messages if it is on the branch that is shown."""
        self._leave_edit()
        if conversation_id == self._conversation_id:
            self._scroll_to = ""
            return
        self._scroll_to = message_id
        self.workbench.dialogue.open(ConversationId(conversation_id))

    def take_scroll_target(self) -> str:
        """The message to show first in the conversation that was just opened; "" for its end. Asked once."""
        wanted, self._scroll_to = self._scroll_to, ""
        return wanted

    def rename(self, conversation_id: str, title: str) -> None:
        self.workbench.dialogue.rename(ConversationId(conversation_id), title)

    def rename_open(self, title: str) -> None:
        """Name the conversation on screen; an empty chat has no name yet."""
        if self._conversation_id is not None:
            self.workbench.dialogue.rename(self._conversation_id, title)

    def pin(self, conversation_id: str, pinned: bool) -> None:
        self.workbench.dialogue.pin(ConversationId(conversation_id), pinned)

    def delete(self, conversation_id: str) -> Callable[[], None]:
        """Take a conversation out of the list; the result brings it back."""
        wanted = ConversationId(conversation_id)
        was_open = wanted == self._conversation_id
        self.workbench.dialogue.delete(wanted)
        return lambda: self.workbench.dialogue.restore(wanted, reopen=was_open)

    def search(self, query: str) -> None:
        """Find chats; the hits arrive at the surface, those of an older search never."""
        self._query = query.strip()
        if not self._query:
            self._tell_list()
            return
        asked = self._query

        def found(hits: tuple[SearchHit, ...]) -> None:
            if asked == self._query and self._surface is not None:
                self._surface.show_hits(hits, asked)

        self.workbench.dialogue.search(asked, found)

    def set_draft(self, text: str) -> None:
        """Keep what stands in the composer; what is an edit of an old message is no draft."""
        if self._editing_id is None:
            if self._waiting_text is not None and text != self._waiting_text:
                self._waiting_text = None  # it was changed: it wants to be sent again
                self._refresh_engine()
            self.workbench.dialogue.set_draft(text)

    def set_system_prompt(self, text: str) -> None:
        self.workbench.dialogue.set_system_prompt(text)
        self._refresh_engine()

    def open_model(self, path: str) -> None:
        """Load this model."""
        self._try(lambda: self.workbench.open_model(Path(path)))

    def load_again(self) -> None:
        """Load the model again that went with the engine."""
        self._try(self.workbench.reload)

    def load_starter(self) -> None:
        """Load the model that the set-up brought."""
        path = starter_model()
        if path is None:
            self._tell(
                Trouble(
                    "The starter model is not here",
                    next_step="run the set-up again (make setup), or choose a model of your own",
                    remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose a model"),),
                )
            )
        else:
            self._try(lambda: self.workbench.open_model(path))

    # ---- what the engine says -----------------------------------------------------------------------------------

    def _engine_changed(self, event: EngineChanged) -> None:
        phase = event.state.phase
        if phase is Phase.LOADING and self._load_from_s is None:
            self._load_from_s = self._clock.now_s()
        elif phase is not Phase.LOADING:
            self._load_from_s = None
        if phase is not Phase.READING:
            self._prefill = None
        self._refresh_engine()
        if event.state is self.state:  # an older state is still in the queue behind a newer one
            self._take_up_waiting()

    def _take_up_waiting(self) -> None:
        """Do what waited for the model, or give it up when the model does not come."""
        phase = self.state.phase
        if phase is Phase.READY:
            text, self._waiting_text = self._waiting_text, None
            again, self._answer_after_load = self._answer_after_load, False
            if text is not None and self.state.model_path == self._waiting_path:
                if self._try(lambda: self.workbench.say(text)) and self._surface is not None:
                    self._surface.show_draft("")
                    self.workbench.dialogue.set_draft("")
                self._refresh_engine()
            elif again:
                self.answer_again()
        elif phase in (Phase.EMPTY, Phase.LOST, Phase.ABSENT):
            self._waiting_text, self._answer_after_load = None, False
            self._refresh_engine()

    def _prefill_came(self, event: PrefillProgress) -> None:
        if event.run_id == self.state.run_id and event.n_done < event.n_total:  # else the first token is next
            self._prefill = (event.n_done, event.n_total)
            self._refresh_engine()

    def _thread_changed(self, event: ThreadChanged) -> None:
        is_other = event.conversation_id != self._conversation_id
        was_new = self._conversation_id is None and bool(event.messages) and self.workbench.dialogue.is_writing
        self._conversation_id, self._title = event.conversation_id, event.title
        self._set_thread(event.messages)
        if self._surface is None:
            return
        if is_other or not event.messages:
            if not was_new:
                self._surface.show_draft(event.draft)
            self._surface.show_system_prompt(event.system_prompt)
            # A chat that has just begun is told with the list that has it, so that the list is drawn once.
            if not self._query and (not was_new or any(row.id == event.conversation_id for row in self._rows)):
                self._tell_list()
        self._refresh_engine()

    def _set_thread(self, messages: tuple[ThreadMessage, ...]) -> None:
        change = thread_change(self._thread, messages)
        self._thread = messages
        if self._surface is not None and not change.is_nothing:
            self._surface.change_thread(change)

    def _text_came(self, event: MessageText) -> None:
        if self._surface is not None and any(each.id == event.message_id for each in reversed(self._thread)):
            self._surface.add_text(str(event.message_id), event.text, event.thinking)

    def _finished(self, event: MessageFinished) -> None:
        message = event.message
        if self._surface is None or all(each.id != message.id for each in self._thread):
            return
        self._thread = tuple(message if each.id == message.id else each for each in self._thread)
        self._surface.finish_message(message)
        if message.figures is not None and message.figures.reason is FinishReason.CONTEXT:
            self._tell(self._context_full())

    def _list_changed(self, event: ConversationsChanged) -> None:
        self._rows = event.rows
        if not self._query:
            self._tell_list()

    # ---- inside -------------------------------------------------------------------------------------------------

    def _try(self, act: Callable[[], object]) -> bool:
        """Do it; what cannot be done is told, and nothing is lost."""
        try:
            act()
        except KnownError as error:
            self._tell(error.trouble)
            return False
        return True

    def _tell(self, trouble: Trouble) -> None:
        if self._surface is not None:
            self._surface.show_trouble(trouble)

    def _tell_list(self) -> None:
        if self._surface is not None:
            self._surface.show_list(self._rows, self._conversation_id)

    def _leave_edit(self) -> None:
        self._waiting_text = None
        if self._editing_id is not None:
            self.end_edit()

    def _show_models(self) -> None:
        if self._surface is not None:
            models = tuple(each for each in self.workbench.library if each.is_model)
            self._surface.show_models(models, self.state.model_path)

    def _refresh_engine(self, *, force: bool = False) -> None:
        surface = self._surface
        if surface is None:
            return
        state = self.state
        header, composer = self._header_of(state), self._composer_of(state)
        progress, empty = self._progress_of(state), self._empty_of(state)
        strip = self._strip_of(empty)
        if force or header != self._header:
            if header.model_path != self._header.model_path:
                self._header = header
                self._show_models()
            self._header = header
            surface.show_header(header)
        if force or composer != self._composer:
            self._composer = composer
            surface.show_composer(composer)
        if force or progress != self._progress:
            self._progress = progress
            surface.show_progress(progress)
        if force or empty is not self._empty:
            self._empty = empty
            surface.show_empty(empty)
        if force or strip is not self._strip:
            self._strip = strip
            surface.show_strip(strip)

    def _label_of(self, path: str) -> str:
        """What a model is called; asked several times for each state of the engine, of the same model mostly."""
        if path != self._labelled[0]:
            self._labelled = path, model_label(Path(path))
        return self._labelled[1]

    def _header_of(self, state: EngineState) -> Header:
        label = self._label_of(state.model_path) if state.model_path else ""
        return Header(
            self._title,
            state.model_path,
            label,
            Phase.READY if state.phase in USING else state.phase,
            int(state.load_fraction * 100) if state.phase is Phase.LOADING else 0,
            bool(self.workbench.dialogue.system_prompt.strip()),
        )

    def _composer_of(self, state: EngineState) -> ComposerState:
        return ComposerState(
            self._label_of(state.model_path) if state.model_path and state.phase is not Phase.LOST else "",
            can_stop=state.is_busy or self._waiting_text is not None,
            can_send=(not state.is_busy or self.is_coming) and self._waiting_text is None,
            can_force=state.can_force,
            stopping=state.stopping,
            waiting=self._waiting_text is not None,
            editing=self._editing_id is not None,
        )

    def _progress_of(self, state: EngineState) -> Progress:
        label = self._label_of(state.model_path) if state.model_path else ""
        if not state.responsive and state.is_busy:
            return Progress(Doing.UNRESPONSIVE, label)
        if state.stopping:
            return Progress(Doing.STOPPING, label)
        match state.phase:
            case Phase.STARTING if label:
                return Progress(Doing.STARTING, label)
            case Phase.PLANNING:
                return Progress(Doing.PLANNING, label)
            case Phase.LOADING:
                # Whole percents: the line need not be drawn more often.
                fraction = int(state.load_fraction * 100) / 100
                return Progress(Doing.LOADING, label, fraction, remaining_s=self._remaining_s(fraction))
            case Phase.READING if self._prefill is not None:
                n_done, n_total = self._prefill
                return Progress(Doing.READING, label, n_done / n_total if n_total else None, n_done, n_total)
            case Phase.READING:
                return Progress(Doing.READING, label)
        return Progress()

    def _remaining_s(self, fraction: float) -> float | None:
        if self._load_from_s is None or fraction < 0.05:
            return None
        spent_s = self._clock.now_s() - self._load_from_s
        if spent_s < REMAINING_AFTER_S:
            return None
        return float(round(spent_s * (1 - fraction) / fraction))

    def _empty_of(self, state: EngineState) -> Empty:
        match state.phase:
            case Phase.READY | Phase.READING | Phase.WRITING | Phase.WORKING:
                return Empty.READY
            case Phase.ABSENT | Phase.STARTING | Phase.PLANNING | Phase.LOADING:
                # A worker that comes up without a model is EMPTY within a second; before that nobody knows.
                return Empty.COMING
            case Phase.LOST if state.model_path:
                return Empty.LOST
        return Empty.NO_MODEL

    def _strip_of(self, empty: Empty) -> Strip:
        if empty is Empty.LOST:
            return Strip.LOST
        return Strip.NO_MODEL if empty is Empty.NO_MODEL and self._thread else Strip.NONE

    def _context_full(self) -> Trouble:
        """What to tell when an answer ended because there was no room left for it."""
        facts = self.state.facts
        n_ctx = facts.n_ctx if facts else 0
        most = facts.n_ctx_train if facts and facts.n_ctx_train > 0 else LARGEST_DOUBLED
        wanted = min(n_ctx * 2, most)
        remedies: tuple[Remedy, ...] = ()
        if wanted > n_ctx > 0:
            remedies = (Remedy(RemedyKind.SET_OPTION, f"Use {wanted:,} context", f"n_ctx={wanted}"),)
        return Trouble(
            "The answer ended because the context is full",
            f"{n_ctx:,} tokens" if n_ctx else "",
            "load the model with a longer context and answer again, or begin a new chat",
            remedies,
        )
