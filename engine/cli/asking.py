"""`chat`, `next`, `tokenize`, `render`: asking a model from a terminal or a script."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.base.errors import KnownError
from engine.base.fields import FieldKind, Value
from engine.chat.stream import Utf8Stream
from engine.cli.many import chat_many, refuse_bad_number
from engine.cli.session import Session, add_fields, given_fields, load_options
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS, Preset, preset_named
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import (
    ChatMessage,
    FinishReason,
    NextTaken,
    Prompt,
    Rendered,
    RunDone,
    RunFailed,
    RunStarted,
    Token,
    TokenChance,
    Tokenized,
)
from engine.wire.run_options import RUN_OPTIONS

CHAIN_FIELDS = tuple(each for _stage, each in Chain.default().fields())
LONG_FIELDS = tuple(each for each in CHAIN_FIELDS if each.kind is FieldKind.TEXT)


def add_prompt(parser: ArgumentParser) -> None:
    """The flags that say what the model is asked."""
    parser.add_argument("--prompt", metavar="TEXT", help="what to say; without it, standard input is read")
    parser.add_argument("--system", metavar="TEXT", default="", help="a system prompt")
    parser.add_argument("--messages", metavar="FILE", help="an OpenAI-style list of messages, as JSON")
    parser.add_argument("--raw", action="store_true", help="continue the text as it stands, without a chat template")


def add_chain(parser: ArgumentParser) -> None:
    """The flags of the samplers: a preset, every field, and for long texts a file in their place."""
    keys = ", ".join(each.key for each in PRESETS)
    parser.add_argument("--preset", metavar="NAME", help=f"begin with a preset: {keys}, or a file that was exported")
    add_fields(parser, CHAIN_FIELDS)
    for each in LONG_FIELDS:
        parser.add_argument(
            f"{each.flag}-file", dest=f"file_{each.key}", metavar="FILE", help=f"{each.label} from a file"
        )


def add_chat(parser: ArgumentParser) -> None:
    """Flags of `chat`."""
    add_prompt(parser)
    parser.add_argument("--stream", action="store_true", help="with --json: one JSON line for each bundle of tokens")
    parser.add_argument(
        "--n",
        type=int,
        default=1,
        metavar="N",
        help="so many answers at once, up to 32 (each up to 256 tokens if unlimited)",
    )
    parser.add_argument("--drop-oldest", action="store_true", help="leave out the oldest messages when they do not fit")
    add_chain(parser)
    for fields in (RUN_OPTIONS, LOAD_OPTIONS):
        add_fields(parser, fields)


def chat(session: Session) -> int:
    """One answer, or `--n` of them."""
    arguments, workbench = session.arguments, session.workbench
    prompt = prompt_of(session)
    chain = chain_of(session)
    options = {**RUN_OPTIONS.defaults(), **_preset_seed(session), **given_fields(arguments, RUN_OPTIONS)}
    if arguments.n != 1:
        refuse_bad_number(arguments.n)
    session.load(arguments.model, load_options(session))
    if arguments.n != 1:
        return chat_many(session, prompt, chain, options)
    started: list[RunStarted] = []
    ended: list[RunDone | RunFailed] = []
    text: list[str] = []
    stream = Utf8Stream()

    def write(piece: str) -> None:
        if not piece:
            return
        text.append(piece)
        if session.as_json and arguments.stream:
            session.put_line({"text": piece})
        elif not session.as_json:
            print(piece, end="", flush=True)

    workbench.subscribe(RunStarted, started.append)
    workbench.subscribe(Token, lambda event: write(stream.feed(event.piece)))
    workbench.subscribe(RunDone, ended.append)
    workbench.subscribe(RunFailed, ended.append)
    workbench.generate(prompt, chain=chain, options=options)
    try:
        session.wait_for(lambda: bool(ended))
    except KeyboardInterrupt:
        workbench.cancel()
        session.wait_for(lambda: bool(ended))
    write(stream.flush())
    end = ended[0]
    if isinstance(end, RunFailed):
        raise KnownError.of(end.trouble)
    stats = end.stats
    notes = (*started[0].warnings, *((stats.no_shortcut,) if stats.no_shortcut else ()))
    document = {
        "text": "".join(text),
        "finish_reason": end.reason.value,
        "seed": started[0].seed,
        "chain": chain.to_wire(),
        "prompt_tokens": stats.n_prompt,
        "completion_tokens": stats.n_completion,
        "reused_tokens": stats.n_reused,
        "dropped_messages": started[0].n_dropped_messages,
        "load_s": workbench.state.memory.took_s if workbench.state.memory else None,
        "first_token_s": stats.first_token_s,
        "prefill_tps": stats.prefill_tps,
        "decode_tps": stats.decode_tps,
        "n_drafted": stats.n_drafted,
        "n_accepted": stats.n_accepted,
        "contended": stats.contended,
        "warnings": list(notes),
    }
    if session.as_json:
        if arguments.stream:
            session.put_line(document)
        else:
            session.put(document, ())
    else:
        print()
        session.note(_figures(document))
        for each in notes:
            session.note(f"note: {each}")
    return 130 if end.reason is FinishReason.CANCELLED else 0


def add_next(parser: ArgumentParser) -> None:
    """Flags of `next`."""
    add_prompt(parser)
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many tokens each list shows")
    add_chain(parser)
    add_fields(parser, (RUN_OPTIONS["seed"],))
    add_fields(parser, LOAD_OPTIONS)


def next_token(session: Session) -> int:
    """The next token, taken apart."""
    arguments = session.arguments
    prompt, chain = prompt_of(session), chain_of(session)
    seed = {"seed": -1, **_preset_seed(session), **given_fields(arguments, (RUN_OPTIONS["seed"],))}["seed"]
    session.load(arguments.model, load_options(session))
    taken: NextTaken = session.answer(
        lambda then, failed: session.workbench.next_token(
            prompt, then, failed, chain=chain, seed=int(str(seed)), n_top=arguments.top
        )
    )
    document = {
        "raw": [chance_document(each) for each in taken.raw],
        "entropy_bits": taken.entropy_bits,
        "stages": [
            {
                "key": each.key,
                "survivors": each.survivors,
                "entropy_bits": each.entropy_bits,
                "mass_kept": each.mass_kept,
                "top": [chance_document(chance) for chance in each.top],
            }
            for each in taken.stages
        ],
        "picked": chance_document(taken.picked),
    }
    lines = [f"raw, {taken.entropy_bits:.2f} bits", *_bars(taken.raw)]
    for each in taken.stages:
        lines.append(f"after {each.key}: {each.survivors:,} tokens, {each.entropy_bits:.2f} bits")
        lines += _bars(each.top)
    lines.append(f"picked: {_shown(taken.picked)} (p {taken.picked.p:.4f})")
    session.put(document, lines)
    return 0


def add_tokenize(parser: ArgumentParser) -> None:
    """Flags of `tokenize`."""
    parser.add_argument("--text", required=True, help="the text to take apart")
    parser.add_argument(
        "--no-special", action="store_true", help='read "<|im_end|>" as plain characters, not as the token of that name'
    )
    parser.add_argument("--add-bos", action="store_true", help="begin with the token that the model begins with")
    add_fields(parser, LOAD_OPTIONS)


def tokenize(session: Session) -> int:
    """A text as tokens."""
    arguments = session.arguments
    session.load(arguments.model, {**load_options(session), "n_ctx": 256})
    found: Tokenized = session.answer(
        lambda then, failed: session.workbench.tokenize(
            arguments.text, then, failed, add_special=arguments.add_bos, parse_special=not arguments.no_special
        )
    )
    rows = [
        {
            "id": each.id,
            "text": each.piece.decode(errors="replace"),
            "bytes": list(each.piece),
            "start": each.start,
            "end": each.end,
            "special": each.special,
        }
        for each in found.tokens
    ]
    session.put({"tokens": rows}, (f"{row['id']:>8}  {row['text']!r}" for row in rows))
    return 0


def add_render(parser: ArgumentParser) -> None:
    """Flags of `render`."""
    add_prompt(parser)
    add_fields(parser, LOAD_OPTIONS)


def render(session: Session) -> int:
    """The exact prompt that the model would see."""
    prompt = prompt_of(session)
    session.load(session.arguments.model, load_options(session))
    found: Rendered = session.answer(lambda then, failed: session.workbench.render(prompt, then, failed))
    document = {
        "text": found.text,
        "tokens": list(found.tokens),
        "template_source": found.template_source or None,
        "warnings": list(found.warnings),
    }
    session.put(document, [found.text])
    if not session.as_json:
        session.note(f"{len(found.tokens):,} tokens")
        for each in found.warnings:
            session.note(f"note: {each}")
    return 0


def prompt_of(session: Session) -> Prompt:
    """What the flags ask. Raises `KnownError` for bad files and contradictions."""
    arguments = session.arguments
    if arguments.messages:
        messages = _messages(Path(arguments.messages))
    else:
        said = arguments.prompt if arguments.prompt is not None else _standard_input()
        if arguments.raw:
            return Prompt(text=said)
        messages = (ChatMessage("user", said),)
    if arguments.raw:
        raise KnownError("--raw and --messages exclude each other", next_step="leave one of them out")
    if arguments.system:
        messages = (ChatMessage("system", arguments.system), *messages)
    return Prompt(messages=messages, drop_oldest=bool(getattr(arguments, "drop_oldest", False)))


def chain_of(session: Session) -> Chain:
    """The default chain or a preset's, changed by the flags."""
    preset = preset_of(session)
    chain = preset.chain if preset else Chain.default()
    return chain.with_values({**given_fields(session.arguments, CHAIN_FIELDS), **_long_texts(session)})


