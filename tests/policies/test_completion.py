"""Laws of reading a reply: whatever the bytes, it is a completion, or one line says what it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.policies.server.completion import NoCompletion, NotJson, read_completion, storable
from drag_rl.policies.server.reply_text import assistant_text

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)  # half characters too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def mostly(strategy):
    """What a sound server sends there, or anything else."""
    return st.one_of(strategy, strategy, strategy, VALUES)


FUNCTIONS = st.fixed_dictionaries({"name": mostly(TEXTS), "arguments": mostly(TEXTS)})
CALLS = st.lists(mostly(st.fixed_dictionaries({"function": mostly(FUNCTIONS)})), max_size=2)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "content": mostly(st.none() | TEXTS),
        "reasoning": mostly(st.none() | TEXTS),
        "reasoning_content": mostly(TEXTS),
        "tool_calls": mostly(CALLS),
    },
)
CHOICES = st.fixed_dictionaries(
    {"message": mostly(MESSAGES)},
    optional={
        "finish_reason": mostly(st.sampled_from([None, "stop", "length", "tool_calls"])),
        "stop_reason": mostly(st.sampled_from([None, "</search>", 7])),
    },
)
USAGES = st.fixed_dictionaries({}, optional={"prompt_tokens": mostly(st.integers(0, 99))})
REPLIES = st.fixed_dictionaries(
    {"choices": mostly(st.lists(mostly(CHOICES), max_size=2))}, optional={"usage": mostly(USAGES)}
)


def read(body):
    """The text of a body's first choice, or None if it is no completion."""
    try:
        choice = read_completion(body).choices[0]
    except (NotJson, NoCompletion) as error:
        assert "\n" not in str(error) and len(str(error)) < 700
        return None
    return assistant_text(choice, ["</search>", "</answer>"])


@given(REPLIES)
def test_a_reply_is_read_or_refused_and_its_text_can_be_written(reply):
    text = read(json.dumps(reply).encode())
    assert text is None or text.encode().decode() == text


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body):
    read(body)


@given(TEXTS)
def test_what_can_be_stored_stays_as_it_is(text):
    stored = storable(text)
    assert len(stored) == len(text) and storable(stored) == stored
    assert stored == text or "\ufffd" in stored
    assert stored.encode().decode() == stored


@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting_is_no_completion(closed):
    body = b'{"choices": [{"message": ' + b'{"content": ' * 50_000
    with pytest.raises(NotJson):
        read_completion(body + (b"1" + b"}" * 50_002 + b"]}" if closed else b""))
