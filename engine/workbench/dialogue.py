"""The dialogue: the conversation that is open, what is being written in it, and its way into the store.

What is shown never waits for the disk: ids are made here, the thread is kept in memory, and the store's lane is told
in the same order. Text that is being written goes to the store twice a second, so a crash loses no more than that.
An answer's message reaches the store with its first sign of life from the engine; a prompt that is refused leaves
nothing behind but the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from engine.base.bus import Bus
from engine.base.clock import Clock
from engine.base.errors import KnownError, Trouble
from engine.base.fields import Value
from engine.models.labels import model_label
from engine.runtime.supervisor import EngineState
from engine.sampling.chain import Chain
from engine.store import Store, random_id
from engine.store.conversations import title_of
from engine.store.rows import (
    ConversationId,
    ConversationRow,
    MessageId,
    MessageState,
    Role,
    RunId,
    RunResult,
    SearchHit,
)
from engine.wire.messages import (
    ChatMessage,
    FinishReason,
    Generate,
    Prompt,
    RunDone,
    RunFailed,
    RunStarted,
    RunStats,
    Token,
)
from engine.workbench.answer import Answer, Origin
from engine.workbench.branching import BranchSource, branch_options, need_same_model, read_source, with_stops
from engine.workbench.chain_scope import wire_chain
from engine.workbench.events import (
    Beat,
    ConversationsChanged,
    DraftChanged,
    Figures,
    MessageFinished,
    MessageText,
    ThreadChanged,
    ThreadMessage,
    TroubleShown,
)
from engine.workbench.recipe import json_text, recipe_of
from engine.workbench.seams import Engine, InStore
from engine.workbench.stored import StoredConversation, new_conversation, read_conversation, run_result, sibling_of

SAVE_EVERY_S = 0.5


class Dialogue:
    """The open conversation. Every method is for the pumping thread and returns at once; results come over the bus."""

    def __init__(self, bus: Bus, engine: Engine, in_store: InStore, clock: Clock) -> None:
        self._bus, self._engine, self._in_store, self._clock = bus, engine, in_store, clock
        self._conversation: ConversationRow | None = None
        self._new_system_prompt = ""
        self._new_draft = ""
        self._new_chain: str | None = None
        self._n_views = 0  # grows whenever something else is shown, so that a late answer of the store is not
        self._dropping: set[ConversationId] = set()
        self._messages: list[ThreadMessage] = []
        self._writing: Answer | None = None
        self._list_is_old = False  # something was said that the list of chats does not show yet
        bus.subscribe(RunStarted, self._run_started)
        bus.subscribe(Token, self._token)
        bus.subscribe(RunDone, self._run_done)
        bus.subscribe(RunFailed, self._run_failed)
        bus.subscribe(Beat, self._beat)

    # ---- what is open -------------------------------------------------------------------------------------------

    @property
    def conversation_id(self) -> ConversationId | None:
        """The open conversation, None for a new one that is not stored yet."""
        return self._conversation.id if self._conversation else None

    @property
    def messages(self) -> tuple[ThreadMessage, ...]:
        """The branch that is shown, oldest first."""
        return tuple(self._messages)

    @property
    def is_writing(self) -> bool:
        """Whether an answer of this conversation is being written."""
        return self._writing is not None

    @property
    def system_prompt(self) -> str:
        """The open conversation's system prompt."""
        return self._conversation.system_prompt if self._conversation else self._new_system_prompt

    @property
    def own_chain(self) -> str | None:
        """The open conversation's sampler chain as JSON, None where it has none of its own."""
        return self._conversation.chain if self._conversation else self._new_chain

    def refresh_list(self) -> None:
        """Post the list of conversations."""
        self._list_is_old = False
        self._in_store(lambda store: store.conversations.list(), then=self._list_came, title="Reading the chats")

    def search(self, text: str, then: Callable[[tuple[SearchHit, ...]], None]) -> None:
        """Find conversations; `then` takes the hits."""
        self._in_store(lambda store: store.search(text), then=then, title="Searching the chats")

    def new(self, system_prompt: str = "") -> None:
        """Show an empty chat; it is stored with its first message. What is being written elsewhere is stopped.

        What stood in the composer of the last empty chat stands there again.
        """
        self.stop()
        self._detach()
        self._n_views += 1
        self._conversation, self._messages = None, []
        self._new_system_prompt, self._new_chain = system_prompt, None
        self._post_thread()

    def open(self, conversation_id: ConversationId) -> None:
        """Show a stored conversation. What is being written in another one is stopped, and kept."""
        if self._conversation is not None and conversation_id == self._conversation.id:
            return
        self.stop()
        self._detach()
        self._load(conversation_id)

    def set_system_prompt(self, text: str) -> None:
        """The system prompt of the open conversation, from the next answer on."""
        if self._conversation is None:
            self._new_system_prompt = text
        else:
            conversation_id = self._conversation.id
            self._conversation = replace(self._conversation, system_prompt=text)
            self._in_store(lambda store: store.conversations.set_system_prompt(conversation_id, text))

    def set_own_chain(self, chain: str | None, conversation_id: ConversationId | None = None) -> None:
        """Keep a sampler chain with a conversation (the open one), as JSON; None for the one that all chats use."""
        wanted = conversation_id or self.conversation_id
        if wanted is None:
            self._new_chain = chain
            return
        if self._conversation is not None and wanted == self._conversation.id:
            self._conversation = replace(self._conversation, chain=chain)
        self._in_store(lambda store: store.conversations.set_chain(wanted, chain))

    @property
    def draft(self) -> str:
        """What stands in the composer of the open conversation."""
        return self._conversation.draft if self._conversation else self._new_draft

    def set_draft(self, text: str) -> None:
        """Keep what stands in the composer."""
        if text == self.draft:
            return
        self._bus.post(DraftChanged(text))
        if self._conversation is None:
            self._new_draft = text
        else:
            conversation_id = self._conversation.id
            self._conversation = replace(self._conversation, draft=text)
            self._in_store(lambda store: store.conversations.set_draft(conversation_id, text))

    def rename(self, conversation_id: ConversationId, title: str) -> None:
        """Give a conversation a name; "" gives the choice back to its first words."""
        self._in_store(lambda store: store.conversations.rename(conversation_id, title))
        if self._conversation is not None and self._conversation.id == conversation_id:
            chosen = " ".join(title.split())
            first_words = next((each.text for each in self._messages if each.role is Role.USER), "")
            self._conversation = replace(
                self._conversation, title=chosen or title_of(first_words), title_is_manual=bool(chosen)
            )
            self._post_thread()
        self.refresh_list()

    def delete(self, conversation_id: ConversationId) -> None:
        """Take a conversation out of the list; `restore` brings it back as it was."""
        if self._conversation is not None and self._conversation.id == conversation_id:
            self.new(self._new_system_prompt)
        self._in_store(lambda store: store.conversations.delete(conversation_id))
        self.refresh_list()

    def restore(self, conversation_id: ConversationId, *, reopen: bool = True) -> None:
        """Undo a delete, and open the conversation again, unless it was not open (`reopen` false)."""
        self._in_store(lambda store: store.conversations.restore(conversation_id))
        self.refresh_list()
        if reopen:
            self.open(conversation_id)

    def pin(self, conversation_id: ConversationId, pinned: bool) -> None:
        """Keep a conversation at the top of the list."""
        self._in_store(lambda store: store.conversations.pin(conversation_id, pinned))
        self.refresh_list()

    # ---- saying something ---------------------------------------------------------------------------------------

    def send(self, text: str, chain: Chain, options: Mapping[str, Value], *, drop_oldest: bool = False) -> None:
        """Say something and let the model answer.

        Args:
            drop_oldest: leave out the oldest messages when they do not fit; once chosen, it holds for the conversation
                as long as the program runs, and every answer says how many were left out.

        Raises:
            KnownError: no model is ready, or it is busy. Nothing was added.
        """
        parent_id = self._messages[-1].id if self._messages else None
        question = ThreadMessage(MessageId(random_id()), parent_id, Role.USER, text, MessageState.COMPLETE)
        run_id = self._ask([*self._messages, question], chain, options, drop_oldest)
        conversation_id = self._ensure_conversation(text)
        self._n_views += 1
        self._messages.append(question)
        self._store_question(conversation_id, question)
        self._begin_answer(run_id, conversation_id, question.id, chain, options, 0, 1)

    def again(
        self, message_id: MessageId, chain: Chain, options: Mapping[str, Value], *, drop_oldest: bool = False
    ) -> None:
        """Answer again: after a question, or beside an answer, which stays as the other branch."""
        place = self._place(message_id)
        if self._messages[place].role is Role.ASSISTANT:
            sibling_count = self._messages[place].sibling_count
            place -= 1
        else:
            sibling_count = 1 if place + 1 < len(self._messages) else 0
        kept = self._messages[: place + 1]
        if not kept or self._conversation is None:
            return
        run_id = self._ask(kept, chain, options, drop_oldest)
        self._messages = kept
        self._begin_answer(run_id, self._conversation.id, kept[-1].id, chain, options, sibling_count, sibling_count + 1)

    def edit(self, message_id: MessageId, text: str, chain: Chain, options: Mapping[str, Value]) -> None:
        """Say something else in a message's place; the old branch stays.

        After a question the model answers. An answer in somebody else's words stands as it is.

        Raises:
            KnownError: no model is ready for the answer, or an answer is being written. Nothing was changed.
        """
        place = self._place(message_id)
        old = self._messages[place]
        if self._conversation is None:
            return
        if old.role is Role.ASSISTANT:
            self._replace_answer(place, text)
            return
        question = sibling_of(old, text)
        kept = self._messages[:place]
        run_id = self._ask([*kept, question], chain, options, False)
        self._messages = [*kept, question]
        conversation_id = self._conversation.id
        self._store_question(conversation_id, question)
        self._begin_answer(run_id, conversation_id, question.id, chain, options, 0, 1)

    def fork(
        self, message_id: MessageId, position: int, token_id: int, chain: Chain, options: Mapping[str, Value]
    ) -> None:
        """An answer beside this one that keeps its first `position` tokens, has `token_id` after them, and goes on.

        The store is asked for the tokens first; what stands in the way then is posted as `TroubleShown`.
        Raises `KnownError` when the message is not in the open chat, or an answer is being written.
        """
        self._branch(message_id, lambda source: source.forked(position, token_id), chain, options)

    def go_on(self, message_id: MessageId, chain: Chain, options: Mapping[str, Value]) -> None:
        """As `fork`, with all tokens of an answer that was stopped or cut off."""
        self._branch(message_id, lambda source: source.gone_on(), chain, options)

    def show_message(self, message_id: MessageId) -> None:
        """Show the newest branch through a message of the open conversation, whichever is shown now."""
        self.show_sibling(message_id, 0)

    def show_sibling(self, message_id: MessageId, delta: int) -> None:
        """Show the next (1) or the one before (−1) of a message's alternatives, with what follows it."""
        if self._conversation is None or self._writing is not None:
            return
        conversation_id = self._conversation.id

        def switch(store: Store) -> None:
            siblings = store.messages.siblings(message_id)
            ids = [each.id for each in siblings]
            wanted = ids[(ids.index(message_id) + delta) % len(ids)]
            store.messages.set_head(conversation_id, store.messages.newest_leaf(wanted))

        self._in_store(switch, title="Changing the branch")
        self._load(conversation_id)

    def stop(self) -> None:
        """Ask the answer that is being written to stop; what is there is kept."""
        if self._writing is not None:
            self._engine.cancel()

    def flush(self) -> None:
        """Send what is not stored yet to the store. Called before closing.

        What was typed into an empty chat becomes a chat of its own, without messages, so that it is there next time.
        """
        self._save_text(force=True)
        if self._conversation is None and self._new_draft.strip():
            draft, self._new_draft = self._new_draft, ""
            self._ensure_conversation("")
            self.set_draft(draft)

    # ---- events -------------------------------------------------------------------------------------------------

    def _run_started(self, event: RunStarted) -> None:
        writing = self._written_by(event.run_id)
        if writing is None:
            return
        writing.begin(event)
        assert writing.started is not None
        recipe = recipe_of(writing, writing.started, self._engine.state, self._engine.load_options)
        message, conversation_id, run_id = writing.message, writing.conversation_id, writing.stored_run

        def begin(store: Store) -> None:
            store.messages.add(
                conversation_id,
                message.parent_id,
                Role.ASSISTANT,
                state=MessageState.WRITING,
                message_id=message.id,
            )
            store.runs.start(message.id, recipe, run_id=run_id, prompt_tokens=event.prompt_tokens)

        self._in_store(begin, title="Saving the answer")

    def _token(self, event: Token) -> None:
        writing = self._written_by(event.run_id)
        if writing is None:
            return
        self._show(writing, *writing.take(event, self._clock.now_s()))
        if self._list_is_old:
            self.refresh_list()

    def _run_done(self, event: RunDone) -> None:
        writing = self._written_by(event.run_id)
        if writing is None:
            return
        self._show(writing, *writing.drain(self._clock.now_s(), is_whole=True))
        result = run_result(event.reason, event.stats, writing.started, None, event.changes)
        state = MessageState.STOPPED if event.reason is FinishReason.CANCELLED else MessageState.COMPLETE
        self._finish(writing, state, result, event.stats, tokens=event.tokens)

    def _run_failed(self, event: RunFailed) -> None:
        writing = self._written_by(event.run_id)
        if writing is None:
            return
        if writing.started is None:
            # Refused before it began: the question stays, there is no answer to keep.
            self._writing = None
            self._messages = [each for each in self._messages if each.id != writing.message.id]
            self._post_thread()
            if writing.origin is not None:
                self._load(writing.conversation_id)  # shows the answer that was to be forked again
        else:
            self._show(writing, *writing.drain(self._clock.now_s(), is_whole=False))
            result = run_result(None, None, writing.started, event.trouble, tuple(writing.changes))
            self._finish(writing, MessageState.FAILED, result, None, event.trouble, _known(writing))
        if self._list_is_old:
            self.refresh_list()
        self._bus.post(TroubleShown(event.trouble, "chat"))

    def _beat(self, _event: Beat) -> None:
        self._save_text(force=False)

    # ---- inside -------------------------------------------------------------------------------------------------

    def _ask(self, thread: list[ThreadMessage], chain: Chain, options: Mapping[str, Value], drop_oldest: bool) -> int:
        self._need_quiet()
        if self._conversation is not None:
            if drop_oldest:
                self._dropping.add(self._conversation.id)
            drop_oldest = self._conversation.id in self._dropping
        turns = [ChatMessage(each.role.value, each.text) for each in thread if each.text]
        if self.system_prompt.strip():
            turns.insert(0, ChatMessage("system", self.system_prompt))
        prompt = Prompt(messages=tuple(turns), drop_oldest=drop_oldest)
        return self._engine.generate(prompt, wire_chain(chain), options)

    def _branch(
        self,
        message_id: MessageId,
        begin: Callable[[BranchSource], Origin],
        chain: Chain,
        options: Mapping[str, Value],
    ) -> None:
        self._need_quiet()
        self._place(message_id)
        view = self._n_views

        def then(source: BranchSource) -> None:
            try:
                if view == self._n_views:
                    self._begin_branch(message_id, begin(source), chain, options)
            except KnownError as error:
                refused(error.trouble)

        def refused(trouble: Trouble) -> None:
            self._bus.post(TroubleShown(trouble, "chat"))

        title = "Reading the answer"
        self._in_store(lambda store: read_source(store, message_id), then=then, title=title, failed=refused)

    def _begin_branch(self, message_id: MessageId, origin: Origin, chain: Chain, options: Mapping[str, Value]) -> None:
        self._need_quiet()
        need_same_model(origin, self._engine.state)
        place = self._place(message_id)
        old, conversation = self._messages[place], self._conversation
        if conversation is None or old.parent_id is None:
            return
        wanted, prompt, links = branch_options(origin, options), Prompt(tokens=origin.prompt_tokens), wire_chain(chain)
        sent = with_stops(wanted, origin.template_stops)
        run_id = self._engine.write(lambda run_id: Generate(run_id, prompt, links, sent, origin.begun))
        self._messages = self._messages[:place]
        count = old.sibling_count
        self._begin_answer(run_id, conversation.id, old.parent_id, chain, wanted, count, count + 1, origin)

    def _written_by(self, run_id: int) -> Answer | None:
        """The answer that this run writes, None for runs that are no answer of the open conversation."""
        return self._writing if self._writing is not None and self._writing.run_id == run_id else None

    def _need_quiet(self) -> None:
        if self._writing is not None:
            raise KnownError("An answer is still being written", next_step="stop it first")

    def _replace_answer(self, place: int, text: str) -> None:
        """Put an answer of the user's own beside one of the model's."""
        self._need_quiet()
        assert self._conversation is not None
        old, conversation_id = self._messages[place], self._conversation.id
        answer = sibling_of(old, text)
        self._messages = [*self._messages[:place], answer]
        self._store_question(conversation_id, answer)
        self._post_thread()
        self.refresh_list()

    def _begin_answer(
        self,
        run_id: int,
        conversation_id: ConversationId,
        parent_id: MessageId,
        chain: Chain,
        options: Mapping[str, Value],
        sibling_index: int,
        sibling_count: int,
        origin: Origin | None = None,
    ) -> None:
        state = self._engine.state
        label = model_label_of(state)
        message = ThreadMessage(
            MessageId(random_id()),
            parent_id,
            Role.ASSISTANT,
            "",
            MessageState.WRITING,
            sibling_index=sibling_index,
            sibling_count=sibling_count,
            figures=Figures(label, None, None, None),
        )
        self._messages.append(message)
        self._writing = Answer(
            run_id,
            conversation_id,
            message,
            RunId(random_id()),
            label,
            chain,
            options,
            self._clock.now_s(),
            None,
            origin,
        )
        self._post_thread()

    def _ensure_conversation(self, first_words: str) -> ConversationId:
        if self._conversation is not None:
            return self._conversation.id
        conversation_id = ConversationId(random_id())
        system_prompt, chain = self._new_system_prompt, self._new_chain
        model_path = self._engine.state.model_path or None
        now = self._clock.utc()
        self._new_draft = ""
        self._conversation = new_conversation(conversation_id, first_words, system_prompt, model_path, now, chain)
        self._in_store(
            lambda store: store.conversations.create(
                system_prompt=system_prompt, model_path=model_path, chain=chain, conversation_id=conversation_id
            ),
            title="Saving the chat",
        )
        return conversation_id

    def _store_question(self, conversation_id: ConversationId, question: ThreadMessage) -> None:
        row = self._conversation
        is_first = next((each.id for each in self._messages if each.role is Role.USER), None) == question.id
        if row is not None and is_first and not row.title_is_manual:
            self._conversation = replace(row, title=title_of(question.text))
        self._in_store(
            lambda store: store.messages.add(
                conversation_id, question.parent_id, question.role, question.text, message_id=question.id
            ),
            title="Saving the message",
        )
        self._list_is_old = True  # read again with the first text: until then the engine needs the processor more

    def _show(self, writing: Answer, text: str, thinking: str) -> None:
        if text or thinking:
            self._bus.post(MessageText(writing.message.id, text, thinking))

    def _save_text(self, *, force: bool) -> None:
        writing = self._writing
        if writing is None or writing.started is None:
            return
        now = self._clock.now_s()
        if not force and now - writing.saved_s < SAVE_EVERY_S:
            return
        unsaved = writing.take_unsaved()
        if unsaved is None:
            return
        writing.saved_s = now
        message_id, run_id = writing.message.id, writing.stored_run

        def save(store: Store) -> None:
            with store.database.writing():
                store.messages.append_text(message_id, unsaved.text, unsaved.thinking, is_whole=unsaved.is_whole)
                if unsaved.tokens:
                    changes = json_text(unsaved.changes) if unsaved.changes else None
                    store.runs.keep_tokens(run_id, unsaved.tokens, changes)

        self._in_store(save, title="Saving text")

    def _finish(
        self,
        writing: Answer,
        state: MessageState,
        result: RunResult,
        stats: RunStats | None,
        trouble: Trouble | None = None,
        tokens: tuple[int, ...] | None = None,
    ) -> None:
        self._save_text(force=True)
        self._writing = None
        message = writing.finished(state, result.finish_reason, stats, trouble)
        self._messages = [message if each.id == message.id else each for each in self._messages]
        run_id = writing.stored_run

        def finish(store: Store) -> None:
            # The whole text again: should a batch have failed (a full disk for a moment), this mends the gap.
            store.messages.finish(
                message.id, state, content=message.text, thinking=message.thinking, thinking_s=message.thinking_s
            )
            store.runs.finish(run_id, result, tokens)

        self._in_store(finish, title="Saving the answer")
        self._bus.post(MessageFinished(message))
        self.refresh_list()

    def _detach(self) -> None:
        """Leave the conversation: an answer that is still stopping is finished in the store as stopped."""
        writing = self._writing
        if writing is None:
            return
        if writing.started is not None:
            self._show(writing, *writing.drain(self._clock.now_s(), is_whole=False))
            result = run_result(FinishReason.CANCELLED, None, writing.started, None, tuple(writing.changes))
            self._finish(writing, MessageState.STOPPED, result, None, tokens=_known(writing))
        self._writing = None

    def _load(self, conversation_id: ConversationId) -> None:
        self._n_views += 1
        view = self._n_views

        def show(found: StoredConversation) -> None:
            if view != self._n_views:
                return  # something else was asked for since
            self._conversation = found.row
            self._messages = found.messages()
            self._post_thread()

        self._in_store(lambda store: read_conversation(store, conversation_id), then=show, title="Opening the chat")

    def _list_came(self, rows: object) -> None:
        assert isinstance(rows, tuple)
        self._bus.post(ConversationsChanged(rows))

    def _post_thread(self) -> None:
        row = self._conversation
        self._bus.post(
            ThreadChanged(
                row.id if row else None,
                row.title if row else "",
                self.system_prompt,
                self.draft,
                tuple(self._messages),
            )
        )

    def _place(self, message_id: MessageId) -> int:
        for place, each in enumerate(self._messages):
            if each.id == message_id:
                return place
        raise KnownError("This message is not in the open chat", next_step="open its chat first")


def _known(writing: Answer) -> tuple[int, ...] | None:
    """The tokens of an answer that was left: they spell what is shown of it."""
    return tuple(writing.tokens) or None


def model_label_of(state: EngineState) -> str:
    """The loaded model's name on screen."""
    return model_label(Path(state.model_path)) if state.model_path else ""
