"""Grammars: what is sound, where a mistake is, and that llama.cpp agrees."""

from __future__ import annotations

import llama_cpp
import pytest

from engine.base.fields import FieldError
from engine.sampling.chain import Chain
from engine.sampling.gbnf import GbnfError, read_grammar

GOOD = [
    'root ::= "a"',
    'root ::= "a" # a remark',
    '# first a remark\nroot ::= "a"\n\n\n',
    'root ::= "a" | "b" |\n  "c"',
    "root ::= one two\none ::= [a-c]\ntwo ::= [^x-z0-9_-]",
    'root ::= ("a"\n | "b")* "c"+ "d"?',
    'root ::= "a"{3} "b"{2,} "c"{1,4} "d"{0,2}',
    r'root ::= "\x41\u00e9\U0001F600\n\t\\\"" [\]\[\-]',
    'root ::= "é" [а-я] "😀"',
    "root ::= .",
    "root ::= .+",
    "root ::= ",
    'root ::= "" | "a"',
    "root ::= list\nlist ::= item list | item\nitem ::= [0-9]",
    'root ::=\r\n  "a"\r\nother ::= "b"\r\n',
    'root   ::=   "a"   \n  b ::= "c"',
    'root ::= "a"\nroot ::= "b"',
    'root ::= [a-z]{1,20} ("," [a-z]{1,20}){0,30}',
    "root ::= <[12]> !<[13]>",
    'root ::= "a"{0}',
]

BAD = [
    ("", 1, 1, 'no rule named "root"'),
    ("   \n", 1, 1, 'no rule named "root"'),
    ('start ::= "a"', 1, 1, 'no rule named "root"'),
    ("root", 1, 5, "expected ::="),
    ('root = "a"', 1, 6, "expected ::="),
    ('root ::= "a', 1, 10, "no closing quote"),
    ("root ::= [a", 1, 10, "no closing ]"),
    ("root ::= []", 1, 10, "at least one character"),
    ("root ::= [z-a]", 1, 12, "ends before it begins"),
    ('root ::= ("a"', 1, 10, "no closing )"),
    ('root ::= "a")', 1, 13, "found “)”"),
    ('root ::= ("a" ;)', 1, 15, "expected ) or another item"),
    ("root ::= *", 1, 10, "something to repeat"),
    ("root ::= | *", 1, 12, "something to repeat"),
    ('root ::= "a"{', 1, 14, "expected a number"),
    ('root ::= "a"{x}', 1, 14, "expected a number"),
    ('root ::= "a"{2', 1, 15, "expected }"),
    ('root ::= "a"{2;3}', 1, 15, "expected }"),
    ('root ::= "a"{3,2}', 1, 13, "under the least"),
    ('root ::= "a"{5000}', 1, 13, "too many repetitions"),
    ('root ::= ("a"{0,50}){50}', 1, 21, "too many repetitions"),
    (r'root ::= "\q"', 1, 11, r"\q is no escape"),
    (r'root ::= "\x4"', 1, 11, "2 hexadecimal digits"),
    (r'root ::= "\u12G4"', 1, 11, "4 hexadecimal digits"),
    ('root ::= "a"\nother ::= what', 2, 11, '"what" is not defined'),
    ('root ::= a b\na ::= "x"', 1, 12, '"b" is not defined'),
    ('root ::= "a"\n  ::= "b"', 2, 3, "expected the name of a rule"),
    ('root ::= "a"\nü ::= "b"', 2, 1, "expected the name of a rule"),
    ("root ::= root_x", 1, 14, "found “_”"),
    ("root ::= 'a'", 1, 10, "found “'”"),
    ('root ::= root "a" | "b"', 1, 1, "begins with itself"),
    ('root ::= a\na ::= b "x"\nb ::= a | "y"', 2, 1, "begins with itself"),
    ('root ::= "a"\nx ::= x', 2, 1, "begins with itself"),
    ("root ::= <[1", 1, 13, "expected ]>"),
    ("root ::= <think", 1, 10, "no closing >"),
    ('root ::= !"a"', 1, 11, "expected <"),
]

# llama.cpp takes these and then fills the memory, waits for ever or reads what nobody wrote.
ONLY_HERE = [
    ("root ::= [z-a]", "ends before it begins"),
    ("root ::= []", "at least one character"),
    ('root ::= "a"{3,2}', "under the least"),
    ('root ::= a "x" | "y"\na ::= b root\nb ::= c\nc ::= "z"?', "begins with itself"),
    ('root ::= ws*\nws ::= ("a"?)', "can be empty"),
    ('root ::= "a\0b"', "NUL"),
]


