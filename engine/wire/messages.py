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

PROTOCOL = 6
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
    """A compute device that the engine sees. Sizes in bytes; None where the driver does not tell.

    `largest_tensor_bytes` is the most that one weight or result may have there, None for any size: what is larger is left
    to the CPU.
    """

    name: str
    description: str
    kind: DeviceKind
    total_bytes: int | None
    free_bytes: int | None
    largest_tensor_bytes: int | None = None


class BufferUse(msgspec.Struct, frozen=True):
    """What one buffer type of llama.cpp holds (`llama_get_memory_breakdown`). Sizes in bytes.

    `device` is the name of the device that owns the buffer type; `is_host` says that the bytes are in RAM.
    `recurrent_bytes` of the context bytes are recurrent state.
    """

    buffer: str
    device: str
    is_host: bool
    model_bytes: int
    context_bytes: int
    compute_bytes: int
    recurrent_bytes: int = 0


class DraftUse(msgspec.Struct, frozen=True):
    """What the draft model takes beside the model, as in `MemoryUse`, where its tokenizer's tables are counted too."""

    buffers: tuple[BufferUse, ...]
    output_bytes: int
    mapped_bytes: int
    n_ctx: int


class MemoryUse(msgspec.Struct, frozen=True):
    """What the engine allocated (`is_dry` false) or would allocate (true), by buffer type.

    Attributes:
        buffers: llama.cpp's own breakdown. Read with `load_mode` none it has no mapped part.
        output_bytes: the logits buffer, which the breakdown leaves out.
        mapped_bytes: how much of the file stays mapped beside the copies, 0 without mmap.
        base_rss_bytes: the process before the model was opened.
        vocab_bytes: the growth of the process by the tokenizer and the model's tables; None where not measured.
        rss_bytes: the process's resident memory when this was read; None in a dry run.
        n_ctx: the context after the engine's rounding, in tokens.
        took_s: how long the measurement or the load took.
        draft: of the draft model that is loaded beside it, None where there is none.
        staged_bytes: the largest copy that the load holds in RAM for a moment; None where not known.
        awaited_bytes: the weights that RAM gets only when the copies are gone, 0 with mmap.
        work_bytes: what ggml converts attention's scores in on the CPU, 0 with flash attention.
        peak_rss_bytes: the most that was resident while loading, from the opening of the model on; None where not told.
        file_rss_bytes: how much of `rss_bytes` is pages of files, which the system may take back; None where not told.
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
    draft: DraftUse | None = None
    staged_bytes: int | None = None
    awaited_bytes: int = 0
    work_bytes: int = 0
    peak_rss_bytes: int | None = None
    file_rss_bytes: int | None = None


class ModelFacts(msgspec.Struct, frozen=True):
    """What the loaded model says of itself. Counts are pure numbers, sizes bytes.

    `draft_name` is the name of the draft model beside it, "" where there is none.
    """

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
    draft_name: str = ""


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
    """What the model is to continue: `messages` through the chat template, `text` as it stands, or `tokens`.

    Attributes:
        messages: the conversation; the last one is usually the user's.
        text: raw text, used when `messages` is empty.
        tokens: the exact token ids; where there are any, messages, text and template are not looked at.
        template: a template of the user's, None for the model's own.
        drop_oldest: leave out the oldest turns when they do not fit, and say how many; otherwise refuse.
        add_special: begin with the model's BOS token where the model wants one.
        extras: names that the template may use (enable_thinking …).
    """

    messages: tuple[ChatMessage, ...] = ()
    text: str = ""
    tokens: tuple[int, ...] = ()
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


class TokenOption(msgspec.Struct, frozen=True):
    """What might have stood in a token's place: `p` by the model alone, `p_chain` after the chain (0 where it cut)."""

    id: int
    piece: bytes
    p: float
    p_chain: float


class TokenTrace(msgspec.Struct, frozen=True):
    """One token of a text as the model saw it coming.

    Attributes:
        id, piece: the token and its bytes (control tokens by their spelling).
        p: the model's own probability of it, 0 to 1; None for the first token of all, which nothing stands before.
        rank: how many tokens were likelier, 0 for the likeliest; None with `p`.
        entropy_bits: of the model's own distribution at this place; None with `p`.
        p_chain: its probability after the chain, 0 where the chain would have cut it; None with `p`.
        top: the likeliest tokens at this place, by `p`, largest first.
    """

    id: int
    piece: bytes
    p: float | None
    rank: int | None
    entropy_bits: float | None
    p_chain: float | None
    top: tuple[TokenOption, ...]


class ColumnKind(enum.Enum):
    """How one of many continuations is written."""

    CHAIN = "chain"  # drawn by a sampler chain
    GREEDY = "greedy"  # the most likely token each time
    BEST_PATH = "best_path"  # beam search: the most likely whole continuation that was found
    CONTRAST = "contrast"  # contrastive search (Su et al. 2022): likely, and unlike what stands before


