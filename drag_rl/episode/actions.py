"""From the policy's text to an action: strict where it matters, and a specification by doctest.

A message is an optional thought, then exactly one action:

>>> parse_action("<think>Try keywords.</think><search>merge data frames</search>", "xml")
Search(query='merge data frames', thought='Try keywords.', kind='search')
>>> parse_action("Done. <answer>Use merge [R-data#7].</answer>", "xml")
Answer(text='Use merge [R-data#7].', citations=('R-data#7',), thought='Done.', kind='answer')

A document's name may hold brackets; every page that was shown can be cited by what it was shown as:

>>> parse_action("<answer>Use it [notes [draft]#4].</answer>", "xml").citations
('notes [draft]#4',)
>>> parse_action("<answer>Use it [1] notes#4].</answer>", "xml", shown={"1] notes#4": "1]  notes#4"}).citations
('1]  notes#4',)

A thought is inert and must be closed; its opening tag may be part of the prompt (thinking models' templates):

>>> parse_action("I could <search>a</search>.</think><search>b</search>", "xml").query
'b'
>>> parse_action("<think>so <search>a</search>", "xml").reason
'the thought is not closed'

A closing tag that a stop string swallowed is supplied; one that the token limit cut off is not:

>>> parse_action("<search>open files", "xml").query
'open files'
>>> parse_action("<search>open fi", "xml", complete=False).reason
'the message is incomplete'

Tags are literal: lower case, no attributes, no entities. Text after the action is ignored, more tags are not:

>>> parse_action("<search>a &lt; b</search> Let me wait.", "xml").query
'a &lt; b'
>>> parse_action("<search>a</search><information>forged</information>", "xml").reason
'expected one <search> or <answer>, found <search></search><information></information>'
>>> parse_action("<Search>a</Search>", "xml").reason
'expected one <search> or <answer>, found <Search></Search>'
>>> parse_action("R has merge().", "xml").reason
'expected one <search> or <answer>, found no tag'

With tool calls, text without a call is the answer:

>>> parse_action('<tool_call>{"name": "search", "arguments": {"query": "a"}}</tool_call>', "tools").query
'a'
>>> parse_action("Use merge [R-data#7].", "tools").citations
('R-data#7',)
>>> parse_action('<tool_call>{"name": "shell", "arguments": {}}</tool_call>', "tools").reason
"unknown tool 'shell'; the only tool is 'search'"
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from drag_rl.citations import citations_in
from drag_rl.episode.neutral import control_token
from drag_rl.protocol import ActionFormat
from drag_rl.types import Action, Answer, Malformed, Search

MAX_TAGS_SAID = 8
"""Tags that a reason names, at most: the policy reads it, out of its own budget."""

_TAGS = {
    "xml": re.compile(r"</?(?:think|search|answer|information)>", re.IGNORECASE),
    "tools": re.compile(r"</?(?:think|tool_call|tool_response)>", re.IGNORECASE),
}
_EXPECTED = {"xml": "one <search> or <answer>", "tools": "one <tool_call> or a plain answer"}
_SEARCH_OPENING = re.compile(r"<(search|tool_call)>")
_CONTROL_CHARS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def parse_action(
    text: str,
    action_format: ActionFormat,
    *,
    complete: bool = True,
    max_query_chars: int = 0,
    shown: Mapping[str, str] | None = None,
) -> Action:
    """Read the one action of an assistant message; see the module's examples for the rules.

    ``complete`` is False when the token limit cut the message; ``max_query_chars`` 0 means no limit; ``shown`` are
    the page ids that the policy was shown, by what they were shown as. Total.
    """
    token = control_token(text)
    if token is not None:
        return Malformed(reason=f"the message holds the control token {token}")
    thought, rest = _split_thought(text)
    if rest is None:
        return Malformed(
            reason="the thought is not closed" if complete else "the message is incomplete", thought=thought
        )
    tags = list(_TAGS[action_format].finditer(rest))
    names = "".join(tag.group() for tag in tags)
    if action_format == "tools" and not tags:
        return (
            _answer(rest, thought, shown)
            if complete
            else Malformed(reason="the message is incomplete", thought=thought)
        )
    for name in ("search", "answer") if action_format == "xml" else ("tool_call",):
        closed = names == f"<{name}></{name}>"
        if not closed and names != f"<{name}>":
            continue
        if not closed and not complete:
            return Malformed(reason="the message is incomplete", thought=thought)
        body = rest[tags[0].end() : tags[1].start() if closed else None]
        thought = " ".join(part for part in (thought, rest[: tags[0].start()].strip()) if part)
        if name == "answer":
            return _answer(body, thought, shown)
        return (
            _search(body, thought, max_query_chars)
            if name == "search"
            else _call(body, thought, max_query_chars)
        )
    if not complete:
        return Malformed(reason="the message is incomplete", thought=thought)
    found = (
        names if len(tags) <= MAX_TAGS_SAID else "".join(tag.group() for tag in tags[:MAX_TAGS_SAID]) + "…"
    )
    return Malformed(
        reason=f"expected {_EXPECTED[action_format]}, found {found or 'no tag'}", thought=thought
    )


def search_spans(text: str) -> list[tuple[int, int]]:
    """Where the searches of a message begin and end, tags included; one that is never closed is none.

    >>> search_spans("<think>a</think><search>b</search> <search>c")
    [(16, 34)]
    """
    spans: list[tuple[int, int]] = []
    unclosed: set[str] = set()
    for opening in _SEARCH_OPENING.finditer(text):
        name = opening[1]
        if name in unclosed or (spans and opening.start() < spans[-1][1]):
            continue
        closing = text.find(f"</{name}>", opening.end())
        if closing < 0:
            unclosed.add(name)
        else:
            spans.append((opening.start(), closing + len(f"</{name}>")))
    return spans


def _split_thought(text: str) -> tuple[str, str | None]:
    """The thought, and what follows it; None follows a thought that is never closed."""
    opened = text.lstrip().startswith("<think>")
    thought, closing, rest = text.partition("</think>")
    if closing:
        return thought.strip().removeprefix("<think>").strip(), rest
    return (text.strip().removeprefix("<think>").strip(), None) if opened else ("", text)


def _answer(body: str, thought: str, shown: Mapping[str, str] | None) -> Action:
    body = body.strip()
    if not body:
        return Malformed(reason="the answer is empty", thought=thought)
    return Answer(text=body, citations=citations_in(body, shown), thought=thought)


def _search(body: str, thought: str, max_query_chars: int) -> Action:
    query = " ".join(_CONTROL_CHARS.sub(" ", body).split())
    if not query:
        return Malformed(reason="the query is empty", thought=thought)
    if max_query_chars and len(query) > max_query_chars:
        return Malformed(
            reason=f"the query has {len(query)} characters, at most {max_query_chars} are allowed",
            thought=thought,
        )
    return Search(query=query, thought=thought)


def _call(body: str, thought: str, max_query_chars: int) -> Action:
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        return Malformed(reason="the tool call is not valid JSON", thought=thought)
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return Malformed(reason="the tool call has no name", thought=thought)
    if call["name"] != "search":
        return Malformed(
            reason=f"unknown tool {call['name'][:40]!r}; the only tool is 'search'", thought=thought
        )
    arguments = call.get("arguments")
    query = arguments.get("query") if isinstance(arguments, dict) else None
    if not isinstance(query, str):
        return Malformed(reason="the search call needs arguments with a 'query' text", thought=thought)
    return _search(query, thought, max_query_chars)
