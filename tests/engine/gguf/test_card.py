"""What the card says about real models and about every other kind of GGUF file."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.gguf.card import ModelKind, bytes_text, card_of, read_card, size_label
from engine.gguf.reader import read_header
from engine.gguf.types import TensorType, ValueType
from tests.support.gguf_writer import Entry, Tensor, array, entry, gguf

U32, STRING = ValueType.UINT32, ValueType.STRING
TOKENS = array("tokenizer.ggml.tokens", STRING, ["a", "b", "c"])
WEIGHTS = (Tensor(b"token_embd.weight", (64, 3), TensorType.Q4_0), Tensor(b"output_norm.weight", (64,)))


def model_entries(arch: str = "llama", **numbers: int) -> list[Entry]:
    return [
        entry("general.architecture", STRING, arch),
        *(entry(f"{arch}.{key.replace('__', '.')}", U32, value) for key, value in numbers.items()),
    ]


def written(folder: Path, entries: list[Entry], tensors: tuple[Tensor, ...] = WEIGHTS, name: str = "m.gguf") -> Path:
    path = folder / name
    path.write_bytes(gguf(entries, tensors))
    return path


def test_the_card_of_smollm2(smollm2: Path) -> None:
    card = read_card(smollm2)
    assert card.kind is ModelKind.MODEL
    assert card.architecture == "llama"
    assert (card.n_params, card.size_label) == (134_515_008, "135M")
    assert card.weights_bytes == 96_576_768
    assert card.size_bytes == smollm2.stat().st_size
    assert card.quantization == "Q4_1"
    assert [share.type for share in card.mix] == [TensorType.Q4_1, TensorType.Q8_0, TensorType.F32]
    assert sum(share.size_bytes for share in card.mix) == card.weights_bytes
    assert sum(share.n_params for share in card.mix) == card.n_params
    assert card.bits_per_weight == pytest.approx(5.744, abs=0.001)
    assert (card.n_layer, card.n_embd, card.n_head, card.n_head_kv, card.n_ff) == (30, 576, 9, 3, 1536)
    assert (card.head_k, card.head_v) == (64, 64)
    assert (card.n_vocab, card.n_ctx_train) == (49_152, 8192)
    assert (card.rope.freq_base, card.rope.n_dims, card.rope.scaling) == (100_000.0, 64, None)
    assert card.sliding_window is None
    assert card.n_expert is None
    assert card.tokenizer == "gpt2"
    assert card.chat_template is not None
    assert (card.licence, card.languages) == ("apache-2.0", ("en",))
    assert card.n_files == 1
    assert card.problems == ()


def test_the_card_of_gemma3(gemma3: Path) -> None:
    card = read_card(gemma3)
    assert card.kind is ModelKind.MODEL
    assert (card.n_params, card.size_label) == (268_098_176, "268M")
    assert card.weights_bytes == 246_587_904
    assert card.quantization == "Q4_K_M"
    assert (card.n_layer, card.n_embd, card.n_head, card.n_head_kv) == (18, 640, 4, 1)
    # Stated in the file and not the quotient 640 / 4.
    assert (card.head_k, card.head_v) == (256, 256)
    # The file has no vocab_size; its tokens are counted.
    assert card.n_vocab == 262_144
    assert card.sliding_window == 512
    assert card.chat_template is None
    assert card.problems == ()


def test_rows_carry_units_and_say_what_is_unknown(smollm2: Path, gemma3: Path) -> None:
    rows = dict(read_card(smollm2).rows())
    assert rows["Parameters"] == "135M (134,515,008)"
    assert rows["Weights"] == "92.1 MiB"
    assert rows["Quantization"] == "Q4_1, 5.74 bits per weight"
    assert rows["Tensor types"].startswith("Q4_1 ")
    assert rows["Vocabulary"] == "49,152 tokens"
    assert rows["Trained context"] == "8,192 tokens"
    assert rows["Position encoding"] == "RoPE, base 100,000, 64 dimensions"
    gemma_rows = dict(read_card(gemma3).rows())
    assert gemma_rows["Sliding window"] == "512 tokens"
    assert gemma_rows["Chat template"] == "none in the file"
    assert gemma_rows["Languages"] == "unknown"
    assert "Sliding window" not in rows


def test_nothing_is_made_up_for_a_file_that_says_nothing(tmp_path: Path) -> None:
    card = read_card(written(tmp_path, [], ()))
    assert card.kind is ModelKind.UNKNOWN
    assert card.name == "m"
    assert (card.n_params, card.size_label, card.bits_per_weight, card.quantization) == (None, None, None, None)
    assert (card.n_layer, card.n_head, card.n_head_kv, card.head_k, card.n_vocab) == (None, None, None, None, None)
    rows = dict(card.rows())
    assert {rows[label] for label in ("Architecture", "Parameters", "Layers", "Heads", "Vocabulary", "Licence")} == {
        "unknown"
    }


def test_labels_in_the_file_are_not_believed(tmp_path: Path) -> None:
    entries = [*model_entries(), entry("general.size_label", STRING, "70B"), entry("general.file_type", U32, 1)]
    card = read_card(written(tmp_path, entries))
    assert (card.n_params, card.size_label) == (256, "256")
    assert card.quantization == "F16"
    assert [(share.type, share.n_tensors, share.n_params, share.size_bytes) for share in card.mix] == [
        (TensorType.F32, 1, 64, 256),
        (TensorType.Q4_0, 1, 192, 108),
    ]


def test_without_a_file_type_the_most_bytes_name_the_quantization(tmp_path: Path) -> None:
    tensors = (Tensor(b"w", (256, 8), TensorType.Q6_K), Tensor(b"n", (64,)))
    assert read_card(written(tmp_path, model_entries(), tensors)).quantization == "Q6_K"
    unknown = [*model_entries(), entry("general.file_type", U32, 999)]
    assert read_card(written(tmp_path, unknown, tensors)).quantization == "Q6_K"
    guessed = [*model_entries(), entry("general.file_type", U32, 1024 + 15)]
    assert read_card(written(tmp_path, guessed, tensors)).quantization == "Q4_K_M"


def test_missing_key_value_heads_are_as_many_as_heads(tmp_path: Path) -> None:
    card = read_card(written(tmp_path, model_entries(attention__head_count=8, embedding_length=64)))
    assert (card.n_head_kv, card.head_k, card.head_v) == (8, 8, 8)


def test_heads_may_differ_by_layer(tmp_path: Path) -> None:
    entries = [
        *model_entries(block_count=3, embedding_length=64, attention__head_count=8),
        array("llama.attention.head_count_kv", U32, [0, 2, 2]),
    ]
    card = read_card(written(tmp_path, entries))
    assert card.n_head_kv == (0, 2, 2)
    assert dict(card.rows())["Key/value heads"] == "0 to 2, by layer"
    assert card.problems == ()


def test_experts_and_scaled_contexts_are_shown(tmp_path: Path) -> None:
    entries = [
        *model_entries("qwen3moe", expert_count=128, expert_used_count=8, rope__dimension_count=128),
        entry("qwen3moe.rope.freq_base", ValueType.FLOAT32, 1e6),
        entry("qwen3moe.rope.scaling.type", STRING, "yarn"),
        entry("qwen3moe.rope.scaling.factor", ValueType.FLOAT32, 4.0),
        entry("qwen3moe.rope.scaling.original_context_length", U32, 32_768),
    ]
    rows = dict(read_card(written(tmp_path, entries)).rows())
    assert rows["Experts"] == "128, 8 used for each token"
    assert rows["Position encoding"] == "RoPE, base 1,000,000, 128 dimensions, yarn x4, from 32,768 tokens"


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"block_count": 513}, "513 layers"),
        ({"expert_count": 1025, "expert_used_count": 8}, "1,025 experts"),
        ({"expert_count": 8, "expert_used_count": 9}, "9 of 8 experts"),
        ({"expert_count": 8}, "0 of 8 experts"),
    ],
)
def test_what_this_engine_would_refuse_is_a_problem(tmp_path: Path, numbers: dict[str, int], says: str) -> None:
    card = read_card(written(tmp_path, model_entries(**numbers)))
    assert len(card.problems) == 1
    assert says in card.problems[0]
    assert ("Problem", card.problems[0]) in card.rows()


def test_a_list_by_layer_of_the_wrong_length_is_a_problem(tmp_path: Path) -> None:
    entries = [*model_entries(block_count=3), array("llama.feed_forward_length", U32, [64, 64])]
    assert read_card(written(tmp_path, entries)).problems == ("llama.feed_forward_length has 2 values for 3 layers",)


def stated(kind: str) -> Entry:
    return entry("general.type", STRING, kind)


@pytest.mark.parametrize(
    ("entries", "tensors", "kind"),
    [
        (model_entries(), WEIGHTS, ModelKind.MODEL),
        ([*model_entries(), stated("model"), TOKENS], WEIGHTS, ModelKind.MODEL),
        ([*model_entries(), stated("adapter")], WEIGHTS, ModelKind.ADAPTER),
        (model_entries("controlvector"), WEIGHTS, ModelKind.CONTROL_VECTOR),
        ([*model_entries("clip"), stated("mmproj")], WEIGHTS, ModelKind.PROJECTOR),
        (model_entries("clip"), WEIGHTS, ModelKind.PROJECTOR),
        ([stated("imatrix")], WEIGHTS, ModelKind.IMATRIX),
        ([entry("imatrix.chunk_count", U32, 100)], WEIGHTS, ModelKind.IMATRIX),
        ([*model_entries(), TOKENS], (), ModelKind.VOCAB_ONLY),
        ([*model_entries(), entry("llama.block_count", U32, 1)], (), ModelKind.METADATA_ONLY),
        ([entry("general.architecture", STRING, "llama")], (), ModelKind.UNKNOWN),
        ([], WEIGHTS, ModelKind.UNKNOWN),
        (
            [entry("split.no", ValueType.UINT16, 1), entry("split.count", ValueType.UINT16, 2)],
            WEIGHTS,
            ModelKind.OTHER_SHARD,
        ),
        ([*model_entries(), TOKENS, entry("split.count", ValueType.UINT16, 2)], (), ModelKind.MODEL),
    ],
)
def test_a_file_is_known_for_what_it_is(
    tmp_path: Path, entries: list[Entry], tensors: tuple[Tensor, ...], kind: ModelKind
) -> None:
    path = written(tmp_path, entries, tensors)
    assert card_of(read_header(path), path).kind is kind


def test_every_kind_that_is_no_model_says_so_in_a_sentence_of_its_own() -> None:
    refusals = [each.refusal for each in ModelKind if each not in (ModelKind.MODEL, ModelKind.OTHER_SHARD)]
    assert ModelKind.MODEL.refusal is None
    assert all(each is not None and each[0].startswith("This") and each[1] for each in refusals)
    assert len(set(refusals)) == len(refusals)


@pytest.mark.parametrize(
    ("n_params", "label"),
    [
        (7, "7"),
        (999_499, "999K"),
        (134_515_008, "135M"),
        (999_600_000, "1.0B"),
        (1_711_376_384, "1.7B"),
        (8_030_261_248, "8.0B"),
        (671_026_419_200, "671B"),
        (1_026_000_000_000, "1.0T"),
    ],
)
def test_a_number_of_parameters_is_said_in_short(n_params: int, label: str) -> None:
    assert size_label(n_params) == label


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (96_576_768, "92.1 MiB"), (2**40 * 3, "3.0 TiB")],
)
def test_a_size_has_a_binary_unit(size: int, text: str) -> None:
    assert bytes_text(size) == text
