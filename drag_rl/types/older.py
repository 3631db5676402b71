"""Records of older versions: they named a few options of the episode where its whole configuration stands now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONFIG_COLUMNS = ("top_k", "max_turns", "repeat_pages", "expand_question", "search_only")
"""What older records say of the configuration. Rows of ``trajectories.jsonl`` keep these columns for their readers."""


def config_of(record: Mapping[str, Any], name: str) -> Any:
    """The episode's configuration that a record holds under ``name``, or what its older columns say of it.

    Raises KeyError for a record that has neither, ValueError for a budget below 1, or for columns that contradict the
    configuration.

    >>> config_of({"top_k": 3, "max_turns": 2, "search_only": True}, "episode")
    {'top_k': 3, 'max_turns': 2, 'answer': False}
    """
    said = {option: record[option] for option in CONFIG_COLUMNS if option in record}
    for option in ("top_k", "max_turns"):
        if isinstance(said.get(option), int) and said[option] < 1:
            raise ValueError(f"{option} is {str(said[option])[:20]}, not 1 or more")
    whole = record.get(name)
    if whole is None:
        missing = next((option for option in ("top_k", "max_turns") if option not in said), None)
        if missing:
            raise KeyError(missing)
        if "search_only" in said:
            said["answer"] = not said.pop("search_only")
        return said
    for option, value in said.items() if isinstance(whole, Mapping) else ():
        if option in whole and whole[option] != value:
            raise ValueError(f"{option} is {str(value)[:20]}, but {name} says {str(whole[option])[:20]}")
    return whole


def with_config(outcome: Any) -> Any:
    """The fields of an outcome, with its configuration whole; anything else as it is."""
    if not isinstance(outcome, Mapping) or "top_k" not in outcome:
        return outcome
    rest = {name: value for name, value in outcome.items() if name not in CONFIG_COLUMNS}
    try:
        return rest | {"config": config_of(outcome, "config")}
    except KeyError as error:
        raise ValueError(f"has no {error}") from None