class SampleColumn(msgspec.Struct, frozen=True):
    """One continuation of many. `chain` and `seed` are used by CHAIN; `width` is the beam's, or CONTRAST's k."""

    kind: ColumnKind
    chain: tuple[ChainLink, ...] = ()
    seed: int = -1
    width: int = 4
    alpha: float = 0.6


class ColumnResult(msgspec.Struct, frozen=True):
    """How one continuation ended. `logprob` is the natural log of the model's own probability of all its tokens.

    `seed` is the one in use; `distinct_1`, `distinct_2` are the share of different words and pairs of words in it
    (Li et al. 2016), None for a text without any.
    """

    text: bytes
    tokens: tuple[int, ...]
    seed: int
    reason: FinishReason
    logprob: float
    distinct_1: float | None
    distinct_2: float | None


class TokenCount(msgspec.Struct, frozen=True):
    """How often a token was drawn, and how often theory says it should be (`p`, 0 to 1)."""

    id: int
    piece: bytes
    n: int
    p: float


class ChainChange(msgspec.Struct, frozen=True):
    """The chain was changed in the middle of an answer: after `n_written` of its tokens, `chain` drew the next one."""

    n_written: int
    chain: tuple[ChainLink, ...]


class Portion(msgspec.Struct, frozen=True):
    """`times` calls of the engine in a row, each computed `n_computed` tokens at once; the first `n_kept` were kept.

    The number of tokens in a call decides how the engine rounds, so the same portions give the same bits again.
    """

    n_kept: int
    n_computed: int
    times: int = 1


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
    got noticeably less of the CPU than they asked for, `cpu_share` how much (1 is all of it). `n_completion` counts the
    `n_begun` tokens that the answer was begun with; they are computed with the prompt, so no speed counts them as written,
    and `n_reused` may hold some of them.
    `n_drafted` tokens were guessed by speculation, `n_accepted` of them were right; None for a run without it.
    `no_shortcut` says why speculation or backend sampling that was asked for was not used, or not to the end, "" otherwise.
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
    n_begun: int = 0
    n_drafted: int | None = None
    n_accepted: int | None = None
    no_shortcut: str = ""

    @property
    def acceptance_rate(self) -> float | None:
        """The share of the guessed tokens that were right, 0 to 1; None when none was guessed."""
        return self.n_accepted / self.n_drafted if self.n_drafted and self.n_accepted is not None else None

    @property
    def prefill_tps(self) -> float | None:
        """Prompt tokens computed a second, None when too few were computed to say."""
        n_new = self.n_prompt + self.n_begun - self.n_reused
        return n_new / self.prefill_s if n_new > 1 and self.prefill_s > 0 else None

    @property
    def decode_tps(self) -> float | None:
        """Tokens written a second after the first, None when fewer than two were written."""
        n_written = self.n_completion - self.n_begun
        return (n_written - 1) / self.decode_s if n_written > 1 and self.decode_s > 0 else None


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
    """Continue a prompt. Answers: RunStarted, PrefillProgress …, Token …, then RunDone or RunFailed.

    Attributes:
        begun: the first tokens of the answer, which somebody chose: they are not sampled, but they are sent as its
            first text, counted, and known to the chain.
        changes: other chains to take over in the middle, as they were in the run that is repeated.
        portions: compute the first tokens from an empty cache in exactly these portions; None uses what the cache has.
    """

    run_id: int
    prompt: Prompt
    chain: tuple[ChainLink, ...]
    options: dict[str, OptionValue]
    begun: tuple[int, ...] = ()
    changes: tuple[ChainChange, ...] = ()
    portions: tuple[Portion, ...] | None = None


class SetChain(Message, frozen=True):
    """From the next token on, sample with this chain."""

    run_id: int
    chain: tuple[ChainLink, ...]


class Cancel(Message, frozen=True):
    """Stop what is going on: the run or load of that id, or anything when it is 0."""

    target_id: int


class Tokenize(Message, frozen=True):
    """Take a text apart, or show what `tokens` stand for where there are any. Answer: Tokenized."""

    request_id: int
    text: str
    add_special: bool
    parse_special: bool
    tokens: tuple[int, ...] = ()


class Render(Message, frozen=True):
    """The exact prompt that a Generate would compute. Answer: Rendered."""

    request_id: int
    prompt: Prompt


class Next(Message, frozen=True):
    """The next token, taken apart: raw, after every stage, and the one that is picked. Answer: NextTaken.

    The logits of the last prompt are kept: asked again with another chain, nothing is computed but the chain.
    """

    request_id: int
    prompt: Prompt
    chain: tuple[ChainLink, ...]
    seed: int
    n_top: int


class Peek(Message, frozen=True):
    """As Next, for the place where the answer `run_id` is being written now. Answer: NextTaken, or Failed."""

    request_id: int
    run_id: int
    chain: tuple[ChainLink, ...]
    n_top: int


