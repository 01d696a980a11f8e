"""Whose sampler chain holds: the open conversation's own, else the loaded model's own, else that of all chats.

The narrowest one that exists holds, and a change goes where the chain that holds is kept. A scope that has no chain of
its own begins with the one on screen, so choosing it changes nothing yet; leaving a scope drops its chain, which the
arrangement from before can bring back. A model is known by its file's path, because the path is known before the load.
Rejected: a chain that is copied into every new conversation (a better value would not reach the old chats).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engine.base.bus import Bus
from engine.base.errors import KnownError, Trouble
from engine.runtime.supervisor import EngineState
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS
from engine.settings import Settings
from engine.store.rows import ConversationId
from engine.wire.messages import ChainLink
from engine.workbench.events import ChainChanged, ChainScope, EngineChanged, ThreadChanged, TroubleShown

BEGINNING = PRESETS[0]
"""What a chain is before anybody chose: the default one, under its name."""


@dataclass(frozen=True, slots=True)
class KeptChain:
    """A chain as a scope keeps it. `preset` is the key of the preset that it began as, "" for none."""

    chain: Chain
    preset: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Plain data for JSON and TOML."""
        return {"preset": self.preset, "chain": self.chain.to_wire()}

    @classmethod
    def from_wire(cls, data: object) -> KeptChain:
        """What `to_wire` wrote, checked; `KnownError` when it is something else or the chain is not valid."""
        if not isinstance(data, Mapping) or not isinstance(data.get("preset", ""), str):
            raise KnownError("This is not a kept sampler chain", value=repr(data)[:80], next_step="choose a preset")
        return cls(Chain.from_wire(data.get("chain")), data.get("preset", ""))


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What every scope keeps at one moment, for an undo. `model` and `chat` are None where they have none."""

    general: KeptChain
    model_path: str
    model: KeptChain | None
    chat_id: ConversationId | None
    chat: KeptChain | None


class OpenConversation(Protocol):
    """What is needed of the dialogue."""

    @property
    def conversation_id(self) -> ConversationId | None: ...

    @property
    def own_chain(self) -> str | None: ...

    def set_own_chain(self, chain: str | None, conversation_id: ConversationId | None = None) -> None: ...


class Engine(Protocol):
    """What is needed of the supervisor."""

    @property
    def state(self) -> EngineState: ...

    def set_chain(self, run_id: int, chain: tuple[ChainLink, ...]) -> None: ...


class Chains:
    """The chain that holds, and where it is kept. Every method is for the pumping thread and returns at once.

    Args:
        bus: `ChainChanged` is posted there.
        dialogue: the open conversation.
        engine: the loaded model, and the run that a change reaches.
        keep: stores the general chain and the models' chains; called after each change of them.
    """

    def __init__(
        self,
        bus: Bus,
        dialogue: OpenConversation,
        engine: Engine,
        keep: Callable[[KeptChain, Mapping[str, KeptChain]], None],
    ) -> None:
        self._bus, self._dialogue, self._engine, self._keep = bus, dialogue, engine, keep
        self._general = KeptChain(Chain.default(), BEGINNING.key)
        self._models: dict[str, KeptChain] = {}
        self._read_text: str | None = None  # the conversation's chain that was read last, and what it means
        self._read_chain: KeptChain | None = None
        self._told = (self._general, ChainScope.ALL)
        bus.subscribe(ThreadChanged, lambda _event: self._tell())
        bus.subscribe(EngineChanged, lambda _event: self._tell())

    # ---- looking

    @property
    def scope(self) -> ChainScope:
        """Where the chain that holds is kept."""
        if self._own() is not None:
            return ChainScope.CHAT
        return ChainScope.MODEL if self.model_path in self._models else ChainScope.ALL

    @property
    def kept(self) -> KeptChain:
        """The chain that holds, and the preset that it began as."""
        return self._own() or self._models.get(self.model_path) or self._general

    @property
    def model_path(self) -> str:
        """The model that is loaded or being loaded, "" without one."""
        return self._engine.state.model_path

    def arrangement(self) -> Arrangement:
        """What every scope keeps now."""
        path = self.model_path
        chat = self._dialogue.conversation_id
        return Arrangement(self._general, path, self._models.get(path), chat, self._own())

    # ---- changing

    def set(self, chain: Chain, preset: str | None = None) -> None:
        """Draw with this chain, from the next token on where an answer is being written.

        Args:
            chain: the new chain, kept where the present one is.
            preset: the preset that it is; None when it is a change of the present one.
        """
        kept = KeptChain(chain, self.kept.preset if preset is None else preset)
        self._put(self.scope, kept)
        self._send(chain)
        self._tell()

    def use(self, scope: ChainScope) -> Arrangement:
        """Keep the chain there from now on; returns what was, for `restore`.

        A scope that has no chain of its own takes the one that holds now. The chains of narrower scopes are dropped.

        Raises:
            KnownError: there is no model whose chain it could be.
        """
        before, kept = self.arrangement(), self.kept
        if scope is ChainScope.MODEL and not self.model_path:
            raise KnownError("No model is loaded whose samplers these could be", next_step="load a model first")
        if scope is not ChainScope.CHAT and before.chat is not None:
            self._dialogue.set_own_chain(None)
        if scope is ChainScope.ALL and before.model is not None:
            del self._models[before.model_path]
            self._keep(self._general, self._models)
        has_own = {ChainScope.ALL: True, ChainScope.MODEL: before.model is not None, ChainScope.CHAT: False}
        if self.scope is not scope and not has_own[scope]:
            self._put(scope, kept)
        if self.kept.chain != kept.chain:
            self._send(self.kept.chain)
        self._tell()
        return before

    def use_everywhere(self) -> Arrangement:
        """Make the chain that holds the one of all chats, and drop the narrower ones; returns what was."""
        before, kept = self.arrangement(), self.kept
        self._put(ChainScope.ALL, kept)
        self.use(ChainScope.ALL)
        return before

    def restore(self, arrangement: Arrangement) -> None:
        """Undo `use`, also when another conversation is open by now."""
        self._general = arrangement.general
        if arrangement.model_path:
            if arrangement.model is None:
                self._models.pop(arrangement.model_path, None)
            else:
                self._models[arrangement.model_path] = arrangement.model
        self._keep(self._general, self._models)
        self._dialogue.set_own_chain(_json(arrangement.chat), arrangement.chat_id)
        self._send(self.kept.chain)
        self._tell()

    def read(self, settings: Settings) -> None:
        """Take what the settings file keeps.

        Raises:
            KnownError: a chain in it is not valid; the others are taken.
        """
        failed: KnownError | None = None
        preset = settings.chain_preset or BEGINNING.key
        self._general = KeptChain(Chain.default(), preset)
        if settings.chain:
            try:
                self._general = KeptChain(Chain.from_wire([dict(each) for each in settings.chain]), preset)
            except KnownError as error:
                failed = error
        for path, data in settings.model_chains.items():
            try:
                self._models[path] = KeptChain.from_wire(data)
            except KnownError as error:
                failed = error
        self._tell()
        if failed is not None:
            raise failed

    # ---- inside

    def _own(self) -> KeptChain | None:
        """The open conversation's chain; one that cannot be read is told once and does not hold."""
        text = self._dialogue.own_chain
        if text != self._read_text:
            self._read_text, self._read_chain = text, None
            if text is not None:
                try:
                    self._read_chain = _kept_of(text)
                except KnownError as error:
                    told = error.trouble
                    what = "The samplers of this chat are not understood; those of all chats are used"
                    self._bus.post(TroubleShown(Trouble(what, told.sentence(), "choose a preset for it"), "chat"))
        return self._read_chain

    def _put(self, scope: ChainScope, kept: KeptChain) -> None:
        if scope is ChainScope.CHAT:
            self._dialogue.set_own_chain(_json(kept))
            return
        if scope is ChainScope.MODEL:
            self._models[self.model_path] = kept
        else:
            self._general = kept
        self._keep(self._general, self._models)

    def _send(self, chain: Chain) -> None:
        run_id = self._engine.state.run_id
        if run_id:
            self._engine.set_chain(run_id, wire_chain(chain))

    def _tell(self) -> None:
        now = (self.kept, self.scope)
        if now != self._told:
            self._told = now
            self._bus.post(ChainChanged(now[0].chain, now[1]))


def wire_chain(chain: Chain) -> tuple[ChainLink, ...]:
    """The chain as it travels."""
    return tuple(ChainLink(each["key"], each["enabled"], each["values"]) for each in chain.to_wire())


def _json(kept: KeptChain | None) -> str | None:
    return None if kept is None else json.dumps(kept.to_wire(), ensure_ascii=False, separators=(",", ":"))


def _kept_of(text: str) -> KeptChain:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KnownError("It is no JSON", value=str(error)[:80]) from error
    return KeptChain.from_wire(data)
