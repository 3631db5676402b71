"""The message that says that there is enough: which pages it names, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from drag_rl.citations import citations_in
from drag_rl.episode.observation import shown_as
from drag_rl.episode.prompt import action_text
from drag_rl.protocol import EpisodeConfig
from drag_rl.types import Turn

UNKNOWN_CHARS = 80
"""Characters that are kept of a text that names no page."""
_NUMBER = re.compile(r"[0-9]{1,6}")


def pages_kept(written: Sequence[str], shown: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The page ids that some texts name and that were shown, then what else they name; each in order, once.

    ``shown`` are the page ids by what they were shown as: a page id, or a number where page ids are not shown.

    >>> pages_kept(["[R-data#12, made-up#1]", "R-data#12"], {"R-data#12": "R-data#12"})
    (('R-data#12',), ('made-up#1',))
    >>> pages_kept(["[2; 7]"], {"1": "R-FAQ#3", "2": "R-data#12"})
    (('R-data#12',), ('7',))
    >>> pages_kept(["R-FAQ#3\\nall of them"], {"R-FAQ#3": "R-FAQ#3"}), pages_kept(["none", ""], {})
    ((('R-FAQ#3',), ()), ((), ('none',)))
    """
    names = dict.fromkeys(name for text in written for name in _names(text, shown))
    known = set(shown.values())
    return tuple(name for name in names if name in known), tuple(name for name in names if name not in known)


def _names(text: str, shown: Mapping[str, str]) -> tuple[str, ...]:
    """The pages that a text names: in brackets, else separated by commas, semicolons or lines, else by numbers."""
    text = text.strip()
    if text in shown:
        return (shown[text],)
    page_ids = {name: page_id for name, page_id in shown.items() if "#" in name}
    listed = "; ".join(text.splitlines())
    numbers = tuple(shown.get(number, number) for number in _NUMBER.findall(text))
    return (
        citations_in(text, page_ids)
        or citations_in(f"[{listed}]", page_ids)
        or numbers
        or ((text[:UNKNOWN_CHARS],) if text else ())
    )


def enough_text(thought: str, page_ids: Sequence[str], turns: Sequence[Turn], config: EpisodeConfig) -> str:
    """A message that ends an episode of these turns by naming pages that they showed, by their names there."""
    shown = [page_id for turn in turns for page_id in turn.shown_page_ids]
    names = (
        shown_as(page_id) if config.show_page_ids else str(shown.index(page_id) + 1) for page_id in page_ids
    )
    return action_text(thought, "enough", "\n".join(names), config)
