"""Citations in an answer: page ids in square brackets, as in ``[R-FAQ#3]`` or ``[R-FAQ#3; R-data#12]``.

Read in one pass. A document's own name may hold brackets, as long as they are in pairs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_SIGN = re.compile(r"[\[\]\n]|(?P<number>#\d++)[^\S\n]*+(?:[,;]|(?=\]))")
"""A bracket, the end of a line, or the end of a page id: its number, before a separator or a closing bracket."""

_STAND_IN = re.compile("\0\\d+#0")
_ROUND = str.maketrans("[]", "()")
MOST_PASSES = 8
"""A text that still cites what was not shown after so many passes is made to provoke: it loses all its brackets."""
Span = tuple[int, int]


@dataclass(slots=True)
class _Group:
    """A bracket that was opened and not closed yet."""

    start: int
    """Offset of the bracket in the text."""
    id_start: int
    """Offset at which the next page id begins."""
    found_before: int
    """How many groups of page ids were found before it."""
    ids: list[Span] = field(default_factory=list)


def citation_groups(text: str) -> list[tuple[Span, tuple[str, ...]]]:
    """Each pair of brackets that holds page ids: where it stands, brackets included, and the ids.

    Of pairs within pairs the outermost that holds ids counts. A pair is closed on the line that opens it.

    >>> citation_groups("170 knots [ch47#42].")
    [((10, 19), ('ch47#42',))]
    """
    found: list[tuple[Span, list[Span]]] = []
    open_groups: list[_Group] = []
    for sign in _SIGN.finditer(text):
        if sign.group() == "\n":
            open_groups.clear()
        elif sign.group() == "[":
            open_groups.append(_Group(sign.start(), sign.end(), len(found)))
        elif not open_groups:
            continue
        elif sign.group() == "]":
            group = open_groups.pop()
            if group.ids:
                del found[group.found_before :]
                found.append(((group.start, sign.end()), group.ids))
        else:
            group = open_groups[-1]
            if text[group.id_start : sign.start()].strip():
                group.ids.append((group.id_start, sign.end("number")))
            group.id_start = sign.end()
    return [(place, tuple(text[start:end].strip() for start, end in ids)) for place, ids in found]


def citations_in(text: str, shown: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The page ids cited in square brackets, in order, without repeats.

    ``shown`` are pages by what they were shown as: these are found whatever their names hold.

    >>> citations_in("a [R-FAQ#3], b [x/y z#1; R-FAQ#3, R-data#12] and [1] or [#2]")
    ('R-FAQ#3', 'x/y z#1', 'R-data#12')
    >>> citations_in("see [notes [draft]#4] and [also [R-FAQ#3]]")
    ('notes [draft]#4', 'R-FAQ#3')
    >>> citations_in("see [a]b#1]"), citations_in("see [a]b#1]", {"a]b#1": "a]b#1"})
    ((), ('a]b#1',))
    """
    text, stand_ins = _with_stand_ins(text, shown or {})
    cited = (stand_ins.get(name, name) for _, ids in citation_groups(text) for name in ids)
    return tuple(dict.fromkeys((shown or {}).get(name, name) for name in cited))


def checked_citations(text: str, shown: Mapping[str, str]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The text without citations of pages that were not shown, the pages cited, and what else was cited and dropped.

    ``shown`` are the pages that may be cited, by what they were shown as.

    >>> checked_citations("170 knots [ch47#42; made-up#1] at sea [other#2].", {"ch47#42": "ch47#42"})
    ('170 knots [ch47#42] at sea.', ('ch47#42',), ('made-up#1', 'other#2'))
    >>> checked_citations("[[ch47#42]#1[[ch47#42]#1]]", {"ch47#42": "ch47#42"})
    ('', (), ('[ch47#42]#1',))
    """
    dropped: dict[str, None] = {}
    for _ in range(MOST_PASSES):  # where a pair within a pair is dropped, what is left may be another
        text, cited, more = _checked_once(text, shown)
        dropped |= dict.fromkeys(more)
        if not more:
            return text, cited, tuple(dropped)
    return text.translate(_ROUND), (), tuple(dropped)


def _checked_once(text: str, shown: Mapping[str, str]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    text, stand_ins = _with_stand_ins(text, shown)
    parts, end = [], 0
    cited: dict[str, None] = {}
    dropped: dict[str, None] = {}
    for (start, stop), ids in citation_groups(text):
        kept = [name for name in ids if stand_ins.get(name, name) in shown]
        cited |= dict.fromkeys(shown[stand_ins.get(name, name)] for name in kept)
        dropped |= dict.fromkeys(name for name in ids if name not in kept)
        before = text[end:start]
        parts.append(before if kept else before.rstrip(" "))
        parts.append(text[start:stop] if len(kept) == len(ids) else f"[{'; '.join(kept)}]" if kept else "")
        end = stop
    whole = "".join([*parts, text[end:]])
    return _STAND_IN.sub(lambda found: stand_ins[found.group()], whole), tuple(cited), tuple(dropped)


def _with_stand_ins(text: str, shown: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The text with a plain id for each page whose own name would break its brackets, and what stands for what."""
    stand_ins: dict[str, str] = {}
    text = text.replace("\0", " ")
    for name in sorted(shown, key=len, reverse=True):
        if [ids for _, ids in citation_groups(f"[{name}]")] != [(name,)]:
            stand_in = f"\0{len(stand_ins)}#0"
            stand_ins[stand_in] = name
            text = re.sub(rf"{re.escape(name)}(?!\d)", stand_in, text)
    return text, stand_ins


def without_citations(text: str) -> str:
    """The text without the brackets that hold page ids, on one line.

    >>> without_citations("170 knots [ch47#42] (see [1]).")
    '170 knots (see [1]).'
    """
    parts, end = [], 0
    for (start, stop), _ in citation_groups(text):
        parts.append(text[end:start])
        end = stop
    parts.append(text[end:])
    return " ".join("".join(parts).split())