def preset_of(session: Session) -> Preset | None:
    """The preset that the flags name: a built-in one, or a file. Raises `KnownError` for what is neither."""
    name = session.arguments.preset
    if name is None:
        return None
    return Preset.from_json(_read(Path(name))) if _is_file(name) else preset_named(name)


def _preset_seed(session: Session) -> dict[str, Value]:
    preset = preset_of(session)
    return {} if preset is None or preset.seed is None else {"seed": preset.seed}


def _long_texts(session: Session) -> dict[str, str]:
    """Texts that stand in files: named by a flag of their own, or in the place of the text itself."""
    found: dict[str, str] = {}
    for each in LONG_FIELDS:
        given = getattr(session.arguments, f"field_{each.key}", None)
        file = getattr(session.arguments, f"file_{each.key}", None)
        if given is not None and file is not None:
            raise KnownError(f"{each.flag} and {each.flag}-file exclude each other", next_step="leave one of them out")
        if file is None and given is not None and _is_file(given):
            file = given
        if file is not None:
            found[each.key] = _read(Path(file))
    return found


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with a NUL: a text and no name
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise KnownError("The file cannot be read", value=f"{path}: {reason}", next_step="give a text file") from None


def _messages(path: Path) -> tuple[ChatMessage, ...]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise KnownError(
            "The messages cannot be read", value=f"{path}: {error}", next_step="give a JSON file"
        ) from None
    if isinstance(data, dict):
        data = data.get("messages")
    if not isinstance(data, list) or not all(
        isinstance(each, dict) and isinstance(each.get("role"), str) and isinstance(each.get("content"), str)
        for each in data
    ):
        raise KnownError(
            "The file is not a list of messages",
            value=str(path),
            next_step='give a list of {"role": …, "content": …} with texts',
        )
    return tuple(ChatMessage(each["role"], each["content"]) for each in data)


