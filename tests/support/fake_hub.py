"""A hub on the loopback address: the same protocol over real HTTP, and every way in which it can go wrong.

Two servers, because the real one sends large files' readers to another host: the hub itself (pages of the file list,
`resolve`, redirects with the commit and the ETag) and the store behind it (ranges).
"""

from __future__ import annotations

import hashlib
import json
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAGE = 3
"""Files on one page of a list: few, so that the pages are turned."""


@dataclass(frozen=True)
class Asked:
    """One request as it came in. `server` is "hub" or "store"."""

    server: str
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class FakeHub:
    """What the two servers serve, and what they were asked.

    Attributes:
        endpoint, store: their addresses.
        files: by repository and path: bytes, or a file on this computer.
        answers: by "server path": a status and headers that are given instead.
        asked: every request.
        knows_ranges: the store sends ranges; else the whole file with 200.
        told_size: the size that the store tells, in place of the real one ("*" for none).
        told_start: the place where the store's ranges begin, in place of the one asked for.
        silent: the hub takes requests and never answers, until it is closed.
        cut_after: the store ends each answer after so many bytes.
        version: part of every ETag; another one is another content.
    """

    endpoint: str = ""
    store: str = ""
    files: dict[str, dict[str, bytes | Path]] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    knows_ranges: bool = True
    told_size: str | None = None
    told_start: int | None = None
    silent: bool = False
    cut_after: int | None = None
    version: int = 1
    n_sent: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def of(self, server: str, method: str = "GET") -> list[Asked]:
        """The requests of one server and method."""
        return [each for each in self.asked if each.server == server and each.method == method]

    def size(self, content: bytes | Path) -> int:
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    def etag(self, repo: str, path: str) -> str:
        return hashlib.sha256(f"{repo}/{path}/{self.version}".encode()).hexdigest()


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """The two servers, until the end of the `with`."""
    hub = FakeHub()
    servers = [_serve(hub, _HubHandler), _serve(hub, _StoreHandler)]
    hub.endpoint, hub.store = (f"http://localhost:{each.server_address[1]}" for each in servers)
    threads = [threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        from huggingface_hub.utils import close_session

        hub.closing.set()
        close_session()  # its kept connections would hold the servers' threads
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join(5)


class _Server(ThreadingHTTPServer):
    hub: FakeHub
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that went away in the middle is what some tests are about."""


def _serve(hub: FakeHub, handler: type[BaseHTTPRequestHandler]) -> _Server:
    server = _Server(("localhost", 0), handler)
    server.hub = hub
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    name = ""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.asked.append(
            Asked(self.name, self.command, path, {key.lower(): value for key, value in self.headers.items()})
        )
        if hub.silent:
            hub.closing.wait(20)
            return
        fault = hub.answers.get(f"{self.name} {path}")
        if fault is not None:
            self.put(fault[0], b"{}" if self.command == "GET" else b"", fault[1])
        else:
            self.answer(hub, path)

    @abstractmethod
    def answer(self, hub: FakeHub, path: str) -> None:
        """Answer what this server knows of the path."""

    def put(self, status: int, body: bytes, headers: Mapping[str, str], length: int | None = None) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def send(self, hub: FakeHub, content: bytes | Path, headers: dict[str, str]) -> None:
        """The content, or the range of it that was asked for."""
        size = hub.size(content)
        wanted = self.headers.get("Range")
        start, end, status = 0, size, 200
        if wanted is not None and hub.knows_ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end, status = int(first), min(int(last) + 1, size), 206
            if start >= size:
                self.put(416, b"", {"Content-Range": f"bytes */{size}"})
                return
            told = hub.told_start if hub.told_start is not None else start
            headers["Content-Range"] = f"bytes {told}-{end - 1}/{hub.told_size or size}"
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        sent_until = end if hub.cut_after is None else min(end, start + hub.cut_after)
        self.send_header("Content-Length", str(sent_until - start))
        self.end_headers()
        if self.command != "GET":
            return
        for at in range(start, sent_until, 1 << 16):
            stop = min(sent_until, at + (1 << 16))
            if isinstance(content, bytes):
                piece = content[at:stop]
            else:
                with content.open("rb") as file:
                    file.seek(at)
                    piece = file.read(stop - at)
            self.wfile.write(piece)
            hub.n_sent += len(piece)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read `asked`."""


class _HubHandler(_Handler):
    name = "hub"

    def answer(self, hub: FakeHub, path: str) -> None:
        steps = path.strip("/").split("/")
        if steps[:2] == ["api", "models"] and len(steps) == 6 and steps[4] == "tree":
            self._list(hub, "/".join(steps[2:4]), steps[5])
            return
        repo, name = "/".join(steps[:2]), "/".join(steps[4:])
        if repo not in hub.files:
            self.put(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return
        if steps[2] != "resolve" or name not in hub.files[repo]:
            self.put(404, b"", {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
            return
        if steps[3] not in ("main", COMMIT):
            self.put(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        content = hub.files[repo][name]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hub.etag(repo, name)[:40]}"'}
        if not name.endswith((".gguf", ".safetensors")):
            self.send(hub, content, headers)
            return
        linked = {"X-Linked-Etag": f'"{hub.etag(repo, name)}"', "X-Linked-Size": str(hub.size(content))}
        self.put(302, b"", {**headers, **linked, "Location": f"{hub.store}/{repo}/{name}?signature=abc"})

    def _list(self, hub: FakeHub, repo: str, revision: str) -> None:
        if repo not in hub.files:
            self.put(401, b"", {"X-Error-Code": "RepoNotFound"})
            return
        if revision not in ("main", COMMIT):
            self.put(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        query = parse_qs(urlsplit(self.path).query)
        begin = int(query.get("cursor", ["0"])[0])
        assert query["recursive"] == ["true"]
        names = list(hub.files[repo])
        entries: list[dict[str, object]] = [{"type": "directory", "oid": "0", "size": 0, "path": "folder"}]
        for name in names[begin : begin + PAGE]:
            size = hub.size(hub.files[repo][name])
            entry: dict[str, object] = {"type": "file", "oid": "0" * 40, "size": size, "path": name}
            if name.endswith((".gguf", ".safetensors")):
                entry["lfs"] = {"oid": hub.etag(repo, name), "size": size, "pointerSize": 134}
            entries.append(entry)
        headers = {"Content-Type": "application/json"}
        if begin + PAGE < len(names):
            following = f"{hub.endpoint}/api/models/{repo}/tree/{revision}?recursive=true&cursor={begin + PAGE}"
            headers["Link"] = f'<{following}>; rel="next"'
        self.put(200, json.dumps(entries).encode(), headers)


class _StoreHandler(_Handler):
    name = "store"

    def answer(self, hub: FakeHub, path: str) -> None:
        owner, repo, name = path.strip("/").split("/", 2)
        self.send(hub, hub.files[f"{owner}/{repo}"][name], {"ETag": f'"{hub.version}"'})