class Score(Message, frozen=True):
    """How likely was each token of a text? Answers: TokensScored …, then Scored.

    Attributes:
        prompt: what stands before; its tokens are scored too where `with_prompt` says so.
        answer: the tokens to score.
        chain: for the probabilities after the chain. It is led through the answer: penalties, a grammar, Mirostat and
            adaptive-p stand at each token where they stood when it was drawn.
        n_top: how many alternatives to list at each place.
        seed: the seed that the answer was drawn with, for a stage that rolls dice before the draw; −1 where it is unknown.
        n_begun: how many of the answer's tokens were given to it, not drawn.
        changes: the chains that took over in the middle.
        ignore_eos: the tokens that end an answer were banned.
    """

    request_id: int
    prompt: Prompt
    answer: tuple[int, ...]
    chain: tuple[ChainLink, ...]
    n_top: int
    with_prompt: bool = False
    seed: int = -1
    n_begun: int = 0
    changes: tuple[ChainChange, ...] = ()
    ignore_eos: bool = False


class SampleMany(Message, frozen=True):
    """Continue one prompt many times in one batch with a shared prefix. Answers: ColumnText …, then SampledMany.

    `stop` and `ignore_eos` as the run options of these names, for every column.
    """

    request_id: int
    prompt: Prompt
    columns: tuple[SampleColumn, ...]
    max_tokens: int
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False


class Draw(Message, frozen=True):
    """Draw the next token `n_draws` times from one distribution. Answer: Drawn."""

    request_id: int
    prompt: Prompt
    chain: tuple[ChainLink, ...]
    seed: int
    n_draws: int


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
    Load
    | Unload
    | Plan
    | Generate
    | SetChain
    | Cancel
    | Tokenize
    | Render
    | Next
    | Peek
    | Score
    | SampleMany
    | Draw
    | Bench
    | Ping
    | Quit
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
    troubles: tuple[Trouble, ...] = ()


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
        prompt_tokens: the prompt as it is computed, so that the run can be repeated exactly.
        portions: how the reused tokens had been computed; empty where there are none or it is not known.
        stops: the stop texts that belong to the template.
        begun_piece: the bytes of the last token that the answer was begun with (control tokens by their spelling).
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
    prompt_tokens: tuple[int, ...] = ()
    portions: tuple[Portion, ...] = ()
    stops: tuple[str, ...] = ()
    begun_piece: bytes = b""


class PrefillProgress(Message, frozen=True):
    """How many of the prompt's new tokens are computed."""

    run_id: int
    n_done: int
    n_total: int


class Token(Message, frozen=True):
    """Text that was written: the bytes of one or more tokens (a character may be split between two events).

    Attributes:
        n_completion: the tokens written so far.
        n_past: the tokens in the cache.
        tokens: those written since the last of these events.
        held: bytes of theirs that are held back, as they may become a stop text: the text with them is what all tokens
            until here spell.
        changes: the chains that took over since the last of these events.
    """

    run_id: int
    piece: bytes
    n_completion: int
    n_past: int
    tokens: tuple[int, ...] = ()
    held: bytes = b""
    changes: tuple[ChainChange, ...] = ()


class RunDone(Message, frozen=True):
    """The answer is complete, or was stopped.

    `tokens` are its own, with the one that ended it, where one did; `changes` the chains that were sent meanwhile.
    """

    run_id: int
    reason: FinishReason
    stats: RunStats
    stop_text: str = ""
    tokens: tuple[int, ...] = ()
    changes: tuple[ChainChange, ...] = ()


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


class TokensScored(Message, frozen=True):
    """The next tokens of a Score, in order; `n_total` is how many there will be."""

    request_id: int
    tokens: tuple[TokenTrace, ...]
    n_total: int


class Scored(Message, frozen=True):
    """A Score is done, or was stopped (`cancelled`) and stands for what came until then.

    `logprob` is the natural log of the probability of all scored tokens (the answer's alone). `warnings` say where the
    probabilities after the chain cannot be those that the tokens were drawn with.
    """

    request_id: int
    n_prompt: int
    logprob: float
    cancelled: bool = False
    warnings: tuple[str, ...] = ()


class ColumnText(Message, frozen=True):
    """Text of one continuation of many; `n_tokens` it has so far. A best path tells its text only at the end."""

    request_id: int
    column: int
    piece: bytes
    n_tokens: int


class SampledMany(Message, frozen=True):
    """All continuations are written or were stopped. Tokens a second over all of them; None where too few to tell."""

    request_id: int
    columns: tuple[ColumnResult, ...]
    n_prompt: int
    prefill_s: float
    decode_s: float
    tps: float | None
    distinct_1: float | None
    distinct_2: float | None
    cancelled: bool = False


class Drawn(Message, frozen=True):
    """The answer to Draw: every token that was drawn or has more than 1/`n_draws` of probability, likeliest first."""

    request_id: int
    counts: tuple[TokenCount, ...]
    n_draws: int
    seed: int


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
    """A request (Plan, Tokenize, Render, Next, Peek, Score, SampleMany, Draw, Bench) that could not be answered."""

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
    | TokensScored
    | Scored
    | ColumnText
    | SampledMany
    | Drawn
    | BenchProgress
    | Benched
    | Failed
    | Pong
    | LogLine
)
