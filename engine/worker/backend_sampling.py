"""Backend sampling: the sampler chain as a part of the model's graph, so that a token comes back and no logits.

On a GPU this saves copying a row of logits for each token. It is used only where every stage of the chain has a form that
the backend can compute (`llama_sampler_i.backend_apply`; stages that draw by themselves have none): a chain that would be
split between the two is left to the plain way. The draws come from the same generator, so a seed gives the same text. On a
CPU there is nothing to save. Rejected: `llama_context_params.samplers`, which would tie the chain to the load, while here
each answer has its own and may change it in the middle.

Source: llama.h `llama_set_sampler` (experimental), llama.cpp pull request 17004.
"""

from __future__ import annotations

import llama_cpp.llama_cpp as llama

from engine.worker.samplers import SamplerChain
from engine.worker.session import Session


class BackendSteps:
    """Steps of a run whose tokens are picked inside the graph. The first one is not: its logits are there already.

    Attributes:
        no_shortcut: why the chain could not be put into the graph, so that the run is a plain one; "" while it can.
    """

    n_drafted: int | None = None
    n_accepted: int | None = None

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: SamplerChain | None = None
        self.no_shortcut = ""

    def use(self, chain: SamplerChain) -> None:
        """Pick with this chain from the next call on; the one before must have been closed."""
        self._waiting = chain

    def advance(self, token: int) -> None:
        """Append the token that was picked, and pick the next one with it."""
        if self._waiting is not None:
            self._put_in(self._waiting)
            self._waiting = None
        self._session.decode_one(token)

    def close(self) -> None:
        """The chain takes itself out of the graph when it is closed."""

    def _put_in(self, chain: SamplerChain) -> None:
        if chain.needs_care:
            self.no_shortcut = "No backend sampling: this chain may leave no token, which only the plain way notices."
            return
        # A sampler that was prepared for a graph is skipped outside of it, so a copy is asked first.
        probe = chain.copy()
        accepted = self._session.attach(probe)
        cannot = [each.lstrip("-") for each in names(probe) if not each.startswith("+")]
        probe.close()
        if accepted and not cannot and self._session.attach(chain):
            self.no_shortcut = ""
        else:
            self.no_shortcut = f"No backend sampling: this engine cannot do it for {', '.join(cannot) or 'this chain'}."


def names(chain: SamplerChain) -> list[str]:
    """llama.cpp's names of the chain's samplers; once in a graph they begin with "+", or with "-" where they cannot."""
    n_samplers = llama.llama_sampler_chain_n(chain.pointer)
    samplers = [llama.llama_sampler_chain_get(chain.pointer, index) for index in range(n_samplers)]
    return [(llama.llama_sampler_name(each) or b"").decode() for each in samplers]
