"""Every message survives the pipe, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
import io
import struct
import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import Remedy, RemedyKind, Trouble
from engine.wire import messages as wire
from engine.wire.frames import MAX_FRAME_BYTES, ProtocolFault, command_reader, encode, event_reader

COMMANDS = typing.get_args(wire.Command)
EVENTS = typing.get_args(wire.Event)
SPECIAL = {
    Trouble: Trouble("what", "value", "next", (Remedy(RemedyKind.SET_OPTION, "Use it", "n_ctx=512"),), "details"),
}


def example_of(kind: object) -> object:
    """Some value of an annotated type; structs are filled field by field."""
    if kind in SPECIAL:
        return SPECIAL[typing.cast(type, kind)]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return (example_of(arguments[0]),)
    if origin is dict:
        return {"key": "text"}
    if arguments and type(None) in arguments:
        return example_of(next(each for each in arguments if each is not type(None)))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return kind(**{name: example_of(hints[name]) for name in kind.__struct_fields__})
    plain = {int: 7, float: 0.25, str: "한국어 ✓", bool: True, bytes: b"\xff\x00half"}
    if kind in plain:
        return plain[typing.cast(type, kind)]
    return next(iter(typing.cast(typing.Any, kind)))  # an enum


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_every_command_comes_back_as_it_was_sent(kind: type) -> None:
    message = typing.cast(wire.Command, example_of(kind))
    assert command_reader(io.BytesIO(encode(message))).read() == message


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_comes_back_as_it_was_sent(kind: type) -> None:
    message = typing.cast(wire.Event, example_of(kind))
    assert event_reader(io.BytesIO(encode(message))).read() == message


def test_frames_follow_one_another_and_the_end_of_the_stream_is_none() -> None:
    first, second = wire.Ping(1), wire.Cancel(2)
    reader = command_reader(io.BytesIO(encode(first) + encode(second)))
    assert [reader.read(), reader.read(), reader.read()] == [first, second, None]


@given(cut=st.integers(1, 10_000))
@settings(max_examples=50)
def test_a_stream_that_ends_inside_a_frame_is_a_fault(cut: int) -> None:
    whole = encode(wire.Tokenize(1, "text " * 10, True, False))
    part = whole[: 1 + cut % (len(whole) - 1)]
    with pytest.raises(ProtocolFault):
        command_reader(io.BytesIO(part)).read()


@given(noise=st.binary(min_size=4, max_size=200))
def test_noise_is_a_fault_or_the_end_and_never_a_message(noise: bytes) -> None:
    reader = command_reader(io.BytesIO(noise))
    with contextlib.suppress(ProtocolFault):
        assert reader.read() is None


def test_an_absurd_length_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(ProtocolFault, match="bytes"):
        event_reader(io.BytesIO(struct.pack("<I", MAX_FRAME_BYTES + 1))).read()


def test_an_event_is_not_taken_for_a_command() -> None:
    with pytest.raises(ProtocolFault):
        command_reader(io.BytesIO(encode(wire.Unloaded()))).read()


def test_a_value_of_the_wrong_type_is_a_fault() -> None:
    body = b'{"type":"Ping","ping_id":"seven"}'
    with pytest.raises(ProtocolFault, match="ping_id"):
        command_reader(io.BytesIO(struct.pack("<I", len(body)) + body)).read()
