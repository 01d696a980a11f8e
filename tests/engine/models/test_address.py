"""Addresses on the hub: what people write and paste, and what is none."""

from __future__ import annotations

import pytest

from engine.base.errors import KnownError
from engine.models.address import HubAddress, hub_address, is_hub_address

FILE = HubAddress("unsloth/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf:unsloth/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf", FILE),
        ("unsloth/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf", FILE),
        ("  hf:unsloth/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf\n", FILE),
        ("https://huggingface.co/unsloth/Qwen3-4B-GGUF/blob/main/Qwen3-4B-Q4_K_M.gguf", FILE),
        ("https://huggingface.co/unsloth/Qwen3-4B-GGUF/resolve/main/Qwen3-4B-Q4_K_M.gguf?download=true", FILE),
        ("huggingface.co/unsloth/Qwen3-4B-GGUF/blob/main/Qwen3-4B-Q4_K_M.gguf", FILE),
        ("https://hf.co/unsloth/Qwen3-4B-GGUF", HubAddress("unsloth/Qwen3-4B-GGUF")),
        ("https://huggingface.co/unsloth/Qwen3-4B-GGUF/tree/main", HubAddress("unsloth/Qwen3-4B-GGUF")),
        ("hf:unsloth/Qwen3-4B-GGUF", HubAddress("unsloth/Qwen3-4B-GGUF")),
        ("hf:unsloth/Qwen3-4B-GGUF:Q4_K_M", HubAddress("unsloth/Qwen3-4B-GGUF", quant="Q4_K_M")),
        ("hf:a/b@v1.0/x.gguf", HubAddress("a/b", "x.gguf", "v1.0")),
        ("hf:a/b/Q8_0/x-00001-of-00002.gguf", HubAddress("a/b", "Q8_0/x-00001-of-00002.gguf")),
        ("https://huggingface.co/a/b/blob/refs%2Fpr%2F1/x.gguf", HubAddress("a/b", "x.gguf", "refs/pr/1")),
        ("http://localhost:8080/a/b/blob/main/x.gguf", HubAddress("a/b", "x.gguf")),
    ],
)
def test_what_people_paste_is_understood(text: str, address: HubAddress) -> None:
    assert hub_address(text, "http://localhost:8080") == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no address"),
        ("hf:", "no address"),
        ("hf:onlyone", "no address"),
        ("hf:a/b/c d.gguf", "no address"),
        ("hf:a/../x.gguf", "no"),
        ("hf:a/b/../../x.gguf", "no file's name"),
        ("hf:a/b//x.gguf", "no file's name"),
        ("hf:a/b/model.safetensors", "no GGUF file"),
        ("hf:a/b/x.gguf:Q4_0", "not both"),
        ("https://example.com/a/b/blob/main/x.gguf", "Only links to the hub"),
        ("https://huggingface.co.example.com/a/b", "Only links to the hub"),
        ("https://huggingface.co@example.com/a/b", "Only links to the hub"),
        ("https://huggingface.co/", "names no model"),
        ("https://huggingface.co/datasets/a/b", "no model"),
        ("https://huggingface.co/a/b/discussions/1", "no model file"),
        ("https://[", "no link"),
    ],
)
def test_what_is_no_address_is_refused_with_a_next_step(text: str, words: str) -> None:
    with pytest.raises(KnownError, match=words) as caught:
        hub_address(text)
    assert caught.value.trouble.next_step


@pytest.mark.parametrize(
    "address", [FILE, HubAddress("a/b", "x.gguf", "v1"), HubAddress("a/b", quant="Q8_0"), HubAddress("a/b")]
)
def test_an_address_written_out_is_the_same_address(address: HubAddress) -> None:
    assert is_hub_address(str(address))
    assert hub_address(str(address)) == address
