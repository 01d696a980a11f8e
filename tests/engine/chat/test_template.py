"""Chat templates of the kinds that models carry, and what happens when one refuses the conversation."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.chat.parts import Role, Turn
from engine.chat.template import (
    BUILT_IN,
    TemplateError,
    TemplateFault,
    TemplateOrigin,
    Templates,
    choose,
    lint,
    source_hash,
    starts_with_bos,
)

CLOCK = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
SYSTEM, USER, ASSISTANT = Role.SYSTEM, Role.USER, Role.ASSISTANT

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# In the style of Llama 3.x: BOS by the template, a date, tools.
LLAMA = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

# In the style of Gemma 1 and 2: no system role, strict alternation, another name for the assistant.
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}"
    "{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)

# In the style of Mistral: alternation checked through a namespace, no generation prompt.
MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" or message["role"] == "assistant" %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}
"""

# In the style of Qwen 3: tools as JSON, thinking off by an extra, old thinking cut out of the history.
QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "<|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if message.role == "user" and message.content is string and not message.content.startswith('<tool_response>') %}
        {%- set ns.last_query_index = index %}
        {%- break %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == "assistant" and '</think>' in content and loop.index0 < ns.last_query_index %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

# In the style of DeepSeek R1: full-width marks, everything in a namespace, thinking opened by the template.
DEEPSEEK = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=false, system_prompt='') %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}"
    "{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}"
    "{{ bos_token }}{{ ns.system_prompt }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is not none %}"
    "{{ '<｜Assistant｜>' + message['content'] + '<｜end▁of▁sentence｜>' }}{%- endif %}"
    "{%- endfor -%}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)

ASKED = (Turn(SYSTEM, "Be brief."), Turn(USER, "안녕 🙂"))


def prompt(source: str, turns: Sequence[Turn], bos: str = "", **extras: object) -> str:
    return Templates().render(source, turns, clock_utc=CLOCK, bos_token=bos, eos_token="</s>", extras=extras).text


def fault_of(source: str, turns: Sequence[Turn] = ASKED, deadline_s: float = 2.0) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        Templates().render(source, turns, clock_utc=CLOCK, deadline_s=deadline_s)
    return caught.value


# Models' own templates


def test_smollm2s_template_renders_what_it_was_trained_on() -> None:
    assert prompt(SMOLLM2, [Turn(USER, "안녕 🙂")]) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\n안녕 🙂<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_copy_of_smollm2s_template_in_this_file_is_the_models_own(smollm2: Path) -> None:
    with smollm2.open("rb") as file:
        assert SMOLLM2.encode() in file.read(4 * 1024 * 1024)


def test_llamas_template_gets_its_bos_and_todays_date() -> None:
    text = prompt(LLAMA, ASKED, "<|begin_of_text|>")
    assert text == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday Date: 23 Nov 2026\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n안녕 🙂<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert starts_with_bos(text, "<|begin_of_text|>")
    assert not starts_with_bos(text, "<s>")
    assert not starts_with_bos(text, "")


def test_deepseeks_template_collects_the_system_prompt_and_opens_thinking() -> None:
    assert prompt(DEEPSEEK, ASKED, "<bos>") == "<bos>Be brief.<｜User｜>안녕 🙂<｜Assistant｜><think>\n"


