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

Where a search may hold several queries, each is a line, or one of a list; the same words twice are one query:

>>> parse_action("<search>\\nmerge frames\\njoin tables\\nframes merge</search>", "xml", queries_per_turn=2).queries
('merge frames', 'join tables')
>>> call = '<tool_call>{"name": "search", "arguments": {"queries": ["a", "b"]}}</tool_call>'
>>> parse_action(call, "tools", queries_per_turn=2).queries
('a', 'b')
>>> parse_action("<search>a\\nb\\nc</search>", "xml", queries_per_turn=2).reason
'the search has 3 queries, at most 2 are allowed'

Where the policy may say that it has enough, it names the pages that matter by what they were shown as:

>>> shown = {"R-FAQ#3": "R-FAQ#3", "R-data#12": "R-data#12"}
>>> parse_action("<enough>[R-data#12; R-FAQ#3]</enough>", "xml", enough=shown).pages
('R-data#12', 'R-FAQ#3')
>>> call = '<tool_call>{"name": "enough", "arguments": {"pages": ["R-FAQ#3", "made-up#1"]}}</tool_call>'
>>> parse_action(call, "tools", enough=shown)
Enough(pages=('R-FAQ#3',), unknown=('made-up#1',), thought='', kind='enough')
>>> parse_action("<enough>[R-FAQ#3]</enough>", "xml", shown=shown).reason
'expected one <search> or <answer>, found no tag'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from drag_rl.citations import citations_in
from drag_rl.episode.enough import pages_kept
from drag_rl.episode.neutral import control_token
from drag_rl.protocol import ActionFormat
from drag_rl.types import Action, Answer, Enough, Malformed, Search, query_key

MAX_TAGS_SAID = 8
"""Tags that a reason names, at most: the policy reads it, out of its own budget."""

_TAGS = {
    "xml": re.compile(r"</?(?:think|search|answer|information)>", re.IGNORECASE),
    "tools": re.compile(r"</?(?:think|tool_call|tool_response)>", re.IGNORECASE),
}
_TAGS_WITH_ENOUGH = re.compile(r"</?(?:think|search|answer|enough|information)>", re.IGNORECASE)
_EXPECTED = {"xml": "one <search> or <answer>", "tools": "one <tool_call> or a plain answer"}
_EXPECTED_WITH_ENOUGH = "one <search>, <answer> or <enough>"
_NO_PAGES = re.compile(r"<enough ?/>")
_SEARCH_OPENING = re.compile(r"<(search|enough|tool_call)>")
_CONTROL_CHARS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def parse_action(
    text: str,
    action_format: ActionFormat,
    *,
    complete: bool = True,
    max_query_chars: int = 0,
    queries_per_turn: int = 1,
    shown: Mapping[str, str] | None = None,
    enough: Mapping[str, str] | None = None,
) -> Action:
    """Read the one action of an assistant message; see the module's examples for the rules.

    ``complete`` is False when the token limit cut the message; ``max_query_chars``, of each query, 0 means no limit;
    ``shown`` are the page ids that the policy was shown, by what they were shown as; ``enough`` are those that it can
    name when it ends the episode, by their names there, and None where it cannot end it so. Total.
    """
    token = control_token(text)
    if token is not None:
        return Malformed(reason=f"the message holds the control token {token}")
    thought, rest = _split_thought(text)
    if rest is None:
        return Malformed(
            reason="the thought is not closed" if complete else "the message is incomplete", thought=thought
        )
    with_tag = enough is not None and action_format == "xml"
    if with_tag:
        rest = _NO_PAGES.sub("<enough></enough>", rest)
    tags = list((_TAGS_WITH_ENOUGH if with_tag else _TAGS[action_format]).finditer(rest))
    names = "".join(tag.group() for tag in tags)
    if action_format == "tools" and not tags:
        return (
            _answer(rest, thought, shown)
            if complete
            else Malformed(reason="the message is incomplete", thought=thought)
        )
    for name in ("search", "answer", "enough") if action_format == "xml" else ("tool_call",):
        closed = names == f"<{name}></{name}>"
        if not closed and names != f"<{name}>":
            continue
        if not closed and not complete:
            return Malformed(reason="the message is incomplete", thought=thought)
        body = rest[tags[0].end() : tags[1].start() if closed else None]
        thought = " ".join(part for part in (thought, rest[: tags[0].start()].strip()) if part)
        if name == "answer":
            return _answer(body, thought, shown)
        if name == "enough":
            return _enough([body], thought, enough or {})
        if name == "tool_call":
            return _call(body, thought, max_query_chars, queries_per_turn, enough)
        return _search(
            [body] if queries_per_turn == 1 else body.splitlines(), thought, max_query_chars, queries_per_turn
        )
    if not complete:
        return Malformed(reason="the message is incomplete", thought=thought)
    found = (
        names if len(tags) <= MAX_TAGS_SAID else "".join(tag.group() for tag in tags[:MAX_TAGS_SAID]) + "…"
    )
    expected = _EXPECTED_WITH_ENOUGH if with_tag else _EXPECTED[action_format]
    return Malformed(reason=f"expected {expected}, found {found or 'no tag'}", thought=thought)


