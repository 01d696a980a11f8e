"""What the parts of the workbench need of the supervisor and of the store's lane, and no more of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from engine.base.errors import Trouble
from engine.base.fields import Value
from engine.runtime.supervisor import EngineState
from engine.store import Store
from engine.wire.messages import ChainLink, Generate, Prompt


class Engine(Protocol):
    """What the dialogue needs of the supervisor."""

    @property
    def state(self) -> EngineState: ...

    @property
    def load_options(self) -> Mapping[str, Value]: ...

    def generate(self, prompt: Prompt, chain: tuple[ChainLink, ...], options: Mapping[str, Value]) -> int: ...

    def write(self, command: Callable[[int], Generate]) -> int: ...

    def cancel(self) -> None: ...


class InStore(Protocol):
    """Runs work on the store's lane."""

    def __call__(
        self,
        work: Callable[[Store], object],
        *,
        then: Callable[[Any], None] | None = None,
        title: str = "",
        failed: Callable[[Trouble], None] | None = None,
    ) -> None: ...
