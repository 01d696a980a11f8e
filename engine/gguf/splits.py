"""A model in several files: finds the parts of `name-00001-of-00003.gguf`, checks them against each other.

The engine opens only the first part by name and derives the others, so a renamed or missing part must be a sentence
before the load. Rejected: looking for `*-of-*.gguf` in the folder (two quantizations of one model lie side by side).
Source: llama-model-loader.cpp (split.count, split.no, split.tensors.count), llama_split_path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from engine.gguf.header import GgufError, Header
from engine.gguf.opening import path_text
from engine.gguf.reader import read_header

_SHARD_NAME = re.compile(r"(?P<stem>.+)-(?P<no>\d{5})-of-(?P<count>\d{5})\.gguf")


def shard_paths(path: Path) -> tuple[Path, ...]:
    """The paths of all parts by the pattern of `path`'s name, first part first, whether they exist or not.

    A name without the pattern stands for itself.
    """
    match = _SHARD_NAME.fullmatch(path.name)
    if match is None:
        return (path,)
    count, stem = int(match["count"]), match["stem"]
    if not 1 <= int(match["no"]) <= count:
        return (path,)
    return tuple(path.with_name(f"{stem}-{no:05d}-of-{count:05d}.gguf") for no in range(1, count + 1))


def read_model(path: Path) -> tuple[Header, ...]:
    """The headers of all parts of the model that `path` belongs to, first part first; metadata is the first one's.

    `path` may be any part. Errors: `GgufError` when a part is missing or damaged, has the wrong number, or when the
    parts do not add up.
    """
    header = read_header(path)
    count = header.whole("split.count") or 0
    if count <= 1:
        return (header,)
    paths = shard_paths(path)
    if len(paths) != count:
        raise GgufError(
            "The file is one part of a split model, but its name does not say so",
            value=f"{path_text(path.name)}: part {(header.whole('split.no') or 0) + 1} of {count}",
            next_step=f"give it back the name it was downloaded with (…-00001-of-{count:05d}.gguf)",
        )
    _refuse_missing(paths)
    headers = tuple(header if part == path else read_header(part) for part in paths)
    check_parts(paths, headers)
    return headers


def check_parts(paths: tuple[Path, ...], headers: tuple[Header, ...]) -> None:
    """Whether these headers are those of all parts of one model, first part first. Errors: `GgufError`."""
    _check_numbers(paths, headers, len(paths))
    _check_tensors(headers)


def model_weights_bytes(headers: Iterable[Header]) -> int:
    """Bytes of the tensors of all parts, without padding."""
    return sum(header.weights_bytes for header in headers)


def model_file_bytes(headers: Iterable[Header]) -> int:
    """Bytes on disk of all parts."""
    return sum(header.file_size for header in headers)


def model_n_params(headers: Iterable[Header]) -> int:
    """Elements of the tensors of all parts."""
    return sum(header.n_params for header in headers)


def _refuse_missing(paths: tuple[Path, ...]) -> None:
    missing = [part.name for part in paths if not part.is_file()]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise GgufError(
            "A part of the split model is missing",
            value=f"{path_text(missing[0])}{more}",
            next_step=f"download it into {path_text(paths[0].parent)}, beside the other parts",
        )


def _check_numbers(paths: tuple[Path, ...], headers: tuple[Header, ...], count: int) -> None:
    for index, (part, header) in enumerate(zip(paths, headers, strict=True)):
        stated_count, stated_no = header.whole("split.count"), header.whole("split.no")
        # The engine takes a first part without a number; every other part must have one.
        if stated_count != count or (0 if stated_no is None and index == 0 else stated_no) != index:
            said = "no number" if stated_no is None else f"part {stated_no + 1} of {stated_count}"
            raise GgufError(
                "A part of the split model is not the one its name says",
                value=f"{path_text(part.name)} holds {said}",
                next_step="download this part again, or give it back its own name",
            )


def _check_tensors(headers: tuple[Header, ...]) -> None:
    seen: set[str] = set()
    for header in headers:
        for tensor in header.tensors:
            if tensor.name in seen:
                raise GgufError(
                    "Two parts of the split model hold the same tensor",
                    value=ascii(tensor.name),
                    next_step="download all parts again from one place",
                )
            seen.add(tensor.name)
    stated = headers[0].whole("split.tensors.count")
    if stated != len(seen):
        raise GgufError(
            "The parts of the split model do not add up",
            value=f"{len(seen):,} tensors found, {'no number' if stated is None else f'{stated:,}'} expected",
            next_step="download all parts again from one place",
        )
