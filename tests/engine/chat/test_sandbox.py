"""Hostile templates: they end in time, take little memory and reach nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.chat.parts import Role, Turn
from engine.chat.template import TemplateError, TemplateFault, Templates

CLOCK = datetime(2026, 11, 23, tzinfo=UTC)
TURNS = (Turn(Role.SYSTEM, "Be brief."), Turn(Role.USER, "안녕 🙂"))

DOUBLING = "{% set ns = namespace(a=START, b=START) %}{% for i in range(60) %}STEP{% endfor %}END"


def doubling(start: str, step: str, end: str) -> str:
    return DOUBLING.replace("START", start).replace("STEP", step).replace("END", end)


def fault_of(source: str, deadline_s: float = 10.0) -> TemplateFault:
    with pytest.raises(TemplateError) as caught:
        Templates().render(source, TURNS, clock_utc=CLOCK, deadline_s=deadline_s)
    return caught.value.fault


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}"
        "{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% set x = range(99999) | map('string') | list %}{% endfor %}",
        "{% for a in range(99999) %}{% set x = range(99999) | select('equalto', 1) | list %}{% endfor %}",
        "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% for n in [1, 2] recursive %}{{ loop([1, 2]) if loop.depth < 60 }}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% continue %}{% endfor %}{% endfor %}",
    ],
    ids=["loops", "filtered loop", "map", "select", "recursion", "recursive loop", "continue"],
)
def test_a_template_that_never_ends_is_ended_in_time(source: str) -> None:
    began_s = time.monotonic()
    assert fault_of(source, deadline_s=0.2) is TemplateFault.DEADLINE
    assert time.monotonic() - began_s < 5.0


def test_the_deadline_is_kept_by_the_clock_that_was_given() -> None:
    ticks = iter(range(1000))
    templates = Templates(now_s=lambda: float(next(ticks)))
    with pytest.raises(TemplateError) as caught:
        templates.render("{% for i in range(500) %}{% endfor %}", TURNS, clock_utc=CLOCK, deadline_s=100.0)
    assert caught.value.fault is TemplateFault.DEADLINE
    assert 100 <= next(ticks) <= 110


def test_a_macro_that_calls_itself_without_end_is_an_error() -> None:
    assert fault_of("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}") is TemplateFault.OTHER


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * 'a' }}",
        "{{ [1] * 10**9 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{% set ns = namespace(n=3) %}{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a'.center(1000000000) }}",
        "{{ 'a'.ljust(width) }}",
        "{{ 'a'.zfill(1000000000) }}",
        "{{ ('\\t' * 10000).expandtabs(10000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%(a)1000000000d' % {'a': 1} }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%.1000000000f' | format(1.5) }}",
        "{{ '{:1000000000}'.format('a') }}",
        "{{ '{:{}}'.format('a', 1000000000) }}",
        "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
        "{{ ('%s' * 10000) % (('a' * 10000,) * 10000) }}",
        "{{ ('{0}' * 10000).format('a' * 100000) }}",
        "{{ ('a' * 10000) | replace('a', 'b' * 10000) }}",
        "{{ ('a' * 10000).replace('a', 'b' * 10000) }}",
        "{{ ('a\\n' * 1000000) | indent(1000) }}",
        "{{ ('a\\n' * 1000000) | indent('b' * 1000) }}",
        "{{ (['a' * 1000000] * 1000) | join }}",
        "{{ ([1] * 1000) | join('a' * 1000000) }}",
        "{{ ''.join(['a' * 1000000] * 1000) }}",
        "{{ ('a' * 1000000).join(['b'] * 1000) }}",
        "{{ (['a' * 1000000] * 1000) | string }}",
        "{{ (['a' * 1000000] * 1000) | tojson }}",
        "{{ ['a' * 1000000] * 1000 }}",
        "{{ [{'a': 1}] | tojson(indent=1000000000) }}",
        "{{ [1] | batch(1000000000, 0) | list }}",
        "{{ [1] | slice(1000000000) | list }}",
        "{{ 1 | round(1000000000, 'floor') }}",
        "{{ ('한' * 16000000) | list }}",
        "{{ ('한 ' * 8000000).split() }}",
        "{% for i in range(99999) %}{{ 'a' * 10000 }}{% endfor %}",
        "{% for i in range(99999) %}{{ '한' * 1000 }}{% endfor %}",
        "{% set x %}{% for i in range(99999) %}{{ 'a' * 10000 }}{% endfor %}{% endset %}",
        "{% set ns = namespace(l=[], s='a' * 1000000) %}{% for i in range(99999) %}{% set ns.l = ns.l + [ns.s[i:]] %}"
        "{% endfor %}",
        doubling("'a'", "{% set ns.a = ns.a + ns.a %}", ""),
        doubling("'a'", "{% set ns.a = ns.a ~ ns.a %}", ""),
        doubling("'a'", "{% set x %}{{ ns.a }}{{ ns.a }}{% endset %}{% set ns.a = x %}", ""),
        doubling("'a'", "{% set ns.a = '%s%s' % (ns.a, ns.a) %}", ""),
        doubling("'a'", "{% set ns.a = [ns.a, ns.a] | join %}", ""),
        doubling("[1]", "{% set ns.a = ns.a + ns.a %}", ""),
        doubling("[1]", "{% set ns.a = [ns.a, ns.a] | sum(start=[]) %}", ""),
        doubling("[1]", "{% set ns.a = [ns.a, ns.a] %}", "{{ ns.a }}"),
        doubling("[1]", "{% set ns.a = [ns.a, ns.a] %}", "{{ ns.a | tojson }}"),
        doubling("[1]", "{% set ns.a = [ns.a, ns.a] %}", "{{ ns }}"),
        doubling("[1]", "{% set ns.a = [ns.a, ns.a] %}", "{{ '{!r}'.format(ns.a) }}"),
        doubling("[1]", "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}", "{{ ns.a == ns.b }}"),
        doubling("[1]", "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}", "{{ ns.a is eq(ns.b) }}"),
        doubling("(1,)", "{% set ns.a = (ns.a, ns.a) %}", "{{ {ns.a: 1} }}"),
        doubling("(1,)", "{% set ns.a = (ns.a, ns.a) %}", "{{ {}[ns.a] }}"),
        doubling("(1,)", "{% set ns.a = (ns.a, ns.a) %}", "{{ {}.get(ns.a) }}"),
        doubling("(1,)", "{% set ns.a = (ns.a, ns.a) %}", "{{ dict([(ns.a, 1)]) }}"),
        "{% set ns = namespace(a=1) %}{% set ns.a = [ns] %}{{ ns.a }}",
    ],
)
def test_a_memory_bomb_does_not_go_off(source: str) -> None:
    turns = [Turn(Role.USER, "x")]
    with pytest.raises(TemplateError) as caught:
        Templates().render(source, turns, clock_utc=CLOCK, deadline_s=20.0, extras={"width": 10**9})
    assert caught.value.fault is TemplateFault.TOO_LARGE
    assert caught.value.trouble.details.startswith("TooLarge")  # our limit, not the computer's


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__']['__mro__'] }}",
        "{{ (messages | attr('__class__')).mro() }}",
        "{{ messages | map(attribute='__class__.__mro__') | list | first | first }}",
        "{{ raise_exception.__globals__['sys'] }}",
        "{{ strftime_now.__closure__[0] }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ self.__init__.__globals__ }}",
        "{{ '{0.__class__.__mro__}'.format(1) }}",
        "{{ '{a.__class__.__mro__}'.format_map({'a': 1}) }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'system'}) }}",
        "{{ messages.pop() }}",
        "{{ 'a'.encode().center(10) }}",
        "{{ 'a'.translate({97: 'b'}) }}",
        "{{ (1).to_bytes(1000000000, 'big') }}",
        "{{ dict.fromkeys([1]) }}",
    ],
)
def test_a_way_out_of_the_sandbox_is_closed(source: str) -> None:
    assert fault_of(source) is TemplateFault.SECURITY


@pytest.mark.parametrize("source", ["{{ environment.tick() }}", "{{ budget.spend(1) }}", "{{ lipsum() }}"])
def test_the_sandboxs_own_names_are_not_in_reach(source: str) -> None:
    assert fault_of(source) is TemplateFault.UNDEFINED


@pytest.mark.parametrize(
    "source",
    [
        "{{ [3, 1, 2] | sort | join('-') }} {{ [1, 2] | sum }} {{ [[1], [2]] | sum(start=[]) }}",
        "{{ messages | map(attribute='role') | join(', ') }} {{ messages | join('+', attribute='role') }}",
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | first }}",
        "{{ 'abcdef'[::-1] }} {{ 'abcdef'[1:4] }} {{ messages[1:] | length }} {{ 'abc'[-1] }} {{ 'abc'[:none] }}",
        "{{ 'a' ~ 1 ~ none ~ true ~ [1, 'x'] ~ missing }}",
        "{{ 1 < 2 <= 2 != 3 }} {{ 'b' in 'abc' }} {{ 'x' not in ['a'] }} {{ [1, [2]] == [1, [2]] }} {{ () == [] }}",
        "{{ 7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 1 / 4 }} {{ 'ab' * 3 }} {{ [0] * 2 }} {{ 0.1 + 0.2 }}",
        "{{ '%s is %05.1f%%' % ('x', 2) }} {{ '%(a)s' % {'a': '한'} }} {{ '%s-%s' | format(1, [2]) }}",
        "{{ '{:>6}|{x!r}|{0[0]}'.format('ab', x='한') }} {{ '{a}'.format_map({'a': 1}) }}",
        "{{ ' x '.strip() }} {{ 'a,b'.split(',') }} {{ 'a b'.split() }} {{ 'a\\tb'.expandtabs(4) }}",
        "{{ 'aXbX'.replace('X', '--') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ '-'.join(range(3) | map('string')) }}",
        "{{ 'a\\nb' | indent }} {{ 'a\\nb' | indent(2, true) }} {{ 'a\\nb' | indent('> ') }} {{ 'x' | center(5) }}",
        "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{{ loop.last }}{% endfor %}",
        "{% for x in range(6) if x is odd %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% else %}none{% endfor %}",
        "{% for x in [] %}x{% else %}empty{% endfor %}{% for x in [1] if x > 1 %}x{% else %}filtered{% endfor %}",
        "{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}",
        "{% macro f(a, b=2) %}{{ a ~ b }}{{ caller() if caller }}{% endmacro %}{{ f(1) }}{% call f(3) %}c{% endcall %}",
        "{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}{% filter title %}some words{% endfilter %}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
        "{{ messages[0]['content'] | trim | length }} {{ messages[-1].content }} {{ missing is defined }}",
        "{{ {'b': 1, 'a': [2]} }} {{ ['x', 1.5, none] }} {{ ('a',) }} {{ {'a': 1}.get('z', 'no') }} {{ true }}",
        "{{ [1, 2, 3] | batch(2) | list }} {{ [1, 2, 3] | slice(2) | list }} {{ 2.567 | round(1) }} {{ '7' | int }}",
        "{{ [1, 1, 2] | unique | list }} {{ messages | groupby('role') | length }} {{ {'a': 1} | dictsort }}",
        "{{ cycler('a', 'b').next() }}{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b {{ dict(a=1) }} {{ 'a<b' | e }}",
    ],
)
def test_the_guards_change_nothing_of_what_a_harmless_template_says(source: str) -> None:
    messages = [{"role": turn.role.value, "content": turn.content} for turn in TURNS]
    plain = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    assert Templates().render(source, TURNS, clock_utc=CLOCK).text == plain.from_string(source).render(
        messages=messages
    )


def test_a_long_conversation_is_rendered_quickly() -> None:
    source = "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] | trim ~ '\n' }}{% endfor %}"
    turns = [Turn(Role.USER if n % 2 == 0 else Role.ASSISTANT, f"{n} " + "말 " * 500) for n in range(1000)]
    rendered = Templates().render(source, turns, clock_utc=CLOCK)
    assert rendered.text.count("\n") == 1000
    assert rendered.warnings == ()
