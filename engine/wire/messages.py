"""Every message between the window and the worker: commands down, events up. The only place where they are declared.

Each is a frozen msgspec Struct, tagged with its class's name. `Command` and `Event` are the closed unions that the
two ends decode to, so an unknown or malformed message is a `ProtocolFault` and never half an object.
Numbers are in SI units or bytes, as their names say. Values of Fields travel as plain mappings of key → value and are
checked with the same Fields at the other end.
"""

from __future__ import annotations

import enum
from typing import Any, TypeAlias

import msgspec

from engine.base.errors import Trouble

PROTOCOL = 1
"""Raised with every change of a message; the supervisor refuses a worker that speaks another one."""

OptionValue: TypeAlias = bool | int | float | str | tuple[str, ...]


class Message(msgspec.Struct, frozen=True, tag=True):
    """What all messages share: a tag on the wire that is the class's name."""


# ---- values inside messages -------------------------------------------------------------------------------------


class DeviceKind(enum.Enum):
    """What kind of memory a device has, in ggml's words."""

    CPU = "cpu"
    GPU = "gpu"
    IGPU = "igpu"
    ACCEL = "accel"


class DeviceInfo(msgspec.Struct, frozen=True):
    """A compute device that the engine sees. Sizes in bytes; None where the driver does not tell."""

    name: str
    description: str
    kind: DeviceKind
    total_bytes: int | None
    free_bytes: int | None


class BufferUse(msgspec.Struct, frozen=True):
    """What one buffer type of llama.cpp holds (`llama_get_memory_breakdown`). Sizes in bytes.

    `device` is the name of the device that owns the buffer type; `is_host` says that the bytes are in RAM.
    """

    buffer: str
    device: str
    is_host: bool
    model_bytes: int
    context_bytes: int
    compute_bytes: int


class MemoryUse(msgspec.Struct, frozen=True):
    """What the engine allocated (`is_dry` false) or would allocate (true), by buffer type.

    Attributes:
        buffers: llama.cpp's own breakdown. Read with `load_mode` none it has no mapped part.
        output_bytes: the logits buffer, which the breakdown leaves out.
        mapped_bytes: how much of the file stays mapped beside the copies, 0 without mmap.
        recurrent_bytes: the part of the context bytes that is recurrent state; None where unknown.
        base_rss_bytes: the process before the model was opened.
        vocab_bytes: the growth of the process by the tokenizer and the model's tables; None where not measured.
        rss_bytes: the process's resident memory when this was read; None in a dry run.
        n_ctx: the context after the engine's rounding, in tokens.
        took_s: how long the measurement or the load took.
    """

    is_dry: bool
    buffers: tuple[BufferUse, ...]
    output_bytes: int
    mapped_bytes: int
    base_rss_bytes: int
    vocab_bytes: int | None
    rss_bytes: int | None
    n_ctx: int
    took_s: float
    recurrent_bytes: int | None = None


