"""The opening of an episode: system prompt, worked examples, and the user's question."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from drag_rl.episode.neutral import neutralise
from drag_rl.episode.observation import Message, Observation
from drag_rl.episode.shots import SHOTS, Shot
from drag_rl.errors import InputError
from drag_rl.protocol import EpisodeConfig
from drag_rl.types import Question

PROMPTS_DIR = Path(__file__).parent / "prompts"
BUILT_IN = ("xml", "tools", "brief")
"""Templates of ``PROMPTS_DIR`` that ``system_prompt`` may name."""


def opening_messages(question: Question, config: EpisodeConfig) -> list[Message]:
    """System prompt, ``config.shots`` example dialogues, and the question, its own images before its text.

    Raises InputError when the configured system prompt cannot be read or rendered.
    """
    scoped = question.searched_in(config.scope) is not None
    messages: list[Message] = [{"role": "system", "content": system_prompt(config, one_document=scoped)}]
    for shot in SHOTS[len(SHOTS) - config.shots :]:
        messages += _shot_messages(shot, config)
    text = neutralise(question.text)
    if question.images:
        images = [{"type": "image", "path": path} for path in question.images]
        return [*messages, {"role": "user", "content": [*images, {"type": "text", "text": text}]}]
    return [*messages, {"role": "user", "content": text}]


def system_prompt(config: EpisodeConfig, *, one_document: bool = False) -> str:
    """The system prompt, rendered from its template with the fields of the configuration.

    ``one_document`` says that all searches stay in the document that the question is asked of.
    """
    return _render(template_path(config), config, one_document)


def template_path(config: EpisodeConfig) -> Path:
    """The template of the system prompt: a built-in one by its name, or the user's file."""
    name = config.system_prompt or config.action_format
    return PROMPTS_DIR / f"{name}.jinja" if name in BUILT_IN else Path(name)


def last_turn_note(turn: int, config: EpisodeConfig) -> str:
    """The warning that closes the observation of the given 1-based turn when only one more turn is left, else empty."""
    if config.search_only or turn != config.max_turns - 1:
        return ""
    if not config.enough:
        how = (
            "write your <answer> now."
            if config.action_format == "xml"
            else "answer now, without a tool call."
        )
    elif config.action_format == "xml":
        how = f"write your {'<answer> or ' if config.answer else ''}<enough> now."
    else:
        how = f"{'answer now, without a tool call, or ' if config.answer else ''}call the enough tool now."
    return f"This is your last turn: {how}"


def how_to_act(config: EpisodeConfig) -> str:
    """What a policy is told to do whose message was no action."""
    answer, enough = config.answer_asked, config.enough
    if config.action_format == "xml":
        others = ["one <answer>text</answer>"] * answer + ["one <enough>[page ids]</enough>"] * enough
        if not config.show_page_ids:
            others = [other.replace("page ids", "numbers") for other in others]
        return f"Write {' or '.join(['one <search>keywords</search>', *others])}."
    others = ["or write the answer"] * answer + ["or call the enough tool"] * enough
    return f"{', '.join(['Call the search tool once', *others])}."


def tool_schemas(config: EpisodeConfig) -> list[Message] | None:
    """The OpenAI function schemas of native tool calls; None when actions are tags."""
    if config.action_format == "xml":
        return None
    own = " The question's own words are searched with them." if config.expand_question else ""
    name, several = "query", ""
    query: dict[str, Any] = {"type": "string", "description": f"A few keywords.{own}"}
    if config.queries_per_turn > 1:
        name, several = "queries", f" that {config.queries_per_turn} queries or fewer find together"
        query = {"type": "array", "items": query, "minItems": 1, "maxItems": config.queries_per_turn}
    function = {
        "name": "search",
        "description": f"Keyword search over the pages; shows the best {config.top_k}{several}.",
        "parameters": {"type": "object", "properties": {name: query}, "required": [name]},
    }
    return [{"type": "function", "function": function}, *([_enough_schema(config)] if config.enough else [])]


def _enough_schema(config: EpisodeConfig) -> Message:
    page = {
        "type": "string",
        "description": f"A page's {'id' if config.show_page_ids else 'number'}, as shown.",
    }
    function = {
        "name": "enough",
        "description": "Ends the search: what was shown is enough. Names the pages that matter.",
        "parameters": {
            "type": "object",
            "properties": {"pages": {"type": "array", "items": page}},
            "required": ["pages"],
        },
    }
    return {"type": "function", "function": function}


@lru_cache(maxsize=64)
def _render(path: Path, config: EpisodeConfig, one_document: bool) -> str:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)
    try:
        return (
            environment.from_string(path.read_text(encoding="utf-8"))
            .render(
                config.model_dump(),
                search_only=config.search_only,
                search_turns=config.search_turns,
                answer_asked=config.answer_asked,
                enough=config.enough and config.max_turns > 1,
                one_document=one_document,
            )
            .strip()
        )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"system_prompt: cannot read {path}: {error}") from None
    except TemplateError as error:
        raise InputError(f"system_prompt: {path} is no valid template: {error}") from None


def _shot_messages(shot: Shot, config: EpisodeConfig) -> list[Message]:
    messages: list[Message] = [{"role": "user", "content": shot.question}]
    tools = config.action_format == "tools"
    searches = shot.shown(config.search_turns, repeat_pages=config.repeat_pages)
    names: dict[str, str] = {}
    for turn, search in enumerate(searches, start=1):
        messages.append(
            {"role": "assistant", "content": action_text(search.thought, "search", search.query, config)}
        )
        if config.search_only and turn == len(searches):
            return messages
        observation = Observation(
            hits=search.hits[: config.top_k],
            note=last_turn_note(turn, config),
            role="tool" if tools else "user",
            wrap=not tools,
            snippet_chars=config.snippet_chars,
            show_page_ids=config.show_page_ids,
            numbered_from=len(names) if config.enough and not config.show_page_ids else 0,
        )
        names |= {page_id: name for name, page_id in observation.names.items()}
        messages.append(observation.message)
    if config.enough and (not config.answer or shot is SHOTS[-2]):  # of several examples, one of the two ends
        name = names[shot.cited]
        last = action_text(shot.conclusion.replace(shot.cited, name), "enough", name, config)
    else:
        answer = f"[{shot.cited}]" if config.citations else shot.answer
        last = action_text(shot.conclusion, "answer", answer, config)
    return [*messages, {"role": "assistant", "content": last}]


def action_text(
    thought: str, action: Literal["search", "answer", "enough"], text: str, config: EpisodeConfig
) -> str:
    """An assistant message of one action, as ``parse_action`` reads it, without the thought if none is asked for.

    Each line of a search's text is a query, where the episode allows several; each line of ``enough``'s is a page, by
    what it was shown as.
    """
    before = f"<think>{thought}</think>" if config.think else ""
    if config.action_format == "xml":
        text = f"[{'; '.join(text.splitlines())}]" if action == "enough" and text else text
        return f"{before}<{action}>{text}</{action}>"
    if action == "answer":
        return before + text
    arguments: dict[str, Any] = (
        {"query": text} if config.queries_per_turn == 1 else {"queries": text.split("\n")}
    )
    if action == "enough":
        arguments = {"pages": text.splitlines()}
    call: dict[str, Any] = {"name": action, "arguments": arguments}
    return f"{before}<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"