def _takes(vocab, source: str) -> bool:
    sampler = llama_cpp.llama_sampler_init_grammar(vocab.pointer, source.encode(), b"root")
    if sampler:
        llama_cpp.llama_sampler_free(sampler)
    return bool(sampler)


@pytest.mark.parametrize("source", GOOD, ids=range(len(GOOD)))
def test_llama_cpp_takes_what_is_read_without_a_mistake(small_vocab, source):
    assert read_grammar(source).rules
    assert _takes(small_vocab, source)


@pytest.mark.parametrize(("source", "line", "column", "said"), BAD, ids=range(len(BAD)))
def test_a_mistake_is_told_with_its_place(source, line, column, said):
    with pytest.raises(GbnfError) as caught:
        read_grammar(source)
    assert said in caught.value.what
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("source", [each[0] for each in BAD if each[0] and each[0] not in dict(ONLY_HERE)], ids=str)
def test_llama_cpp_refuses_it_too(small_vocab, source):
    assert not _takes(small_vocab, source)


@pytest.mark.parametrize(("source", "said"), ONLY_HERE, ids=range(len(ONLY_HERE)))
def test_what_would_hurt_llama_cpp_is_refused_before_it_gets_there(source, said):
    with pytest.raises(GbnfError, match=said):
        read_grammar(source)


@pytest.mark.parametrize(
    ("source", "begins", "not_begins"),
    [
        ('root ::= "yes" | "no"', ["", "y", "ye", "yes", "no"], ["yess", "x", "yo"]),
        ("root ::= [a-c]{2,3}", ["a", "ab", "abc"], ["abca", "d", "abd"]),
        ('root ::= ("a" | "b" "c")+', ["a", "bca", "abca"], ["bb", "c"]),
        ("root ::= [^a] .", ["b", "ba", "\n"], ["a", "bab"]),
        ('root ::= "" | "a"', ["", "a"], ["b"]),
    ],
)
def test_a_grammar_knows_how_its_texts_begin(source, begins, not_begins):
    grammar = read_grammar(source)
    assert all(grammar.allows_start(each) for each in begins)
    assert not any(grammar.allows_start(each) for each in not_begins)


def test_a_chain_shows_the_mistake_at_its_place_in_the_text():
    with pytest.raises(FieldError) as caught:
        Chain.default().with_value("grammar", 'root ::= a\na ::= "x"\nb ::= ("y"')
    assert caught.value.key == "grammar"
    assert "line 3, column 7" in caught.value.trouble.value
    assert "no closing )" in caught.value.trouble.next_step


@pytest.mark.parametrize(
    ("schema", "said"),
    [("{", "line 1, column 2"), ("[]", "not an object"), ("nonsense", "not JSON"), ('{"a": }', "line 1, column 7")],
)
def test_a_schema_that_is_no_json_object_is_refused_with_the_place(schema, said):
    with pytest.raises(FieldError, match=said):
        Chain.default().with_value("json_schema", schema)


def test_a_grammar_and_a_schema_exclude_each_other():
    chain = Chain.default().with_value("grammar", 'root ::= "a"')
    with pytest.raises(FieldError, match="cannot both hold"):
        chain.with_value("json_schema", "{}")


@pytest.mark.parametrize("pattern", ["(", "[a", "a{", "(?P<x>a)", "(?<=a)b", r"\Aa", "a**", "(?i)a", "a}", r"\q", ""])
def test_a_pattern_that_would_end_the_engine_is_refused(pattern):
    chain = Chain.default().with_value("grammar", 'root ::= "a"')
    with pytest.raises(FieldError, match="not a regular expression"):
        chain.with_value("grammar_trigger_patterns", [pattern])


@pytest.mark.parametrize("pattern", ["a", r"<tool>\s*(\{)", "(?:a|b)+?[^x-z]{2,3}$", r"^[\s\S]*?(\[)", "ä"])
def test_plain_patterns_are_taken(pattern):
    chain = Chain.default().with_value("grammar", 'root ::= "a"').with_value("grammar_trigger_patterns", [pattern])
    assert chain.link("grammar").is_active


def test_a_trigger_word_with_which_the_grammar_cannot_begin_is_refused():
    chain = Chain.default().with_value("grammar", 'root ::= "<call>" [a-z]+')
    assert chain.with_value("grammar_trigger_words", ["<call>"]).link("grammar").is_active
    with pytest.raises(FieldError, match="cannot begin with this trigger"):
        chain.with_value("grammar_trigger_words", ["<tool>"])