def _standard_input() -> str:
    if sys.stdin.isatty():
        raise KnownError("There is nothing to say", next_step="give --prompt TEXT, or text on standard input")
    return sys.stdin.read()


def chance_document(chance: TokenChance) -> dict[str, Any]:
    """A token's chance as the commands print it."""
    found: dict[str, Any] = {"id": chance.id, "text": chance.piece.decode(errors="replace"), "p": chance.p}
    if chance.logit is not None:
        found["logit"] = chance.logit
    return found


def _bars(chances: Iterable[TokenChance]) -> list[str]:
    return [f"  {each.p:7.4f}  {'█' * round(each.p * 40):<40}  {_shown(each)}" for each in chances]


def _shown(chance: TokenChance) -> str:
    return repr(chance.piece.decode(errors="replace"))


def _figures(document: dict[str, Any]) -> str:
    parts = [f"{document['prompt_tokens']:,} → {document['completion_tokens']:,} tokens"]
    if document["reused_tokens"]:
        parts.append(f"{document['reused_tokens']:,} reused")
    if document["prefill_tps"] is not None:
        parts.append(f"prompt {document['prefill_tps']:.0f} tok/s")
    if document["decode_tps"] is not None:
        parts.append(f"writing {document['decode_tps']:.1f} tok/s")
    if document["n_drafted"]:
        share = document["n_accepted"] / document["n_drafted"]
        parts.append(f"accepted {share:.0%} of {document['n_drafted']:,} drafted")
    if document["first_token_s"] is not None:
        parts.append(f"first token {document['first_token_s']:.2f} s")
    parts.append(f"seed {document['seed']}")
    if document["contended"]:
        parts.append("other programs took much of the processor: close them, or use fewer --n-threads")
    return " · ".join(parts)
