"""Where a model lies on the hub, as a person writes or pastes it.

`hf:OWNER/REPO`, `hf:OWNER/REPO/FILE.gguf`, `hf:OWNER/REPO@REVISION/FILE.gguf`, `hf:OWNER/REPO:Q4_K_M`, and the links of the
hub's pages (`…/blob/main/FILE.gguf`, `…/resolve/…`, `…/tree/…`, `…?download=true`).
Source: the hub's URL scheme (huggingface_hub.hf_hub_url); the `:QUANT` ending is llama.cpp's `-hf`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from engine.base.errors import KnownError

HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
PREFIX = "hf:"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_SHORT = re.compile(
    rf"(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[^/:@\s]+))?(?:/(?P<file>[^\s]+?))?(?::(?P<quant>[A-Za-z0-9_.-]+))?"
)
_HOW = "write hf:OWNER/REPO/FILE.gguf, or paste the link of the file's page on huggingface.co"


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A repository of the hub, or a file in it.

    Attributes:
        repo: "OWNER/NAME".
        file: its path in the repository, "" for the repository itself.
        revision: a branch, tag or commit.
        quant: of a repository, the quantization that is wanted ("Q4_K_M"), "" for none in particular.
    """

    repo: str
    file: str = ""
    revision: str = "main"
    quant: str = ""

    def __str__(self) -> str:
        revision = "" if self.revision == "main" else f"@{self.revision}"
        file = f"/{self.file}" if self.file else ""
        return f"{PREFIX}{self.repo}{revision}{file}" + (f":{self.quant}" if self.quant else "")


def is_hub_address(text: str) -> bool:
    """Whether this names something on the hub and no file here."""
    return text.startswith((PREFIX, "https://", "http://"))


def hub_address(text: str, endpoint: str = "") -> HubAddress:
    """The address that a text spells, with or without `hf:`.

    Args:
        endpoint: the configured hub; links to it are taken too.

    Raises:
        KnownError: it is none.
    """
    stripped = text.strip()
    if stripped.startswith(("https://", "http://")):
        return _of_link(stripped, endpoint)
    plain = stripped.removeprefix(PREFIX)
    if plain.partition("/")[0] in HOSTS:
        return _of_link(f"https://{plain}", endpoint)
    match = _SHORT.fullmatch(plain)
    if match is None:
        raise KnownError("This is no address on the hub", value=_shown(text), next_step=_HOW)
    file, quant = match["file"] or "", match["quant"] or ""
    if file and quant:
        raise KnownError("Give a file or a quantization, not both", value=_shown(text), next_step=_HOW)
    return _checked(HubAddress(match["repo"], file, match["revision"] or "main", quant), text)


def _of_link(link: str, endpoint: str) -> HubAddress:
    try:
        parts = urlsplit(link)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        raise KnownError("This is no link", value=_shown(link), next_step=_HOW) from None
    if host not in HOSTS and host != urlsplit(endpoint).netloc:
        raise KnownError(
            "Only links to the hub can be read without downloading", value=_shown(host or link), next_step=_HOW
        )
    steps = [unquote(each) for each in parts.path.split("/") if each]
    if steps[:1] and steps[0] in ("datasets", "spaces", "api", "docs", "models") and len(steps) != 2:
        raise KnownError("This page of the hub is no model", value=_shown(link), next_step=_HOW)
    if len(steps) < 2:
        raise KnownError("This link names no model", value=_shown(link), next_step=_HOW)
    repo = f"{steps[0]}/{steps[1]}"
    if len(steps) == 2:
        return _checked(HubAddress(repo), link)
    if len(steps) == 3 or steps[2] not in ("blob", "resolve", "raw", "tree"):
        raise KnownError("This page of the hub is no model file", value=_shown(link), next_step=_HOW)
    file = "" if steps[2] == "tree" else "/".join(steps[4:])
    return _checked(HubAddress(repo, file, steps[3]), link)


def _checked(address: HubAddress, text: str) -> HubAddress:
    if re.fullmatch(rf"{_NAME}/{_NAME}", address.repo) is None or ".." in address.repo:
        raise KnownError("This is no repository's name", value=_shown(text), next_step=_HOW)
    if any(each in ("", ".", "..") for each in address.file.split("/")) and address.file:
        raise KnownError("This is no file's name", value=_shown(text), next_step=_HOW)
    if address.file and not address.file.endswith(".gguf"):
        raise KnownError(
            "This file is no GGUF file",
            value=_shown(address.file),
            next_step=f"choose a .gguf file (`models files {address.repo}` lists them)",
        )
    return address


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 120 else text[:117] + "...").strip("'\"")