class ModelFacts(msgspec.Struct, frozen=True):
    """What the loaded model says of itself. Counts are pure numbers, sizes bytes."""

    path: str
    name: str
    architecture: str
    description: str
    size_bytes: int
    n_params: int
    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_swa: int
    n_vocab: int
    n_ctx: int
    n_ctx_train: int
    chat_template: str | None
    bos_text: str
    eos_text: str
    adds_bos: bool
    is_recurrent: bool
    is_hybrid: bool
    can_roll_back: bool
    n_threads: int
    n_threads_batch: int
    flash_attn: bool | None
    devices: tuple[str, ...]
    fingerprint: str


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn: `role` is system, user, assistant or tool."""

    role: str
    content: str


class ChainLink(msgspec.Struct, frozen=True):
    """One stage of the sampler chain as it travels; `engine.sampling` checks and understands it."""

    key: str
    enabled: bool
    values: dict[str, OptionValue]


class Prompt(msgspec.Struct, frozen=True):
    """What the model is to continue: either `messages` through the chat template, or `text` as it stands.

    Attributes:
        messages: the conversation; the last one is usually the user's.
        text: raw text, used when `messages` is empty.
        template: a template of the user's, None for the model's own.
        drop_oldest: leave out the oldest turns when they do not fit, and say how many; otherwise refuse.
        add_special: begin with the model's BOS token where the model wants one.
        extras: names that the template may use (enable_thinking …).
    """

    messages: tuple[ChatMessage, ...] = ()
    text: str = ""
    template: str | None = None
    drop_oldest: bool = False
    add_special: bool = True
    extras: dict[str, Any] = {}


class TokenInfo(msgspec.Struct, frozen=True):
    """A token of a text. `start` and `end` are byte offsets into its UTF-8 form."""

    id: int
    piece: bytes
    start: int
    end: int
    special: bool


class TokenChance(msgspec.Struct, frozen=True):
    """A token, its text as bytes, its probability (0 to 1) and its logit (None after the chain)."""

    id: int
    piece: bytes
    p: float
    logit: float | None = None


class StageView(msgspec.Struct, frozen=True):
    """What remained after one stage: how many tokens, their entropy in bits, the kept mass and the top of them."""

    key: str
    survivors: int
    entropy_bits: float
    mass_kept: float
    top: tuple[TokenChance, ...]


class FinishReason(enum.Enum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    CONTEXT = "context"


class RunStats(msgspec.Struct, frozen=True):
    """The figures of one answer. Seconds and tokens; a speed that cannot be told is None.

    `prefill_s` is the time to compute the prompt's new tokens, `first_token_s` the time from the command's arrival to
    the first token's leaving, `decode_s` from the first token to the last. `contended` says that the engine's threads
    got noticeably less of the CPU than they asked for, `cpu_share` how much (1 is all of it).
    """

    n_prompt: int
    n_reused: int
    n_completion: int
    render_s: float
    prefill_s: float
    first_token_s: float | None
    decode_s: float
    cpu_share: float | None = None
    contended: bool = False

    @property
    def prefill_tps(self) -> float | None:
        """Prompt tokens computed a second, None when too few were computed to say."""
        n_new = self.n_prompt - self.n_reused
        return n_new / self.prefill_s if n_new > 1 and self.prefill_s > 0 else None

    @property
    def decode_tps(self) -> float | None:
        """Tokens written a second after the first, None when fewer than two were written."""
        return (self.n_completion - 1) / self.decode_s if self.n_completion > 1 and self.decode_s > 0 else None


class BenchPoint(msgspec.Struct, frozen=True):
    """One row of a measurement: `n` tokens (of prompt, or of context depth), tokens a second, spread (max − min)."""

    n: int
    tps: float
    spread: float


# ---- commands: window → worker ------------------------------------------------------------------------------------


class Load(Message, frozen=True):
    """Load a model (the one that is loaded is dropped first). Answers: LoadProgress …, then Loaded or LoadFailed."""

    load_id: int
    path: str
    options: dict[str, OptionValue]


class Unload(Message, frozen=True):
    """Drop the model. Answer: Unloaded."""


class Plan(Message, frozen=True):
    """The dry run: what a load with these options would take. Answer: Planned, or Failed. Never beside a loaded model."""

    request_id: int
    path: str
    options: dict[str, OptionValue]


class Generate(Message, frozen=True):
    """Continue a prompt. Answers: RunStarted, PrefillProgress …, Token …, then RunDone or RunFailed."""

    run_id: int
    prompt: Prompt
    chain: tuple[ChainLink, ...]
    options: dict[str, OptionValue]


class SetChain(Message, frozen=True):
    """From the next token on, sample with this chain."""

    run_id: int
    chain: tuple[ChainLink, ...]


class Cancel(Message, frozen=True):
    """Stop what is going on: the run or load of that id, or anything when it is 0."""

    target_id: int


class Tokenize(Message, frozen=True):
    """Take a text apart. Answer: Tokenized."""

    request_id: int
    text: str
    add_special: bool
    parse_special: bool


class Render(Message, frozen=True):
    """The exact prompt that a Generate would compute. Answer: Rendered."""

    request_id: int
    prompt: Prompt


class Next(Message, frozen=True):
    """The next token, taken apart: raw, after every stage, and the one that is picked. Answer: NextTaken."""

    request_id: int
    prompt: Prompt
    chain: tuple[ChainLink, ...]
    seed: int
    n_top: int


class Bench(Message, frozen=True):
    """Measure prefill and decode, and decode with other numbers of threads. Answer: BenchProgress …, Benched."""

    request_id: int
    prefill_sizes: tuple[int, ...]
    decode_depths: tuple[int, ...]
    n_decode: int
    repeats: int
    thread_counts: tuple[int, ...] = ()


class Ping(Message, frozen=True):
    """Are you alive? Answered by the reading thread even in the middle of a long call: Pong."""

    ping_id: int


class Quit(Message, frozen=True):
    """End the worker."""


Command: TypeAlias = (
    Load | Unload | Plan | Generate | SetChain | Cancel | Tokenize | Render | Next | Bench | Ping | Quit
)


# ---- events: worker → window ----------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """The first event: which protocol, which engine, on which process, with which devices."""

    protocol: int
    pid: int
    engine: str
    build: str
    devices: tuple[DeviceInfo, ...]
    rss_bytes: int


class LoadProgress(Message, frozen=True):
    """How much of the weights is there, 0 to 1."""

    load_id: int
    fraction: float


class Loaded(Message, frozen=True):
    """The model is ready."""

    load_id: int
    facts: ModelFacts
    memory: MemoryUse
    took_s: float


class LoadFailed(Message, frozen=True):
    """The model could not be loaded, or somebody cancelled (`cancelled`)."""

    load_id: int
    trouble: Trouble
    cancelled: bool = False


class Unloaded(Message, frozen=True):
    """No model is loaded any more."""


class Planned(Message, frozen=True):
    """The answer to Plan."""

    request_id: int
    memory: MemoryUse
    facts: ModelFacts


class RunStarted(Message, frozen=True):
    """The prompt is rendered and cut into tokens.

    Attributes:
        n_prompt: the prompt's tokens.
        n_reused: how many of them the cache still held; the others are computed now.
        seed: the seed in use, the drawn one where random was asked for.
        n_dropped_messages: how many of the oldest messages were left out to make it fit.
        template_hash: of the template in use, "" for raw text.
        warnings: what had to be bent to fit the template.
        starts_in_thinking: the prompt ends inside a thinking block, so the answer begins in one.
    """

    run_id: int
    n_prompt: int
    n_reused: int
    seed: int
    n_dropped_messages: int
    template_hash: str
    warnings: tuple[str, ...]
    starts_in_thinking: bool = False
    no_roll_back: bool = False


class PrefillProgress(Message, frozen=True):
    """How many of the prompt's new tokens are computed."""

    run_id: int
    n_done: int
    n_total: int


