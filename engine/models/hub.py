"""The hub: what a repository holds, and the beginnings of its files. Nothing is asked before a person asks.

Addresses, headers with the user's own login, redirects and the configured endpoint (HF_ENDPOINT) are huggingface_hub's;
httpx drops the login where a redirect leads to another host and keeps the range. Rejected: `hf_hub_download` (whole
files), `model_info(expand=["gguf"])` (architecture and a total, not sizes), retries of ours (a 429 says when to come back).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.jobs import Cancelled
from engine.models.address import HubAddress

if TYPE_CHECKING:
    from httpx2 import Response

DEFAULT_ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 15.0
MAX_JSON_BYTES = 16 << 20
MAX_PAGES = 50
"""Of a list of files, with some hundreds to a thousand files each."""
_CHUNK_BYTES = 64 << 10
_OFFLINE = "check the connection and the address of the hub (HF_ENDPOINT), then try again"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the hub says of one file.

    Attributes:
        address: where it is, with the commit it was found at.
        etag: changes when the content does.
        size_bytes: of the whole file; None when the hub does not say.
    """

    address: HubAddress
    etag: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in the list of a repository: path, size in bytes, and SHA-256 where the hub keeps it apart (LFS)."""

    path: str
    size_bytes: int
    sha256: str | None


class Hub:
    """Asks one hub. Every method blocks: call it in a job, whose `stop` ends it.

    Args:
        endpoint: the hub's address; None takes HF_ENDPOINT, else huggingface.co.
        timeout_s: how long a connection or a single answer may take.
    """

    def __init__(self, endpoint: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        # Read by huggingface_hub when it is first imported: the hub need not know which libraries are installed here.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        self.endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        self._timeout_s = timeout_s

    def list_files(self, address: HubAddress, *, stop: threading.Event | None = None) -> tuple[ListedFile, ...]:
        """All files of a repository, in the order of the hub. Raises `KnownError`."""
        from urllib.parse import quote

        revision = quote(address.revision, safe="")
        url: str | None = f"{self.endpoint}/api/models/{address.repo}/tree/{revision}?recursive=true"
        found: list[ListedFile] = []
        for _page in range(MAX_PAGES):
            if url is None:
                break
            raw, url = self._page(url, address, stop)
            found += _listed(raw, address)
        return tuple(found)

    def look(self, address: HubAddress) -> RemoteFile:
        """A file's state, without its content. Raises `KnownError`."""
        from huggingface_hub import get_hf_file_metadata

        with _known(address, self.endpoint):
            found = get_hf_file_metadata(self._url(address), timeout=self._timeout_s, endpoint=self.endpoint)
        commit = found.commit_hash or address.revision
        return RemoteFile(HubAddress(address.repo, address.file, commit), found.etag or "", found.size)

    def read(
        self,
        address: HubAddress,
        start: int,
        end: int,
        *,
        stop: threading.Event | None = None,
        progress: Callable[[int], None] = lambda _n_bytes: None,
    ) -> tuple[bytes, int | None]:
        """The bytes from `start` to before `end`, fewer where the file ends; and the size of the whole file, if told.

        A server that does not know ranges sends the whole file, which is left after `end`.

        Args:
            stop: set from another thread to give up (`Cancelled`).
            progress: takes the number of bytes that are here.

        Raises:
            KnownError: the hub refuses, or cannot be reached.
        """
        from huggingface_hub import get_session
        from huggingface_hub.utils._headers import build_hf_headers

        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={start}-{end - 1}"}
        with (
            _known(address, self.endpoint),
            get_session().stream("GET", self._url(address), headers=headers, timeout=self._timeout_s) as answer,
        ):
            _refuse(answer, address, self.endpoint)
            skipped = 0 if answer.status_code == 206 else start
            if answer.status_code == 206 and _range_start(answer) != start:
                raise KnownError(
                    "The server sent another part of the file than was asked for",
                    value=f"{address}: {answer.headers.get('Content-Range', 'no range')}",
                    next_step="try again, or download the file",
                )
            data = bytearray()
            wanted = end - start
            for chunk in answer.iter_raw(_CHUNK_BYTES):
                if stop is not None and stop.is_set():
                    raise Cancelled
                data += chunk[min(skipped, len(chunk)) :]
                skipped = max(0, skipped - len(chunk))
                progress(min(len(data), wanted))
                if len(data) >= wanted:
                    break
            return bytes(data[:wanted]), _total(answer)

    def read_json(self, address: HubAddress, *, stop: threading.Event | None = None) -> Mapping[str, Any]:
        """A small JSON file of a repository. Raises `KnownError`."""
        raw, _size = self.read(address, 0, MAX_JSON_BYTES, stop=stop)
        return json_object(raw, address)

    def _page(self, url: str, address: HubAddress, stop: threading.Event | None) -> tuple[bytes, str | None]:
        """One answer of the hub's own interface, and where the next one is."""
        from huggingface_hub import get_session
        from huggingface_hub.utils._headers import build_hf_headers

        with (
            _known(address, self.endpoint),
            get_session().stream("GET", url, headers=build_hf_headers(), timeout=self._timeout_s) as answer,
        ):
            _refuse(answer, address, self.endpoint)
            data = bytearray()
            for chunk in answer.iter_bytes(_CHUNK_BYTES):
                if stop is not None and stop.is_set():
                    raise Cancelled
                data += chunk
                if len(data) > MAX_JSON_BYTES:
                    _raise("The hub's answer is too long", str(address), "name a file of the repository instead")
            following = str(answer.links.get("next", {}).get("url", ""))
            # The login goes with the request, so it goes nowhere else.
            return bytes(data), following if following.startswith(f"{self.endpoint}/api/") else None

    def _url(self, address: HubAddress) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(address.repo, address.file, revision=address.revision, endpoint=self.endpoint)


