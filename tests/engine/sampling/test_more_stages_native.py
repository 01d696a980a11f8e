"""The stages that need more than a list of logits (tokens, dice, a state) against llama.cpp's own, on real logits."""

from __future__ import annotations

import numpy as np
import pytest

from engine.base.fields import Value
from engine.sampling.stage import Candidates
from engine.sampling.stages import stage_named
from tests.support.native_samplers import Applied, apply_native, assert_same

Settings = dict[str, Value]

PLAIN: list[tuple[str, Settings]] = [
    ("logit_bias", {"logit_bias": ("100=5", "7=-2.5", "12=false", "100-1")}),
    ("logit_bias", {"logit_bias": ('" the"=3', "5+0.5")}),
    *(("top_n_sigma", {"top_n_sigma": n}) for n in (0.1, 1.0, 1.5, 3.0, 20.0)),
    *(("xtc", {"xtc_probability": 1.0, "xtc_threshold": t}) for t in (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.51)),
    *(("adaptive_p", {"adaptive_target": t}) for t in (0.0, 0.3, 0.7, 1.0)),
]


def _values(key: str, settings: Settings) -> Settings:
    return stage_named(key).fields.checked(settings)


def assert_same_tokens(native: Applied, reference: Candidates) -> None:
    """The same survivors, but for one at the cut where float32 may round the sum either way."""
    ours, theirs = set(reference.ids.tolist()), set(native.candidates.ids.tolist())
    assert len(ours ^ theirs) <= 1
    shared = np.array(sorted(ours & theirs))
    by_id = dict(zip(reference.ids.tolist(), reference.logits.tolist(), strict=True))
    for token, logit in zip(native.candidates.ids.tolist(), native.candidates.logits.tolist(), strict=True):
        if token in by_id:
            assert logit == pytest.approx(by_id[token], abs=1e-5)
    assert len(shared) >= 1


@pytest.mark.parametrize(("key", "settings"), PLAIN, ids=[f"{key} {settings}" for key, settings in PLAIN])
def test_a_stage_leaves_what_the_native_sampler_leaves(real, key, settings):
    stage, values = stage_named(key), _values(key, settings)
    candidates = Candidates.of_logits(real.logits_v)
    native = apply_native(stage.calls(values, 3), candidates, (), real.n_vocab, real.vocab)
    reference = stage.reference_with or (lambda *args: stage.reference(*args[:3]))
    assert_same(native, reference(candidates, values, (), real.vocab))


