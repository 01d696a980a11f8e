"""The hub over real HTTP: ranges, redirects, the login, and a sentence for everything that can go wrong."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from engine.base.errors import KnownError, RemedyKind
from engine.base.jobs import Cancelled
from engine.gguf.header import GgufError
from engine.gguf.reader import read_header
from engine.gguf.types import TensorType, ValueType
from engine.models.address import HubAddress
from engine.models.header_files import card_at, is_header_file, read_header_file
from engine.models.hub import Hub
from engine.models.remote import FIRST_BYTES, fetch_headers, quant_of, remote_models
from tests.support.fake_hub import FakeHub
from tests.support.gguf_writer import Tensor, array, entry, gguf

REPO, NAME = "owner/model-GGUF", "model-Q4_1.gguf"
FILE = HubAddress(REPO, NAME)
RESOLVE, STORE = f"hub /{REPO}/resolve/main/{NAME}", f"store /{REPO}/{NAME}"


def long_header(n_bytes: int) -> bytes:
    """A model whose header is somewhat longer than `n_bytes`: its vocabulary fills it."""
    tokens = [f"{number:032d}" for number in range(n_bytes // 40 + 1)]
    entries = [
        entry("general.architecture", ValueType.STRING, "llama"),
        array("tokenizer.ggml.tokens", ValueType.STRING, tokens),
    ]
    return gguf(entries, [Tensor(b"token_embd.weight", (1 << 16, 4), TensorType.F32)])


def test_only_the_header_is_fetched_and_it_is_the_files_own(hub: FakeHub, smollm2: Path, tmp_path: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    path = fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    (part,) = read_header_file(path).parts
    whole = read_header(smollm2)
    assert is_header_file(path)
    assert hub.n_sent == FIRST_BYTES < whole.file_size
    assert (part.size_bytes, part.head) == (whole.file_size, smollm2.read_bytes()[: whole.data_offset])
    card = card_at(path)
    assert (card.n_params, card.size_bytes, card.quantization) == (134_515_008, whole.file_size, "Q4_1")


def test_the_redirect_keeps_the_range_and_drops_the_login(hub: FakeHub, smollm2: Path, tmp_path: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    (at_hub,), (at_store,) = hub.of("hub"), hub.of("store")
    assert at_hub.headers["authorization"] == "Bearer hf_of_the_test"
    assert at_store.headers["range"] == f"bytes=0-{FIRST_BYTES - 1}"
    assert "authorization" not in at_store.headers


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_long_header_is_asked_for_until_it_parses(hub: FakeHub, tmp_path: Path, knows_ranges: bool) -> None:
    whole = long_header(3 * FIRST_BYTES)
    hub.files[REPO] = {NAME: whole}
    hub.knows_ranges = knows_ranges
    path = fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    ranges = [each.headers["range"] for each in hub.of("store")]
    assert ranges == [
        f"bytes=0-{FIRST_BYTES - 1}",
        f"bytes={FIRST_BYTES}-{2 * FIRST_BYTES - 1}",
        f"bytes={2 * FIRST_BYTES}-{4 * FIRST_BYTES - 1}",
    ]
    (part,) = read_header_file(path).parts
    assert part.size_bytes == len(whole)
    assert part.head == whole[: len(whole) - (4 << 18)]


def test_a_server_without_ranges_is_left_after_the_header(hub: FakeHub, gemma3: Path) -> None:
    hub.files[REPO] = {NAME: gemma3}
    hub.knows_ranges = False
    data, size = Hub(hub.endpoint).read(FILE, 1000, 1000 + 65_536)
    with gemma3.open("rb") as file:
        file.seek(1000)
        assert data == file.read(65_536)
    assert size == gemma3.stat().st_size
    assert hub.n_sent < size // 4


def test_a_known_etag_is_not_fetched_again_and_a_new_one_is(hub: FakeHub, smollm2: Path, tmp_path: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    first = fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    assert fetch_headers(Hub(hub.endpoint), FILE, tmp_path) == first
    assert len(hub.of("store")) == 1
    assert len(hub.of("hub", "HEAD")) == 2
    hub.version = 2
    assert fetch_headers(Hub(hub.endpoint), FILE, tmp_path) != first
    assert len(hub.of("store")) == 2


def test_a_damaged_cache_is_fetched_again(hub: FakeHub, smollm2: Path, tmp_path: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    path = fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    next(path.parent.glob("*.bytes")).write_bytes(b"GGUF")
    with pytest.raises(GgufError, match="gone or damaged"):
        card_at(path)
    assert card_at(fetch_headers(Hub(hub.endpoint), FILE, tmp_path)).n_layer == 30


def split_model(n_parts: int = 3) -> dict[str, bytes | Path]:
    """A model of three tensors in parts, in a folder of the repository."""
    found: dict[str, bytes | Path] = {}
    for index in range(n_parts):
        entries = [entry("general.architecture", ValueType.STRING, "llama")] if index == 0 else []
        entries += [
            entry("split.no", ValueType.UINT16, index),
            entry("split.count", ValueType.UINT16, n_parts),
            entry("split.tensors.count", ValueType.INT32, n_parts),
        ]
        tensor = Tensor(f"t{index}".encode(), (1000, 100))
        found[f"Q8_0/m-{index + 1:05d}-of-{n_parts:05d}.gguf"] = gguf(entries, [tensor])
    return found


def test_any_part_of_a_split_model_brings_the_headers_of_all(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[REPO] = split_model()
    path = fetch_headers(Hub(hub.endpoint), HubAddress(REPO, "Q8_0/m-00002-of-00003.gguf"), tmp_path)
    card = card_at(path)
    assert (card.n_files, card.n_params) == (3, 300_000)
    assert card.size_bytes == sum(len(each) for each in hub.files[REPO].values() if isinstance(each, bytes))
    assert [each.name for each in read_header_file(path).parts] == [f"m-{n:05d}-of-00003.gguf" for n in (1, 2, 3)]


def test_a_missing_part_is_named(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[REPO] = split_model()
    del hub.files[REPO]["Q8_0/m-00003-of-00003.gguf"]
    with pytest.raises(KnownError, match="no such file") as caught:
        fetch_headers(Hub(hub.endpoint), HubAddress(REPO, "Q8_0/m-00001-of-00003.gguf"), tmp_path)
    assert "m-00003-of-00003" in caught.value.trouble.value


def test_parts_that_are_not_of_one_model_are_refused(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[REPO] = split_model()
    first = hub.files[REPO]["Q8_0/m-00001-of-00003.gguf"]
    hub.files[REPO]["Q8_0/m-00002-of-00003.gguf"] = first
    with pytest.raises(GgufError, match="not the one its name says"):
        fetch_headers(Hub(hub.endpoint), HubAddress(REPO, "Q8_0/m-00001-of-00003.gguf"), tmp_path)
    hub.files[REPO] = {NAME: first}
    with pytest.raises(GgufError, match="its name does not say so"):
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path)


@pytest.mark.parametrize(
    ("where", "status", "headers", "words", "next_words"),
    [
        (RESOLVE, 401, {"X-Error-Code": "GatedRepo"}, "gated", "accept the terms"),
        (RESOLVE, 403, {"X-Error-Code": "GatedRepo"}, "gated", "hf auth login"),
        (RESOLVE, 401, {}, "no such repository, or only to its owner", "check the name"),
        (RESOLVE, 404, {"X-Error-Code": "EntryNotFound"}, "no such file", "models files"),
        (RESOLVE, 404, {"X-Error-Code": "RevisionNotFound"}, "no such revision", "@REVISION"),
        (RESOLVE, 429, {"Retry-After": "17"}, "too many requests", "in 17 s"),
        (RESOLVE, 429, {}, "too many requests", "in some minutes"),
        (RESOLVE, 500, {}, "could not answer", "later"),
        (RESOLVE, 503, {}, "could not answer", "later"),
        (STORE, 403, {}, "store did not give out", "try again"),
        (STORE, 404, {}, "no such file", "models files"),
        (STORE, 416, {}, "does not have this part", "try again"),
        (STORE, 429, {"Retry-After": "5"}, "too many requests", "in 5 s"),
        (STORE, 500, {}, "could not answer", "later"),
    ],
)
def test_every_refusal_is_a_sentence_with_a_next_step(
    hub: FakeHub, tmp_path: Path, where: str, status: int, headers: dict[str, str], words: str, next_words: str
) -> None:
    hub.files[REPO] = {NAME: long_header(1000)}
    hub.answers[where] = (status, headers)
    with pytest.raises(KnownError, match=words) as caught:
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    assert next_words in caught.value.trouble.next_step
    if status in (429, 500, 503) or (where, status) == (STORE, 403):
        assert caught.value.trouble.remedies[0].kind is RemedyKind.RETRY
    assert list(tmp_path.rglob("*.header")) == []


def test_redirects_in_a_circle_end(hub: FakeHub) -> None:
    hub.files[REPO] = {NAME: b"GGUF"}
    hub.answers[STORE] = (302, {"Location": f"/{REPO}/{NAME}"})
    with pytest.raises(KnownError, match="in a circle"):
        Hub(hub.endpoint).read(FILE, 0, 100)


def test_a_hub_that_does_not_answer_is_given_up(hub: FakeHub) -> None:
    hub.silent = True
    with pytest.raises(KnownError, match="did not answer in time") as caught:
        Hub(hub.endpoint, timeout_s=0.3).look(FILE)
    assert caught.value.trouble.remedies[0].kind is RemedyKind.RETRY
    with pytest.raises(KnownError, match="did not answer in time"):
        Hub(hub.endpoint, timeout_s=0.3).list_files(FILE)


def test_without_a_network_the_next_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        endpoint = f"http://localhost:{free.getsockname()[1]}"
    for ask in (Hub(endpoint).look, Hub(endpoint).list_files):
        with pytest.raises(KnownError, match="cannot be reached") as caught:
            ask(FILE)
        assert "HF_ENDPOINT" in caught.value.trouble.next_step


def test_the_endpoint_is_the_environments(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.endpoint}/")
    hub.files[REPO] = {NAME: b"GGUF"}
    assert Hub().endpoint == hub.endpoint
    assert Hub().look(FILE).size_bytes == 4


def test_what_a_server_says_wrongly_is_noticed(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[REPO] = {NAME: long_header(1000)}
    hub.told_size = "12345"
    with pytest.raises(KnownError, match="changed on the hub"):
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    hub.told_size, hub.told_start = None, 7
    with pytest.raises(KnownError, match="another part"):
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    hub.told_start, hub.cut_after = None, 500
    with pytest.raises(KnownError, match="less of the file"):
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>log in</html>" * 10, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"", "empty"),
        (b"\x30\x00\x00\x00\x00\x00\x00\x00" + b'{"__metadata__":{}}', "Safetensors"),
    ],
)
def test_a_file_that_is_no_gguf_is_named(hub: FakeHub, tmp_path: Path, content: bytes, words: str) -> None:
    hub.files[REPO] = {NAME: content}
    with pytest.raises(KnownError) as caught:
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    assert words in caught.value.trouble.what or not content


def test_a_header_without_an_end_is_left_at_the_limit(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.models.remote.MAX_HEADER_BYTES", 4 * FIRST_BYTES)
    hub.files[REPO] = {NAME: long_header(5 * FIRST_BYTES)}
    with pytest.raises(KnownError, match="larger than any known one"):
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path)
    assert hub.n_sent == 4 * FIRST_BYTES


def test_a_cancelled_download_ends(hub: FakeHub, smollm2: Path, tmp_path: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        fetch_headers(Hub(hub.endpoint), FILE, tmp_path, stop=stop)


def test_a_repository_is_listed_over_all_its_pages(hub: FakeHub) -> None:
    hub.files[REPO] = {
        "README.md": b"#",
        "m-Q8_0.gguf": b"x" * 80,
        "m-Q4_K_M.gguf": b"x" * 40,
        "config.json": b"{}",
        **{f"BF16/m-BF16-0000{n}-of-00002.gguf": b"x" * 75 for n in (1, 2)},
        "mmproj-F16.gguf": b"x" * 5,
    }
    files = Hub(hub.endpoint).list_files(HubAddress(REPO))
    assert {each.path: each.size_bytes for each in files} == {
        path: len(content) for path, content in hub.files[REPO].items() if isinstance(content, bytes)
    }
    assert len(hub.of("hub")) == 3
    assert next(each.sha256 for each in files if each.path == "m-Q8_0.gguf") == hub.etag(REPO, "m-Q8_0.gguf")
    models = remote_models(HubAddress(REPO), files)
    assert [(each.quant, each.size_bytes, each.n_files) for each in models] == [
        ("F16", 5, 1),
        ("Q4_K_M", 40, 1),
        ("Q8_0", 80, 1),
        ("BF16", 150, 2),
    ]


def test_a_list_that_is_none_and_a_repository_that_is_none(hub: FakeHub) -> None:
    with pytest.raises(KnownError, match="no such repository"):
        Hub(hub.endpoint).list_files(HubAddress("no/body"))
    hub.answers[f"hub /api/models/{REPO}/tree/main"] = (200, {})
    with pytest.raises(KnownError, match="cannot be read"):
        Hub(hub.endpoint).list_files(HubAddress(REPO))
    hub.files[REPO] = {}
    with pytest.raises(KnownError, match="no such revision"):
        Hub(hub.endpoint).list_files(HubAddress(REPO, revision="v9"))


@pytest.mark.parametrize(
    ("path", "quant"),
    [
        ("Qwen3-4B-Q4_K_M.gguf", "Q4_K_M"),
        ("UD-IQ2_XXS/Qwen3-235B-UD-IQ2_XXS-00001-of-00002.gguf", "UD-IQ2_XXS"),
        ("model.Q4_1.gguf", "Q4_1"),
        ("gemma-3-270m-bf16.gguf", "BF16"),
        ("Q8_0/model-00001-of-00003.gguf", "Q8_0"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("model.gguf", ""),
    ],
)
def test_a_files_name_says_its_quantization(path: str, quant: str) -> None:
    assert quant_of(path) == quant