def search_spans(text: str) -> list[tuple[int, int]]:
    """Where the searches of a message, or what ends them, begin and end, tags included; what is never closed is none.

    >>> search_spans("<think>a</think><search>b</search> <search>c"), search_spans("So <enough>[a#1]</enough>")
    ([(16, 34)], [(3, 25)])
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


def _search(written: Sequence[str], thought: str, max_query_chars: int, queries_per_turn: int) -> Action:
    queries: dict[tuple[str, ...], str] = {}
    for text in written:
        query = " ".join(_CONTROL_CHARS.sub(" ", text).split())
        if query:
            queries.setdefault(query_key(query), query)
    longest = max(map(len, queries.values()), default=0)
    if not queries:
        return Malformed(reason="the query is empty", thought=thought)
    if len(queries) > queries_per_turn:
        return Malformed(
            reason=f"the search has {len(queries)} queries, at most {queries_per_turn} are allowed",
            thought=thought,
        )
    if max_query_chars and longest > max_query_chars:
        return Malformed(
            reason=f"the query has {longest} characters, at most {max_query_chars} are allowed",
            thought=thought,
        )
    return Search(query="\n".join(queries.values()), thought=thought)


def _enough(written: Sequence[str], thought: str, named: Mapping[str, str]) -> Action:
    pages, unknown = pages_kept(written, named)
    return Enough(pages=pages, unknown=unknown, thought=thought)


def _call(
    body: str,
    thought: str,
    max_query_chars: int,
    queries_per_turn: int,
    enough: Mapping[str, str] | None,
) -> Action:
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        return Malformed(reason="the tool call is not valid JSON", thought=thought)
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return Malformed(reason="the tool call has no name", thought=thought)
    arguments = call.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    if call["name"] == "enough" and enough is not None:
        named = arguments.get("pages", [])
        if not isinstance(named, list) or not all(isinstance(page, str | int) for page in named):
            return Malformed(reason="the enough call needs arguments with a 'pages' list", thought=thought)
        return _enough([str(page) for page in named], thought, enough)
    if call["name"] != "search":
        tools = "the only tool is 'search'" if enough is None else "the tools are 'search' and 'enough'"
        return Malformed(reason=f"unknown tool {call['name'][:40]!r}; {tools}", thought=thought)
    wanted = "a 'query' text" if queries_per_turn == 1 else "a 'queries' list of texts"
    written = [arguments.get("query")] if queries_per_turn == 1 else arguments.get("queries")
    if not isinstance(written, list) or not all(isinstance(query, str) for query in written):
        return Malformed(reason=f"the search call needs arguments with {wanted}", thought=thought)
    return _search(written, thought, max_query_chars, queries_per_turn)