def test_qwens_template_breaks_loops_cuts_old_thinking_and_takes_extras() -> None:
    turns = [Turn(USER, "1"), Turn(ASSISTANT, "<think>hm</think>\n\none"), Turn(USER, "2")]
    tool = {"name": "날씨", "description": "a < b & c"}
    assert prompt(QWEN, turns, tools=[tool], enable_thinking=False) == (
        '<|im_start|>system\n\n{"name": "날씨", "description": "a < b & c"}<|im_end|>\n'
        "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\none<|im_end|>\n<|im_start|>user\n2<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def test_without_the_generation_prompt_the_text_ends_with_the_last_turn() -> None:
    rendered = Templates().render(SMOLLM2, ASKED, clock_utc=CLOCK, add_generation_prompt=False)
    assert rendered.text.endswith("안녕 🙂<|im_end|>\n")


# Templates that refuse


def test_a_refused_system_message_goes_in_front_of_the_first_user_message() -> None:
    rendered = Templates().render(GEMMA, ASKED, clock_utc=CLOCK, bos_token="<bos>")
    assert rendered.text == "<bos><start_of_turn>user\nBe brief.\n\n안녕 🙂<end_of_turn>\n<start_of_turn>model\n"
    assert len(rendered.warnings) == 1
    assert "system" in rendered.warnings[0]


def test_a_template_that_wants_turns_by_turns_gets_neighbours_joined() -> None:
    rendered = Templates().render(MISTRAL, [*ASKED, Turn(USER, "hello?")], clock_utc=CLOCK, bos_token="<s>")
    assert rendered.text == "<s>[INST] Be brief.\n\n안녕 🙂\n\nhello?[/INST]"
    assert len(rendered.warnings) == 1
    assert "joined" in rendered.warnings[0]


def test_both_second_chances_together() -> None:
    rendered = Templates().render(GEMMA, [*ASKED, Turn(USER, "hello?")], clock_utc=CLOCK)
    assert "<start_of_turn>user\nBe brief.\n\n안녕 🙂\n\nhello?<end_of_turn>" in rendered.text
    assert len(rendered.warnings) == 2


def test_a_conversation_that_fits_is_rendered_without_a_warning() -> None:
    turns = [Turn(USER, "1"), Turn(ASSISTANT, "one"), Turn(USER, "2")]
    assert Templates().render(GEMMA, turns, clock_utc=CLOCK).warnings == ()


def test_a_template_that_raises_whatever_it_gets_says_so_in_its_own_words() -> None:
    error = fault_of("{{ 'a' }}\n\n{{ raise_exception('Only <tool> turns, please') }}")
    assert error.fault is TemplateFault.RAISED
    assert "Only <tool> turns, please" in error.trouble.what
    assert error.line == 3
    assert error.trouble.value == "line 3"


def test_a_system_message_that_a_template_leaves_out_is_a_warning() -> None:
    source = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
    warnings = Templates().render(source, ASKED, clock_utc=CLOCK).warnings
    assert warnings == ("This template leaves out the system message",)


# Errors


@pytest.mark.parametrize(
    ("source", "fault", "line"),
    [
        ("a\n{% for x %}", TemplateFault.SYNTAX, 2),
        ("\n\n{{ 'a' | no_such_filter }}", TemplateFault.SYNTAX, 3),
        ("{% if true %}", TemplateFault.SYNTAX, 1),
        ("a\n{{ messages[0].function.name }}", TemplateFault.UNDEFINED, 2),
        ("{{ 1 / 0 }}", TemplateFault.OTHER, 1),
        ("{{ 'a' + 1 }}", TemplateFault.OTHER, 1),
        ("{% include 'other' %}", TemplateFault.OTHER, 1),
        ("{% extends 'other' %}", TemplateFault.OTHER, 1),
        ("{{ strftime_now('%Y' * 200) }}", TemplateFault.OTHER, 1),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", TemplateFault.OTHER, None),
        ("{% for i in [1] %}" * 30 + "{% endfor %}" * 30, TemplateFault.SYNTAX, None),
        ("{# " + "x" * 1024 * 1024 + " #}", TemplateFault.TOO_LARGE, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_each_error_is_named_with_its_line(source: str, fault: TemplateFault, line: int | None) -> None:
    error = fault_of(source)
    assert (error.fault, error.line) == (fault, line)
    assert error.trouble.next_step


# What templates are given


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ strftime_now('%d %b %Y, %H:%M') }}", "23 Nov 2026, 09:05"),
        ("{{ strftime_now('%Y년') }}", "2026년"),
        ("{{ date_string }}", "23 Nov 2026"),
        ("{{ tools is none and documents is none }}", "True"),
        ("{{ {'a': '한글 <b>&\\'🙂'} | tojson }}", '{"a": "한글 <b>&\'🙂"}'),
        ("{{ {'a': [1]} | tojson(indent=2) }}", '{\n  "a": [\n    1\n  ]\n}'),
        ("{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}", '{"a":2,"b":1}'),
        ("{{ '한' | tojson(ensure_ascii=true) }}", '"\\ud55c"'),
        ("{% generation %}{{ 'said' }}{% endgeneration %}.", "said."),
        ("{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% if i == 3 %}{% break %}"
         "{% endif %}{% endfor %}", "023"),
        ("  {% if true %}\nx\n  {% endif %}\ny", "x\ny"),
        ("{% set ns = namespace(n=1) %}{% for i in range(3) %}{% set ns.n = ns.n * 2 %}{% endfor %}{{ ns.n }}", "8"),
        ("{{ bos_token }}|{{ eos_token }}|{{ add_generation_prompt }}", "<s>|</s>|True"),
    ],
)  # fmt: skip
def test_templates_have_the_usual_functions_filters_and_tags(source: str, text: str) -> None:
    assert prompt(source, ASKED, "<s>") == text


