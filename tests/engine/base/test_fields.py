"""Fields take what they say they take, explain what they do not, and spell values back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.fields import Field, FieldError, FieldKind, FieldSet
from engine.settings import SETTINGS
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.run_options import RUN_OPTIONS

COUNT = Field("count", FieldKind.INT, 4, "Count", "help", minimum=0, maximum=5000, special=((0, "automatic"),))
SHARE = Field("share", FieldKind.FLOAT, 0.5, "Share", "help", minimum=0.0, maximum=1.0, step=0.01)
EVERY_FIELD = [each for fields in (LOAD_OPTIONS, RUN_OPTIONS, SETTINGS) for each in fields]


@pytest.mark.parametrize("field", EVERY_FIELD, ids=lambda field: field.key)
def test_every_field_has_a_help_and_spells_its_default_so_that_it_reads_it_back(field: Field) -> None:
    assert field.help.endswith(".")
    assert field.label
    assert field.parse(field.format(field.default)) == field.default


def test_keys_are_unique_over_all_sets() -> None:
    keys = [each.key for each in EVERY_FIELD]
    assert len(set(keys)) == len(keys)


@given(value=st.integers(0, 5000))
def test_whole_numbers_in_range_survive_being_spelled(value: int) -> None:
    assert COUNT.parse(COUNT.format(value)) == value


@pytest.mark.parametrize("text", ["", "many", "4.5", "-1", "5001", "1e9", "nan", "٣x"])
def test_text_that_is_no_count_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(FieldError) as caught:
        COUNT.parse(text)
    assert caught.value.key == "count"
    assert caught.value.trouble.next_step


def test_thousands_separators_and_special_words_are_read() -> None:
    assert COUNT.parse("4,096") == 4096
    assert COUNT.parse("Automatic") == 0


@pytest.mark.parametrize("value", [True, "1", None, 1.5, [1]])
def test_a_truth_value_or_text_is_no_whole_number(value: object) -> None:
    with pytest.raises(FieldError):
        COUNT.check(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1, 10**400, "0.5"])
def test_numbers_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(FieldError):
        SHARE.check(value)


def test_a_set_fills_defaults_refuses_unknown_keys_and_finds_what_changed() -> None:
    fields = FieldSet((COUNT, SHARE))
    assert fields.checked({"share": 1}) == {"count": 4, "share": 1.0}
    assert fields.changed({"count": 4, "share": 1.0}) == {"share": 1.0}
    with pytest.raises(FieldError, match="no such setting"):
        fields.checked({"shares": 1})


def test_a_set_with_a_key_twice_or_a_bad_default_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="twice"):
        FieldSet((COUNT, COUNT))
    with pytest.raises(FieldError):
        FieldSet((Field("bad", FieldKind.INT, -1, "Bad", "help", minimum=0),))


def test_a_file_is_a_path_as_it_was_written_or_nothing() -> None:
    field = Field("model", FieldKind.FILE, "", "Model", "help")
    assert field.parse("/models/a file .gguf") == "/models/a file .gguf"
    assert field.check("") == field.parse("") == ""
    for bad in (7, None, ("a",), "a\0b"):
        with pytest.raises(FieldError, match="path of a file"):
            field.check(bad)


def test_a_pattern_holds_for_the_whole_text_and_for_each_of_a_list():
    one = Field("x", FieldKind.TEXT, "ab", "X", "help", pattern="[a-c]+", pattern_hint="write a, b or c")
    many = Field("y", FieldKind.TEXT_LIST, (), "Y", "help", pattern="[a-c]+", pattern_hint="write a, b or c")
    assert one.check("abc") == "abc"
    assert many.check(["a", "bc"]) == many.parse("a\nbc") == ("a", "bc")
    for act in (lambda: one.check("abd"), lambda: many.check(["a", "d"]), lambda: many.parse("a\nxa")):
        with pytest.raises(FieldError, match="write a, b or c"):
            act()