def _listed(raw: bytes, address: HubAddress) -> list[ListedFile]:
    try:
        entries = json.loads(raw)
        if not isinstance(entries, list):
            raise TypeError("no list")
        return [
            ListedFile(str(each["path"]), int(each["size"]), (each.get("lfs") or {}).get("oid"))
            for each in entries
            if each["type"] == "file"
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise KnownError(
            "The hub's list of files cannot be read", value=str(address), next_step="name a file of the repository"
        ) from None


def json_object(raw: bytes, address: HubAddress) -> Mapping[str, Any]:
    """The JSON object that these bytes are. Raises `KnownError`."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise KnownError(
            "A file of the repository is not what its name says",
            value=f"{address}: no JSON object",
            next_step="choose another repository of this model",
        )
    return found


@contextmanager
def _known(address: HubAddress, endpoint: str) -> Iterator[None]:
    """Every error of the transport as a `KnownError`."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        _refuse(error.response, address, endpoint, raised=True)
    except OfflineModeIsEnabled:
        raise KnownError(
            "The hub is switched off by HF_HUB_OFFLINE", value=str(address), next_step="unset it, or use a local file"
        ) from None
    except HFValidationError as error:
        raise KnownError("This is no repository's name", value=str(address), next_step=str(error)[:200]) from None
    except httpx2.TimeoutException:
        raise _with_retry("The hub did not answer in time", endpoint, _OFFLINE) from None
    except httpx2.TooManyRedirects:
        raise KnownError("The hub redirects in a circle", value=str(address), next_step="try again later") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _with_retry("The hub cannot be reached", f"{endpoint}: {error}"[:200], _OFFLINE) from None


def _refuse(answer: Response, address: HubAddress, endpoint: str, *, raised: bool = False) -> None:
    """Raise the `KnownError` of an answer that is none; 200 and 206 pass."""
    status = answer.status_code
    if status in (200, 206) and not raised:
        return
    code = answer.headers.get("X-Error-Code", "")
    match status:
        case 401 | 403 if answer.history:
            # The link to the store is signed for some minutes only; the login has nothing to do with it.
            raise _with_retry("The hub's store did not give out the file", f"{address}, {status}", "try again")
        case 401 | 403 if code == "GatedRepo" or status == 403:
            _raise(
                "This model is gated: its owner wants to know who downloads it",
                f"{address}, {status}",
                f"accept the terms at {endpoint}/{address.repo}, then log in with `hf auth login`",
            )
        case 401:
            # The hub answers 401 for a repository that does not exist, so that private ones stay unknown.
            _raise(
                "The hub shows no such repository, or only to its owner",
                f"{address}, {status}",
                "check the name; for a private one log in with `hf auth login`",
            )
        case 404 if code == "RevisionNotFound":
            _raise("The repository has no such revision", f"{address}, {status}", "leave out @REVISION, or correct it")
        case 404 if address.file:
            _raise(
                "There is no such file on the hub",
                f"{address}, {status}",
                f"see what there is with `models files {address.repo}`",
            )
        case 404:
            _raise("There is no such repository on the hub", f"{address}, {status}", "check the owner and the name")
        case 416:
            _raise(
                "The server does not have this part of the file",
                f"{address}, {status}",
                "the file may have changed: try again",
            )
        case 429:
            wait = answer.headers.get("Retry-After", "")
            when = f"in {wait} s" if wait.isdecimal() else "in some minutes"
            raise _with_retry("The hub has had too many requests from here", f"{status}", f"try again {when}")
        case _:
            raise _with_retry("The hub could not answer", f"{address}, {status}", "try again later")


def _raise(what: str, value: str, next_step: str) -> NoReturn:
    raise KnownError(what, value=value, next_step=next_step)


def _with_retry(what: str, value: str, next_step: str) -> KnownError:
    return KnownError(what, value=value, next_step=next_step, remedies=(Remedy(RemedyKind.RETRY, "Try again"),))


def _range_start(answer: Response) -> int:
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdecimal() else -1


def _total(answer: Response) -> int | None:
    if answer.status_code == 206:
        text = answer.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None
