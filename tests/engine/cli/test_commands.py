"""The headless commands as a script sees them: one document on stdout, one line on stderr, the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.sampling.chain import Chain
from engine.sampling.presets import Preset

ROOT = Path(__file__).parents[3]


def run(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with its state under `folder`."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *arguments, "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=120,
        check=False,
    )


def answer(folder: Path, *arguments: str, stdin: str = "") -> Any:
    """The JSON document of a command that must succeed."""
    done = run(folder, *arguments, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_chat_answers_with_its_figures(tmp_path: Path, smollm2: Path) -> None:
    found = answer(
        tmp_path,
        "chat",
        str(smollm2),
        "--prompt",
        "Say hello.",
        "--max-tokens",
        "8",
        "--temperature",
        "0",
        "--seed",
        "4",
    )
    assert found["text"]
    assert found["finish_reason"] in ("length", "stop")
    assert found["seed"] == 4
    assert found["completion_tokens"] <= 8
    assert found["decode_tps"] > 0
    assert (found["n_drafted"], found["n_accepted"]) == (None, None)
    assert [each["key"] for each in found["chain"]] == list(Chain.default().keys())


def test_chat_with_a_draft_model_writes_the_same_and_counts_its_guesses(tmp_path: Path, smollm2: Path) -> None:
    asked = ["chat", str(smollm2), "--prompt", "Say hello.", "--max-tokens", "12", "--temperature", "0"]
    asked += ["--n-threads", "1", "--ignore-eos"]
    guessing = ["--model-draft", "starter", "--n-outputs-max", "8", "--speculate", "draft"]
    plain, guessed = answer(tmp_path, *asked), answer(tmp_path, *asked, *guessing)
    assert guessed["text"] == plain["text"]
    assert guessed["n_drafted"] == guessed["n_accepted"] > 0
    done = run(tmp_path, *asked, "--speculate", "draft")
    assert done.returncode == 2
    assert "No draft model is loaded" in done.stderr
    missing = run(tmp_path, *asked, *guessing, "--model-draft", str(tmp_path / "no.gguf"))
    assert missing.returncode == 2
    assert "The draft model cannot be used (no.gguf" in missing.stderr


def test_chat_writes_many_answers_at_once(tmp_path: Path, smollm2: Path) -> None:
    flags = ["chat", str(smollm2), "--prompt", "Say hello.", "--n", "3", "--max-tokens", "6", "--seed", "4"]
    found = answer(tmp_path, *flags, "--n-threads", "1")
    assert [each["seed"] for each in found["answers"]] == [4, 5, 6]
    assert all(each["text"] and each["tokens"] <= 7 and each["logprob"] < 0 for each in found["answers"])
    assert found["completion_tokens"] == sum(each["tokens"] for each in found["answers"])
    assert 0 < found["distinct_1"] <= 1
    assert found["tps"] > 0
    done = run(tmp_path, *flags, "--n-threads", "1")
    assert [line for line in done.stdout.splitlines() if line.startswith("---")] == [
        f"--- {number + 1}, seed {4 + number} ---" for number in range(3)
    ]
    streamed = run(tmp_path, *flags, "--n-threads", "1", "--json", "--stream")
    lines = [json.loads(line) for line in streamed.stdout.splitlines()]
    for number, each in enumerate(found["answers"]):
        assert "".join(line["text"] for line in lines[:-1] if line["answer"] == number) == each["text"]


def test_many_answers_end_at_a_stop_text_and_can_be_kept_from_ending_themselves(tmp_path: Path, smollm2: Path) -> None:
    flags = ["chat", str(smollm2), "--prompt", "Say hello.", "--n", "4", "--max-tokens", "40", "--seed", "4"]
    free = answer(tmp_path, *flags, "--n-threads", "1")
    assert "stop" in [each["finish_reason"] for each in free["answers"]]
    endless = answer(tmp_path, *flags, "--ignore-eos", "--n-threads", "1")
    assert [(each["finish_reason"], each["tokens"]) for each in endless["answers"]] == [("length", 40)] * 4
    stop = free["answers"][0]["text"].split()[2]
    stopped = answer(tmp_path, *flags, "--stop", stop, "--n-threads", "1")
    cut = stopped["answers"][0]
    assert cut["finish_reason"] == "stop"
    assert cut["text"] == free["answers"][0]["text"].partition(stop)[0]
    assert all(stop not in each["text"] for each in stopped["answers"])


def test_chat_streams_lines_that_add_up_to_the_text(tmp_path: Path, smollm2: Path) -> None:
    done = run(
        tmp_path, "chat", str(smollm2), "--json", "--stream", "--max-tokens", "90", "--ignore-eos", stdin="Say hello."
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) > 2
    assert "".join(each["text"] for each in lines[:-1]) == lines[-1]["text"]


def test_messages_come_from_a_file_and_render_shows_the_prompt(tmp_path: Path, smollm2: Path) -> None:
    path = tmp_path / "messages.json"
    path.write_text(json.dumps([{"role": "system", "content": "Brief."}, {"role": "user", "content": "안녕"}]))
    found = answer(tmp_path, "render", str(smollm2), "--messages", str(path))
    assert found["text"].endswith("<|im_start|>assistant\n")
    assert "Brief." in found["text"]
    assert found["template_source"] == "model"
    assert len(found["tokens"]) > 5


def test_next_takes_the_distribution_apart(tmp_path: Path, smollm2: Path) -> None:
    found = answer(tmp_path, "next", str(smollm2), "--raw", "--prompt", "The capital of France is", "--top", "5")
    assert found["raw"][0]["text"] == " Paris"
    assert len(found["raw"]) == 5
    assert found["stages"][0]["survivors"] == 40
    assert found["picked"]["p"] > 0


def test_tokenize_counts_bytes(tmp_path: Path, smollm2: Path) -> None:
    found = answer(tmp_path, "tokenize", str(smollm2), "--text", "Hello 세계")
    raw = b"".join(bytes(each["bytes"]) for each in found["tokens"])
    assert raw.decode() == "Hello 세계"
    assert found["tokens"][-1]["end"] == len(raw)


def test_size_predicts_what_verify_measures(tmp_path: Path, smollm2: Path) -> None:
    found = answer(tmp_path, "size", str(smollm2), "--n-ctx", "2048", "--verify")
    predicted, measured = found["devices"][0], found["measured"]["devices"][0]
    for part in ("weights", "kv", "compute", "output"):
        assert predicted["parts"][part] == measured["parts"][part]
    assert predicted["sum"] == sum(value for value in predicted["parts"].values() if value is not None)
    assert found["fits"] == "yes"
    assert found["max_n_ctx"] > 2048
    assert predicted["parts"]["recurrent"] is None


def test_size_answers_for_devices_that_are_not_here(tmp_path: Path, smollm2: Path) -> None:
    asked = ["size", str(smollm2), "--n-ctx", "2048"]
    found = answer(tmp_path, *asked, "--on", "rtx-3090,rtx-3090")
    assert [each["name"] for each in found["devices"]] == ["NVIDIA GeForce RTX 3090"] * 2
    assert sum(each["n_layers"] for each in found["devices"]) == 30
    assert sum(each["parts"]["kv"] for each in found["devices"]) == 47_185_920
    for device in found["devices"]:
        assert device["sum"] == sum(value for value in device["parts"].values() if value is not None)
        assert "whitepaper" in device["source"]
    assert (found["fits"], found["on"]["split"], found["on"]["n_gpu_layers"]) == ("yes", "layer", 31)
    speed = found["speed"]
    assert 0 < speed["decode_tps_low"] < speed["decode_tps_high"]
    assert 0 < speed["prefill_tps_low"] < speed["prefill_tps_high"]
    assert "RTX 3090" in speed["bottleneck"]
    deep = answer(tmp_path, *asked, "--on", "rtx-3090", "--at-depth", "2048")["speed"]
    assert deep["decode_tps_high"] < answer(tmp_path, *asked, "--on", "rtx-3090")["speed"]["decode_tps_high"]


def test_size_says_no_for_a_device_that_is_too_small(tmp_path: Path, smollm2: Path) -> None:
    done = run(tmp_path, "size", str(smollm2), "--on", "0.1GiB@100GB/s", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["fits"] == "no"
    assert found["speed"]["prefill_tps_low"] is None  # nobody said how fast it computes


def test_bench_tells_size_how_fast_this_machine_is(tmp_path: Path, smollm2: Path) -> None:
    """Before: unknown, and no number made up. After, if nothing else was in the way: what was measured is in the range."""
    asked = ["size", str(smollm2), "--n-ctx", "1024"]
    before = answer(tmp_path, *asked)["speed"]
    assert before["decode_tps_low"] is before["prefill_tps_high"] is None
    assert "bench" in before["bottleneck"]
    flags = ["--prefill", "64", "--depth", "0", "--n-decode", "8", "--repeats", "2", "--n-ctx", "1024"]
    measured = answer(tmp_path, "bench", str(smollm2), *flags)
    after = answer(tmp_path, *asked)["speed"]
    if measured["contended"]:
        assert after == before
    else:
        assert after["decode_tps_low"] < measured["decode"][0]["tps"] < after["decode_tps_high"]
        assert after["measured"]
        assert "measured here" in after["bottleneck"]


def test_the_table_of_devices_is_listed_with_its_sources(tmp_path: Path) -> None:
    found = answer(tmp_path, "hardware", "--table", "rtx 40")["table"]
    assert {"rtx-4090", "rtx-4080"} <= {each["key"] for each in found}
    assert all(each["source"] and each["bandwidth"] > 0 for each in found)
    assert "1,008.0 GB/s" in run(tmp_path, "hardware", "--table", "4090").stdout


def test_size_tells_the_draft_model_apart(tmp_path: Path, smollm2: Path) -> None:
    flags = ["--n-ctx", "1024", "--n-ctx-draft", "512", "--model-draft", "starter", "--verify"]
    found = answer(tmp_path, "size", str(smollm2), *flags)
    predicted, measured = found["devices"][0], found["measured"]["devices"][0]
    assert predicted["parts"]["draft"] == measured["parts"]["draft"] > predicted["parts"]["weights"]
    assert predicted["sum"] == sum(value for value in predicted["parts"].values() if value is not None)


def test_size_calculates_what_the_engine_says_and_tells_every_byte_of_difference(tmp_path: Path, smollm2: Path) -> None:
    found = answer(tmp_path, "size", str(smollm2), "--n-ctx", "2048", "--method", "both")
    for part in ("weights", "kv", "compute", "output"):
        assert found["difference"][part] == 0
    assert found["difference"]["recurrent"] is None
    assert [each["name"] for each in found["formula"]] == [each["name"] for each in found["devices"]]
    assert found["formula"][0]["parts"]["kv"] == found["devices"][0]["parts"]["kv"] == 30 * 2048 * 2 * 3 * 64 * 2


def test_size_by_the_formula_places_layers_on_devices_that_are_not_here(tmp_path: Path, smollm2: Path) -> None:
    flags = ["--method", "formula", "--device", "RAM=2GiB", "--device", "CUDA0=512MiB", "--n-ctx", "4096"]
    found = answer(tmp_path, "size", str(smollm2), *flags)
    ram, card = found["devices"]
    assert (ram["name"], ram["free"]) == ("RAM", 2 * 2**30)
    assert (card["name"], card["free"], card["kind"]) == ("CUDA0", 512 * 2**20, "gpu")
    assert card["parts"]["kv"] == 94_371_840
    assert found["fits"] == "yes"
    assert "compute" in found["estimated"]
    assert "kv" not in found["estimated"]
    n_ctx = found["max_n_ctx"]
    # With 94 MiB of cache for 4,096 tokens, hardly ten thousand and more have room beside the weights.
    assert 4096 < n_ctx < 5 * 4096
    tight = run(tmp_path, "size", str(smollm2), *flags[:-1], str(8 * n_ctx), "--json")
    assert tight.returncode == 1
    assert json.loads(tight.stdout)["fits"] == "no"


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--device", "CUDA7=24GiB"], "--method formula"),
        (["--device", "RAM", "--method", "formula"], "NAME=BYTES"),
        (["--device", "RAM=lots"], "24GiB"),
    ],
)
def test_size_says_what_it_cannot_be_asked(tmp_path: Path, smollm2: Path, flags: list[str], text: str) -> None:
    done = run(tmp_path, "size", str(smollm2), *flags)
    assert done.returncode == 2
    assert text in done.stderr


def test_size_says_no_with_exit_code_one(tmp_path: Path, smollm2: Path) -> None:
    done = run(tmp_path, "size", str(smollm2), "--n-ctx", "8000000", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["fits"] == "no"
    assert found["advice"]


def test_size_finds_options_that_fit_and_keeps_those_that_are_given(tmp_path: Path, smollm2: Path) -> None:
    found = answer(tmp_path, "size", str(smollm2), "--fit", "--device", "RAM=230MiB")
    assert found["fits"] == "yes"
    assert found["ways"][0] == {"type_k": "q4_0", "type_v": "q4_0"}
    assert found["settings"]["type_k"] == "q4_0"
    assert found["settings"]["n_ctx"] == 4096
    given = answer(tmp_path, "size", str(smollm2), "--fit", "--type-k", "f16", "--device", "RAM=230MiB")
    assert [set(each) for each in given["ways"]] == [{"n_ctx"}]
    on_card = ("--device", "RAM=300MiB", "--device", "CUDA0=120MiB", "--method", "formula")
    split = answer(tmp_path, "size", str(smollm2), "--fit", *on_card)
    assert set(split["ways"][0]) == {"n_gpu_layers"}
    assert split["fits"] == "yes"
    none = run(tmp_path, "size", str(smollm2), "--fit", "--device", "RAM=100MiB", "--json")
    assert none.returncode == 1
    assert json.loads(none.stdout)["ways"] == []


def test_bench_measures_reading_and_writing(tmp_path: Path, smollm2: Path) -> None:
    arguments = ["--prefill", "64", "--depth", "0", "--n-decode", "8", "--repeats", "2", "--tune-threads"]
    found = answer(tmp_path, "bench", str(smollm2), *arguments)
    assert found["prefill"][0]["n"] == 64
    assert found["prefill"][0]["tps"] > 0
    assert found["decode"][0]["tps"] > 0
    assert found["tuned"][0]["threads"] == 1
    assert found["peak_rss"] > 100_000_000
    assert isinstance(found["contended"], bool)


def test_bench_compares_flash_attention_on_and_off(tmp_path: Path, smollm2: Path) -> None:
    short = ("--prefill", "64", "--depth", "0", "64", "--n-decode", "8", "--repeats", "1", "--n-ctx", "2048")
    found = answer(tmp_path, "bench", str(smollm2), *short, "--tune-flash-attn")["flash_attn"]
    for each in (found["on"], found["off"]):
        assert [point["depth"] for point in each["decode"]] == [0, 64]
        assert all(point["tps"] > 0 for point in (*each["prefill"], *each["decode"]))
    scores = 4 * 512 * 9 * 2048  # without flash attention: 4 bytes × n_ubatch × heads × n_ctx
    assert found["off"]["compute"] - found["on"]["compute"] > scores / 2
    assert found["best"] in {"on", "off", "equal"}
    refused = run(tmp_path, "bench", str(smollm2), *short, "--tune-flash-attn", "--type-v", "q8_0")
    assert refused.returncode == 2
    assert "--type-v f16" in refused.stderr


def test_hardware_lists_and_watches(tmp_path: Path) -> None:
    found = answer(tmp_path, "hardware")
    assert found["devices"]
    assert found["readings"]["ram"]["ram_used"] > 0
    done = run(tmp_path, "hardware", "--watch", "2", "--interval", "0.3", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) >= 2  # a busy machine leaves some out
    assert all(each["ram"]["ram_used"] > 0 for each in lines)


def test_models_are_listed_scanned_and_shown(tmp_path: Path, smollm2: Path) -> None:
    listed = answer(tmp_path, "models", "list")
    assert listed["models"][0]["origin"] == "starter"
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    scanned = answer(tmp_path, "models", "scan", str(tmp_path))
    assert scanned["models"][0]["error"]
    card = answer(tmp_path, "models", "show", str(smollm2))
    assert (card["architecture"], card["n_layer"], card["n_vocab"]) == ("llama", 30, 49152)


def test_doctor_finds_everything_in_order(tmp_path: Path) -> None:
    found = answer(tmp_path, "doctor")
    assert found["faults"] == []
    assert found["versions"]["llama-cpp-python"]
    assert found["engine"]["devices"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chat", "nowhere.gguf", "--prompt", "x"], "nowhere.gguf"),
        (["chat", "no such model", "--prompt", "x"], "models list"),
        (["chat", "starter", "--prompt", "x", "--temperature", "hot"], "number"),
        (["chat", "starter", "--prompt", "x", "--n-ctx", "-5"], "at least"),
        (["chat", "starter", "--messages", "missing.json"], "missing.json"),
        (["chat", "starter", "--prompt", "x", "--n", "0"], "--n 0"),
        (["chat", "starter", "--prompt", "x", "--n", "33", "--max-tokens", "2"], "33"),
        (["size", "starter", "--type-v", "q8_0", "--flash-attn", "off"], "flash attention"),
        (["models", "scan", "nowhere"], "nowhere"),
        (["bench", "starter", "--repeats", "0"], "at least 1"),
        (["hardware", "--interval", "0"], "above 0"),
        (["size", "starter", "--on", "voodoo"], "hardware --table"),
        (["size", "starter", "--on", "m1-max"], "m1-max-32"),
        (["size", "starter", "--split", "row"], "--on"),
        (["size", "starter", "--on", ",".join(["p40"] * 9)], "name fewer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_bad_use_is_one_line_with_the_next_step_and_exit_code_two(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert words in last
    assert "Traceback" not in done.stderr


def test_an_unknown_flag_is_bad_use(tmp_path: Path) -> None:
    done = run(tmp_path, "chat", "starter", "--teperature", "1")
    assert done.returncode == 2
    assert "--teperature" in done.stderr


def test_a_prompt_that_does_not_fit_is_refused_and_can_be_shortened(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "word " * 300}, {"role": "assistant", "content": "Yes."}] * 3
    path = tmp_path / "long.json"
    path.write_text(json.dumps([*messages, {"role": "user", "content": "What is 2 + 2?"}]))
    arguments = ["chat", "starter", "--messages", str(path), "--n-ctx", "512", "--max-tokens", "5"]
    refused = run(tmp_path, *arguments)
    assert refused.returncode == 2
    assert "512" in refused.stderr
    found = answer(tmp_path, *arguments, "--drop-oldest")
    assert found["dropped_messages"] >= 4


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 10}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}
ONE_THREAD = ("--n-threads", "1", "--n-threads-batch", "1")


@pytest.mark.parametrize("as_file", [False, True])
def test_a_json_schema_from_a_text_or_a_file_makes_json(tmp_path: Path, smollm2: Path, as_file: bool) -> None:
    schema = json.dumps(PERSON)
    if as_file:
        file = tmp_path / "person.json"
        file.write_text(schema)
        schema = str(file)
    asked = ("chat", str(smollm2), "--prompt", "Describe Ann.", "--seed", "3", "--max-tokens", "60", *ONE_THREAD)
    found = answer(tmp_path, *asked, "--json-schema", schema)
    assert set(json.loads(found["text"])) == {"name", "age"}
    assert [each for each in found["warnings"] if "minimum at /properties/age" in each]


def test_next_follows_a_grammar_a_bias_and_a_preset(tmp_path: Path, smollm2: Path) -> None:
    file = tmp_path / "answer.gbnf"
    file.write_text('root ::= "yes" | "no"\n')
    asked = ("next", str(smollm2), "--prompt", "Is water wet?", "--preset", "greedy", *ONE_THREAD)
    found = answer(tmp_path, *asked, "--grammar-file", str(file))
    assert found["picked"]["text"] in ("yes", "no", "y", "n", "ye")
    other = answer(tmp_path, *asked, "--grammar-file", str(file), "--logit-bias", f"{found['picked']['id']}=false")
    assert other["picked"]["id"] != found["picked"]["id"]
    assert [each["key"] for each in other["stages"]] == ["grammar", "logit_bias"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--grammar", 'root ::= ("a"'), "line 1, column 10"),
        (("--grammar", 'root ::= "a"', "--grammar-file", "x"), "exclude each other"),
        (("--grammar-file", "/nowhere/x.gbnf"), "cannot be read"),
        (("--json-schema", "{"), "not JSON (line 1, column 2)"),
        (("--json-schema", '{"type": "animal"}'), "cannot express this JSON Schema"),
        (("--logit-bias", "99999=1"), "use an id from 0 to 49,151"),
        (("--logit-bias", "yes"), "15043=-2.5"),
        (("--preset", "boring"), "use one of default, precise"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_bad_sampler_flag_is_one_line_that_says_what_to_write(
    tmp_path: Path, smollm2: Path, flags: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, "chat", str(smollm2), "--prompt", "hi", "--max-tokens", "2", *ONE_THREAD, *flags)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("loading ")]
    assert len(lines) == 1
    assert said in lines[0]


def test_an_exported_preset_is_a_file_that_chat_takes(tmp_path: Path, smollm2: Path) -> None:
    chain = Chain.default().with_values({"temperature": 0.0, "repeat_penalty": 1.2})
    file = tmp_path / "mine.json"
    file.write_text(Preset("mine", "Mine", "", chain, 9).to_json())
    asked = ("chat", str(smollm2), "--prompt", "hi", "--max-tokens", "2", *ONE_THREAD)
    found = answer(tmp_path, *asked, "--preset", str(file))
    assert found["seed"] == 9
    assert Chain.from_wire(found["chain"]) == chain
