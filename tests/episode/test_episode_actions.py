"""The parser is total and strict; its doctests are the specification, these are its laws."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.episode.actions import citations_in, parse_action
from drag_rl.types import Answer, Malformed, Search

PIECES = [
    *(
        "<think>",
        "</think>",
        "<search>",
        "</search>",
        "<answer>",
        "</answer>",
        "<information>",
        "</information>",
    ),
    *(
        "<tool_call>",
        "</tool_call>",
        '{"name": "search", "arguments": {"query": "a"}}',
        "[",
        "{",
        "words",
        " ",
        "\n",
    ),
]
messy = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join)
formats = st.sampled_from(["xml", "tools"])
plain = st.text(st.characters(exclude_categories=["C"], exclude_characters="<>"), min_size=1).filter(
    str.strip
)


@given(messy, formats, st.booleans())
def test_every_text_is_exactly_one_action(text, action_format, complete):
    action = parse_action(text, action_format, complete=complete, max_query_chars=20)
    if isinstance(action, Search):
        assert 0 < len(action.query) <= 20
        assert action.query == " ".join(action.query.split())
    elif isinstance(action, Answer):
        assert action.text.strip()
    else:
        assert action.reason


@given(plain, plain, st.booleans())
def test_a_search_survives_the_round_trip(query, thought, swallowed):
    text = f"<think>{thought}</think>\n<search>{query}{'' if swallowed else '</search>'}"
    assert parse_action(text, "xml") == Search(query=" ".join(query.split()), thought=thought.strip())


@given(plain)
def test_both_formats_read_the_same_query(query):
    call = json.dumps({"name": "search", "arguments": {"query": query}})
    as_call = parse_action(f"<tool_call>\n{call}\n</tool_call>", "tools")
    assert as_call == parse_action(f"<search>{query}</search>", "xml")


@given(messy)
def test_what_stands_in_a_thought_never_acts(inner):
    inner = inner.replace("</think>", "")
    assert isinstance(parse_action(f"<think>{inner}", "xml"), Malformed)
    action = parse_action(f"<think>{inner}</think><search>real</search>", "xml")
    assert isinstance(action, Malformed) or action.query == "real"


@given(messy, formats)
def test_a_message_with_a_control_token_never_acts(text, action_format):
    assert isinstance(parse_action(text + "<|image_pad|>", action_format), Malformed)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        '{"name": "search"}',
        '{"name": "search", "arguments": "{}"}',
        '{"name": "search", "arguments": {"query": 3}}',
        '{"name": "search", "arguments": {"query": " "}}',
        '{"name": "search", "arguments": {"query": "a"}} {"name": "search"}',
        '{"name": "Search", "arguments": {"query": "a"}}',
        '{"name": ["search"], "arguments": {"query": "a"}}',
    ],
)
def test_a_broken_tool_call_is_malformed(body):
    assert isinstance(parse_action(f"<tool_call>{body}</tool_call>", "tools"), Malformed)


def test_a_reason_stays_short_however_many_tags_there_are():
    action = parse_action("<search>" * 10_000, "xml")
    assert isinstance(action, Malformed) and len(action.reason) < 150


def test_two_tool_calls_are_malformed():
    call = '<tool_call>{"name": "search", "arguments": {"query": "a"}}</tool_call>'
    assert isinstance(parse_action(call + call, "tools"), Malformed)


def test_a_query_holds_no_control_characters_or_lone_surrogates():
    call = r'<tool_call>{"name": "search", "arguments": {"query": "a\u0000b\ud800c"}}</tool_call>'
    action = parse_action(call, "tools")
    assert isinstance(action, Search)
    assert action.query == "a b c"


@pytest.mark.parametrize(
    "text", ["<search>", "<search> \n</search>", "<answer></answer>", "", " ", "<answer><search>a"]
)
def test_an_empty_or_nested_action_is_malformed(text):
    assert isinstance(parse_action(text, "xml"), Malformed)


def test_the_length_limit_spares_a_complete_action_only():
    assert isinstance(parse_action("<search>a</search> and th", "xml", complete=False), Search)
    assert isinstance(parse_action("<search>a</sear", "xml", complete=False), Malformed)
    assert isinstance(parse_action("Use mer", "tools", complete=False), Malformed)


@given(
    st.lists(
        st.from_regex(r"[A-Za-z][A-Za-z0-9 ._/-]{0,12}#[0-9]{1,4}", fullmatch=True).map(str.strip), max_size=5
    )
)
def test_cited_pages_are_found_in_order_without_repeats(page_ids):
    expected = tuple(dict.fromkeys(page_ids))
    assert citations_in(" ".join(f"x [{page_id}]." for page_id in page_ids)) == expected
    assert citations_in(f"[{'; '.join(page_ids)}]") == expected