@pytest.mark.parametrize(
    ("middle", "reach", "exponent"),
    [(1.0, 0.5, 1.0), (0.8, 0.8, 1.0), (0.5, 2.0, 2.0), (1.5, 0.3, 0.5), (0.0, 1.0, 1.0)],
)
def test_a_temperature_with_a_range_follows_the_entropy_as_the_native_sampler_does(real, middle, reach, exponent):
    stage = stage_named("temperature")
    values = {"temperature": middle, "dynatemp_range": reach, "dynatemp_exponent": exponent}
    for candidates in (
        Candidates.of_logits(real.logits_v),
        stage_named("top_k").reference(Candidates.of_logits(real.logits_v), {"top_k": 40}, ()),
    ):
        native = apply_native(stage.calls(values, 3), candidates, (), real.n_vocab).candidates
        reference = stage.reference(candidates, values, ())
        ours, theirs = reference.logits[np.argsort(reference.ids)], native.logits[np.argsort(native.ids)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_typical_p_keeps_the_tokens_that_the_native_sampler_keeps(real, p):
    stage = stage_named("typical_p")
    candidates = Candidates.of_logits(real.logits_v)
    native = apply_native(stage.calls({"typical_p": p}, 1), candidates, (), real.n_vocab)
    assert_same_tokens(native, stage.reference(candidates, {"typical_p": p}, ()))


def test_typical_p_and_mirostat_work_where_tokens_are_banned(real):
    banned = real.logits_v.copy()
    banned[np.argsort(-banned)[60:]] = -np.inf
    candidates = Candidates.of_logits(banned)
    for key, settings in (
        ("typical_p", {"typical_p": 0.9}),
        ("mirostat", {"mirostat": "1"}),
        ("mirostat", {"mirostat": "2"}),
    ):
        stage, values = stage_named(key), _values(key, settings)
        native = apply_native(stage.calls(values, 1), candidates, (), real.n_vocab)
        assert_same_tokens(native, stage.reference(candidates, values, ()))


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("tau", [0.5, 3.0, 5.0, 8.0])
def test_the_first_step_of_mirostat_cuts_where_the_native_sampler_cuts(real, version, tau):
    stage, values = stage_named("mirostat"), _values("mirostat", {"mirostat": version, "mirostat_tau": tau})
    candidates = Candidates.of_logits(real.logits_v)
    native = apply_native(stage.calls(values, 1), candidates, (), real.n_vocab)
    reference = stage.reference(candidates, values, ())
    assert abs(len(native.candidates) - len(reference)) <= 1 + len(reference) // 1000
    n = min(len(native.candidates), len(reference))
    np.testing.assert_allclose(native.candidates.logits[:n], reference.logits[:n])
    assert native.token in reference.ids


def _repetitive(real) -> list[int]:
    """Two passages that come again and again, the last time not to their end, with a line break among them."""
    likely = [int(each) for each in np.argsort(-real.logits_v)[:6]]
    line = real.vocab.tokenize("\n", add_special=False, parse_special=False)
    first, second = [11, 12, 13, *likely[:3]], [20, 21, *likely[3:]]
    return [*real.prompt_tokens, *first, *second, *line, *first, *first, *second, *first, *second[:4]]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dry_base": 1.0},
        {"dry_base": 8.0},
        {"dry_allowed_length": 1},
        {"dry_allowed_length": 5},
        {"dry_penalty_last_n": 12},
        {"dry_penalty_last_n": 0},
        {"dry_sequence_breakers": ()},
        {"dry_sequence_breakers": ("e",)},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_taken", [0, 1, 3])
def test_dry_holds_back_what_the_native_sampler_holds_back(small, settings, n_taken):
    stage, values = stage_named("dry"), _values("dry", {"dry_multiplier": 0.8} | settings)
    candidates = Candidates.of_logits(small.logits_v)
    history = _repetitive(small)
    history = history[: len(history) - n_taken]
    native = apply_native(stage.calls(values, 1), candidates, history, small.n_vocab, small.vocab)
    assert stage.reference_with is not None
    reference = stage.reference_with(candidates, values, history, small.vocab)
    assert_same(native, reference)
    if not settings:
        assert (reference.logits != candidates.logits).any()


def test_dry_knows_breakers_of_several_tokens(small):
    stage = stage_named("dry")
    text = "a b c <|x|> d e f <|x|> d e"
    history = [*small.prompt_tokens, *small.vocab.tokenize(text, add_special=False, parse_special=False)]
    candidates = Candidates.of_logits(small.logits_v)
    for breakers in (("<|x|>",), ("|x",), ("d e",), ("nothing like it",)):
        values = _values("dry", {"dry_multiplier": 1.0, "dry_allowed_length": 1, "dry_sequence_breakers": breakers})
        native = apply_native(stage.calls(values, 1), candidates, history, small.n_vocab, small.vocab)
        assert stage.reference_with is not None
        assert_same(native, stage.reference_with(candidates, values, history, small.vocab))


@pytest.mark.parametrize("top_k", [3, 10, 40, 256])
@pytest.mark.parametrize("lift", [-20.0, 0.0, 5.0, 9.0])
def test_infill_leaves_what_the_native_sampler_leaves(real, top_k, lift):
    stage, values = stage_named("infill"), {"infill": True}
    logits_v = real.logits_v.copy()
    logits_v[real.vocab.end] = np.sort(logits_v)[-20] + lift
    cut = stage_named("top_k").reference(Candidates.of_logits(logits_v), {"top_k": top_k}, ())
    native = apply_native(stage.calls(values, 1), cut, (), real.n_vocab, real.vocab)
    assert stage.reference_with is not None
    assert_same(native, stage.reference_with(cut, values, (), real.vocab))


GRAMMARS = {
    "words": 'root ::= "yes" | "no" | " maybe"',
    "json": r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
""",
    "anything": "root ::= .*",
    "letters": "root ::= [a-zA-Z ]+",
    "not letters": "root ::= [^a-zA-Z]+",
    "beyond latin": "root ::= [\u0400-\u04ff]+ | [\U0001f300-\U0001faff]",
    "empty or a": 'root ::= "" | "a"',
    "many": 'root ::= (("a" | "b"){2,3} "c"?){1,4} # a comment',
}


@pytest.mark.parametrize(
    ("model", "source"),
    [
        *(pytest.param("smollm2-open", source, id=name) for name, source in GRAMMARS.items()),
        *(pytest.param("gemma3-open", GRAMMARS[name], id=f"gemma3 {name}") for name in ("json", "not letters")),
    ],
)
def test_a_grammar_allows_the_tokens_that_the_native_sampler_allows(all_real_logits, source, model):
    real = all_real_logits[model]
    stage, values = stage_named("grammar"), _values("grammar", {"grammar": source})
    candidates = Candidates.of_logits(real.logits_v)
    native = apply_native(stage.calls(values, 1), candidates, (), real.n_vocab, real.vocab)
    assert stage.reference_with is not None
    reference = stage.reference_with(candidates, values, (), real.vocab)
    allowed = np.flatnonzero(reference.logits > -np.inf)
    natively = np.flatnonzero(native.candidates.logits > -np.inf)
    strangers = [real.vocab.piece(int(each), special=True) for each in np.setxor1d(allowed, natively)]
    assert strangers == []
    assert len(allowed) > 0
