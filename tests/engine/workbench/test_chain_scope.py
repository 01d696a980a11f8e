"""Whose chain holds: the chat's, the model's or everybody's, kept in its own place and given back by an undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from engine.base.bus import Bus
from engine.base.errors import KnownError
from engine.runtime.supervisor import EngineState, Phase
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS
from engine.settings import Settings
from engine.store.rows import ConversationId
from engine.wire.messages import ChainLink
from engine.workbench.chain_scope import Chains, KeptChain, wire_chain
from engine.workbench.events import ChainChanged, ChainScope, ConversationsChanged, TroubleShown
from tests.support.benches import Driver

Start = Callable[[], Driver]
DEFAULT = Chain.default()
BEGAN = PRESETS[0].key
MOVED = DEFAULT.moved(DEFAULT.keys()[-1], 0)
OFF = DEFAULT.with_enabled(DEFAULT.keys()[1], False)


class Engine:
    """An engine with a model and perhaps a run; remembers which chains it was sent."""

    def __init__(self) -> None:
        self.state = EngineState(phase=Phase.READY, model_path="a.gguf")
        self.sent: list[tuple[int, tuple[ChainLink, ...]]] = []

    def set_chain(self, run_id: int, chain: tuple[ChainLink, ...]) -> None:
        self.sent.append((run_id, chain))


class Conversation:
    """The open conversation: what each one keeps."""

    def __init__(self) -> None:
        self.conversation_id: ConversationId | None = ConversationId("c")
        self.kept: dict[str | None, str | None] = {}

    @property
    def own_chain(self) -> str | None:
        return self.kept.get(self.conversation_id)

    def set_own_chain(self, chain: str | None, conversation_id: ConversationId | None = None) -> None:
        self.kept[conversation_id or self.conversation_id] = chain


class Scene:
    def __init__(self) -> None:
        self.bus, self.chat, self.engine = Bus(), Conversation(), Engine()
        self.saved: list[tuple[KeptChain, dict[str, KeptChain]]] = []
        self.told: list[ChainChanged] = []
        self.bus.subscribe(ChainChanged, self.told.append)
        self.chains = Chains(self.bus, self.chat, self.engine, self._keep)

    def _keep(self, general: KeptChain, models: Mapping[str, KeptChain]) -> None:
        self.saved.append((general, dict(models)))

    def open_model(self, path: str) -> None:
        self.engine.state = EngineState(phase=Phase.READY, model_path=path)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_change_goes_to_all_chats_unless_something_else_was_chosen(scene: Scene) -> None:
    assert (scene.chains.scope, scene.chains.kept) == (ChainScope.ALL, KeptChain(DEFAULT, BEGAN))
    scene.chains.set(MOVED)
    scene.open_model("b.gguf")
    scene.chat.conversation_id = ConversationId("d")
    assert scene.chains.kept.chain == MOVED
    assert scene.saved[-1] == (KeptChain(MOVED, BEGAN), {})
    scene.bus.pump()
    assert scene.told == [ChainChanged(MOVED, ChainScope.ALL)]


def test_a_scope_begins_with_what_is_on_screen_and_then_goes_its_own_way(scene: Scene) -> None:
    scene.chains.set(MOVED, "mine")
    scene.chains.use(ChainScope.CHAT)
    assert scene.chains.kept == KeptChain(MOVED, "mine")
    scene.chains.set(OFF)
    assert (scene.chains.scope, scene.chains.kept) == (ChainScope.CHAT, KeptChain(OFF, "mine"))
    scene.chat.conversation_id = ConversationId("other")
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.ALL, MOVED)


def test_a_models_chain_holds_in_every_chat_without_its_own_and_for_no_other_model(scene: Scene) -> None:
    scene.chains.use(ChainScope.MODEL)
    scene.chains.set(OFF)
    assert scene.saved[-1] == (KeptChain(DEFAULT, BEGAN), {"a.gguf": KeptChain(OFF, BEGAN)})
    scene.open_model("b.gguf")
    assert scene.chains.kept.chain == DEFAULT
    scene.open_model("a.gguf")
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.MODEL, OFF)
    scene.chains.use(ChainScope.CHAT)
    scene.chains.set(MOVED)
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.CHAT, MOVED)
    scene.chains.use(ChainScope.MODEL)
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.MODEL, OFF), "the model's own was still there"


def test_going_back_to_all_chats_drops_the_narrower_chains_and_can_be_undone(scene: Scene) -> None:
    scene.chains.use(ChainScope.MODEL)
    scene.chains.set(OFF)
    scene.chains.use(ChainScope.CHAT)
    scene.chains.set(MOVED)
    before = scene.chains.use(ChainScope.ALL)
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.ALL, DEFAULT)
    assert scene.chat.kept["c"] is None
    scene.chat.conversation_id = ConversationId("other")
    scene.chains.restore(before)
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.MODEL, OFF)
    scene.chat.conversation_id = ConversationId("c")
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.CHAT, MOVED)


def test_use_everywhere_makes_the_chain_on_screen_everybodys(scene: Scene) -> None:
    scene.chains.use(ChainScope.CHAT)
    scene.chains.set(MOVED, "mine")
    before = scene.chains.use_everywhere()
    assert (scene.chains.scope, scene.chains.kept) == (ChainScope.ALL, KeptChain(MOVED, "mine"))
    scene.chains.restore(before)
    assert scene.chains.scope is ChainScope.CHAT
    scene.chat.conversation_id = ConversationId("other")
    assert scene.chains.kept == KeptChain(DEFAULT, BEGAN)


def test_without_a_model_there_is_no_chain_of_a_model(scene: Scene) -> None:
    scene.open_model("")
    with pytest.raises(KnownError, match="load a model"):
        scene.chains.use(ChainScope.MODEL)
    assert scene.chains.scope is ChainScope.ALL


def test_a_run_hears_of_every_change_and_of_no_mere_change_of_place(scene: Scene) -> None:
    scene.engine.state = EngineState(phase=Phase.WRITING, model_path="a.gguf", run_id=7)
    scene.chains.use(ChainScope.CHAT)
    assert scene.engine.sent == []
    scene.chains.set(MOVED)
    scene.chains.use(ChainScope.ALL)
    assert scene.engine.sent == [(7, wire_chain(MOVED)), (7, wire_chain(DEFAULT))]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"preset": 1}', '{"preset": "x"}', '{"chain": [{"key": "nobody"}]}'])
def test_a_chats_chain_that_is_not_understood_is_told_once_and_does_not_hold(scene: Scene, text: str) -> None:
    troubles: list[TroubleShown] = []
    scene.bus.subscribe(TroubleShown, troubles.append)
    scene.chat.kept["c"] = text
    assert (scene.chains.scope, scene.chains.kept.chain) == (ChainScope.ALL, DEFAULT)
    scene.bus.pump()
    assert len(troubles) == 1


def test_a_bad_chain_in_the_settings_is_told_and_the_others_are_taken(scene: Scene) -> None:
    good = KeptChain(MOVED, PRESETS[0].key).to_wire()
    settings = Settings(model_chains={"a.gguf": good, "b.gguf": {"chain": "nonsense"}})
    with pytest.raises(KnownError):
        scene.chains.read(settings)
    assert scene.chains.kept == KeptChain(MOVED, PRESETS[0].key)


def test_every_scope_survives_a_restart(start: Start) -> None:
    driver = start()
    bench = driver.workbench
    bench.chains.set(OFF, "mine")
    bench.dialogue.set_draft("a chat")
    bench.chains.use(ChainScope.CHAT)
    bench.set_chain(MOVED)
    bench.dialogue.flush()
    chat_id = bench.dialogue.conversation_id
    assert chat_id is not None
    driver.settle("store")

    again = start().workbench
    assert (again.chains.scope, again.chains.kept) == (ChainScope.ALL, KeptChain(OFF, "mine"))
    again.dialogue.open(chat_id)
    driver = Driver(again)
    driver.until(lambda: again.chains.scope is ChainScope.CHAT)
    assert again.chain == MOVED
    again.dialogue.new()
    assert again.chain == OFF


def test_a_chain_chosen_for_a_new_chat_belongs_to_that_chat_alone(start: Start) -> None:
    driver = start()
    bench = driver.workbench
    listed = driver.collect(ConversationsChanged)
    bench.chains.use(ChainScope.CHAT)
    bench.set_chain(MOVED)
    bench.dialogue.new()
    assert (bench.chains.scope, bench.chain) == (ChainScope.ALL, DEFAULT)
    bench.dialogue.set_draft("another")
    bench.dialogue.flush()
    bench.dialogue.refresh_list()
    driver.until(lambda: listed)
    assert [each.chain for each in listed[-1].rows] == [None]


def test_a_models_chain_is_in_the_settings_file(start: Start) -> None:
    driver = start()
    path = "/models/a b.gguf"
    bench = driver.workbench
    bench.supervisor.begin_planning(path)
    bench.chains.use(ChainScope.MODEL)
    bench.set_chain(OFF)
    bench.supervisor.end_planning()
    assert bench.chain == DEFAULT
    again = start().workbench
    again.supervisor.begin_planning(path)
    assert (again.chains.scope, again.chain) == (ChainScope.MODEL, OFF)