class Token(Message, frozen=True):
    """Text that was written: the bytes of one or more tokens (a character may be split between two events).

    `n_completion` counts the tokens written so far; `n_past` the tokens in the cache.
    """

    run_id: int
    piece: bytes
    n_completion: int
    n_past: int


class RunDone(Message, frozen=True):
    """The answer is complete, or was stopped."""

    run_id: int
    reason: FinishReason
    stats: RunStats
    stop_text: str = ""


class RunFailed(Message, frozen=True):
    """The answer could not be begun or went wrong; what was written until then stands."""

    run_id: int
    trouble: Trouble


class Tokenized(Message, frozen=True):
    """The answer to Tokenize."""

    request_id: int
    tokens: tuple[TokenInfo, ...]


class Rendered(Message, frozen=True):
    """The answer to Render: the exact text, its token ids, where the template came from, what was bent."""

    request_id: int
    text: str
    tokens: tuple[int, ...]
    template_source: str
    warnings: tuple[str, ...]
    n_dropped_messages: int


class NextTaken(Message, frozen=True):
    """The answer to Next."""

    request_id: int
    raw: tuple[TokenChance, ...]
    entropy_bits: float
    stages: tuple[StageView, ...]
    picked: TokenChance


class BenchProgress(Message, frozen=True):
    """How far a measurement is, 0 to 1, and what it does now."""

    request_id: int
    fraction: float
    text: str


class Benched(Message, frozen=True):
    """The answer to Bench. In `threads` a point's `n` is a number of threads, in `decode` a depth in tokens."""

    request_id: int
    prefill: tuple[BenchPoint, ...]
    decode: tuple[BenchPoint, ...]
    threads: tuple[BenchPoint, ...]
    n_threads: int
    peak_rss_bytes: int
    contended: bool


class Failed(Message, frozen=True):
    """A request (Plan, Tokenize, Render, Next, Bench) that could not be answered."""

    request_id: int
    trouble: Trouble
    cancelled: bool = False


class Pong(Message, frozen=True):
    """Alive. `n_steps` grows with every token, micro-batch and load step, so that a stuck call can be told."""

    ping_id: int
    n_steps: int
    rss_bytes: int


class LogLine(Message, frozen=True):
    """A warning or error of llama.cpp's own log."""

    level: str
    text: str


Event: TypeAlias = (
    Hello
    | LoadProgress
    | Loaded
    | LoadFailed
    | Unloaded
    | Planned
    | RunStarted
    | PrefillProgress
    | Token
    | RunDone
    | RunFailed
    | Tokenized
    | Rendered
    | NextTaken
    | BenchProgress
    | Benched
    | Failed
    | Pong
    | LogLine
)