def test_extras_reach_the_template_and_replace_ours() -> None:
    source = "{{ date_string }} {{ enable_thinking }}"
    assert prompt(source, ASKED, date_string="today", enable_thinking=False) == "today False"


def test_the_same_template_gives_the_same_hash_and_another_another() -> None:
    templates = Templates()
    first = templates.render(SMOLLM2, ASKED, clock_utc=CLOCK)
    second = templates.render(SMOLLM2, [Turn(USER, "x")], clock_utc=CLOCK)
    assert first.source_hash == second.source_hash == source_hash(SMOLLM2)
    assert templates.render(GEMMA, ASKED, clock_utc=CLOCK).source_hash != first.source_hash


def test_many_templates_in_one_object_keep_apart() -> None:
    templates = Templates()
    for _ in range(2):
        for number in range(40):
            assert templates.render(f"{{{{ {number} }}}}", [], clock_utc=CLOCK).text == str(number)


def test_a_template_works_again_after_one_that_failed() -> None:
    templates = Templates()
    with pytest.raises(TemplateError):
        templates.render("{{ 'a' * 10**9 }}", ASKED, clock_utc=CLOCK)
    assert templates.render("{{ 'a' * 3 }}", [], clock_utc=CLOCK).text == "aaa"


def test_importing_the_room_does_not_import_jinja2() -> None:
    code = "import sys, engine.chat.template, engine.chat.stream, engine.chat.context; print('jinja2' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "False"


# Built-in templates and the choice


def test_chatml_writes_what_chatml_models_know() -> None:
    assert prompt(BUILT_IN["chatml"], ASKED) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n안녕 🙂<|im_end|>\n<|im_start|>assistant\n"
    )


def test_plain_writes_a_script_that_a_base_model_can_go_on_with() -> None:
    turns = [Turn(SYSTEM, "Be brief."), Turn(USER, "1 \n"), Turn(ASSISTANT, " one"), Turn(USER, "2")]
    assert prompt(BUILT_IN["plain"], turns) == "Be brief.\n\nUser: 1\nAssistant: one\nUser: 2\nAssistant:"


def test_the_models_own_template_is_chosen_when_it_has_one() -> None:
    chosen = choose(SMOLLM2)
    assert (chosen.origin, chosen.source, chosen.stops, chosen.warning) == (TemplateOrigin.MODEL, SMOLLM2, (), "")


def test_a_template_that_was_chosen_is_not_compiled_a_second_time() -> None:
    templates = Templates()
    assert choose(QWEN, templates=templates).origin is TemplateOrigin.MODEL
    n_before = len(templates._compiled)
    templates.render(QWEN, ASKED, clock_utc=CLOCK)
    assert len(templates._compiled) == n_before == 1


@pytest.mark.parametrize("source", [None, "", " \n"])
def test_a_model_without_a_template_gets_the_plain_one_with_its_stop_string_and_a_warning(source: str | None) -> None:
    chosen = choose(source)
    assert (chosen.origin, chosen.source, chosen.stops) == (TemplateOrigin.PLAIN, BUILT_IN["plain"], ("\nUser:",))
    assert "no chat template" in chosen.warning


def test_a_model_that_knows_chatmls_tokens_gets_chatml() -> None:
    chosen = choose(None, knows_chatml=True)
    assert (chosen.origin, chosen.stops) == (TemplateOrigin.CHATML, ("<|im_end|>",))


def test_a_broken_template_is_replaced_and_the_warning_says_where_it_broke() -> None:
    chosen = choose("{% for x %}")
    assert chosen.origin is TemplateOrigin.PLAIN
    assert "line 1" in chosen.warning


def test_a_built_in_template_is_chosen_by_name() -> None:
    assert choose("chatml").origin is TemplateOrigin.CHATML


# Lint


@pytest.mark.parametrize("source", [SMOLLM2, LLAMA, QWEN, DEEPSEEK, *BUILT_IN.values()], ids=lambda text: text[:20])
def test_good_templates_have_nothing_to_find(source: str) -> None:
    assert lint(source) == ()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a\n{% for x %}", "line 2"),
        ("{{ raise_exception('never') }}", "never"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "add_generation_prompt"),
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}{{ add_generation_prompt }}", "system"),
        (GEMMA, "system"),
        ("{{ bos_token }}" + GEMMA, "twice"),
        ("{{ bos_token }}<s>{{ messages[0].content }}", "twice"),
    ],
)
def test_lint_finds_what_is_wrong(source: str, words: str) -> None:
    assert any(words in sentence for sentence in lint(source))
