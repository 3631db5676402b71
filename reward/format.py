"""Credit for the form of messages.

All of these have weight 0 by default, and are best kept small: a policy can satisfy them without searching.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from drag_rl.types import Malformed, Outcome, Turn

_ACTION = re.compile(r"<(search|answer|tool_call)>")
_ACTION_WITH_ENOUGH = re.compile(r"<(search|answer|enough|tool_call)>")
_ONE_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "FULLWIDTH": "LATIN", "HALFWIDTH": "CJK"}


def format_score(outcome: Outcome) -> float:
    """The share of assistant messages that are an action, in [0, 1]; 0 without a message.

    A message that the token limit cut before its action was complete is no action.
    """
    turns = len(outcome.turns)
    return (turns - outcome.malformed) / turns if turns else 0.0


def one_action(outcome: Outcome) -> float:
    """The share of assistant messages that end with their one action, in [0, 1]; 0 without a message.

    Stricter than ``format``: text after the action, which the protocol ignores, does not count as one action.
    """
    tags = _ACTION_WITH_ENOUGH if outcome.config.enough else _ACTION
    ends = sum(_ends_with_its_action(turn, tags) for turn in outcome.turns)
    return ends / len(outcome.turns) if outcome.turns else 0.0


def think_language(outcome: Outcome) -> float:
    """The share of the thoughts' letters that are in a script of the question, in [0, 1].

    1 without a letter in the thoughts or in the question. A cheap guard of language: it sees a drift from English
    into Chinese, and none from English into French.
    """
    scripts = set(map(script_of, filter(str.isalpha, set(outcome.question.text))))
    letters = Counter[str]()
    for turn in outcome.turns:
        letters.update(turn.action.thought)
    total = kept = 0
    for letter, count in letters.items():
        if letter.isalpha():
            total += count
            kept += count * (script_of(letter) in scripts)
    return kept / total if total and scripts else 1.0


@lru_cache(maxsize=65536)
def script_of(letter: str) -> str:
    """The writing system of a letter; Chinese characters and Japanese kana count as one.

    >>> [script_of(letter) for letter in "aéЖ语か한"]
    ['LATIN', 'LATIN', 'CYRILLIC', 'CJK', 'CJK', 'HANGUL']
    """
    name = unicodedata.name(letter, "UNKNOWN").split(" ", 1)[0]
    return _ONE_SCRIPT.get(name, name)


def _ends_with_its_action(turn: Turn, actions: re.Pattern[str]) -> bool:
    if isinstance(turn.action, Malformed):
        return False
    rest = turn.text.rpartition("</think>")[2]
    tags = actions.findall(rest)
    return not tags or (len(tags) == 1 and not rest.partition(f"</{tags[0]}>")[2].strip())
