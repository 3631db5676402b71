"""From a chat completion back to the text that the model wrote, as its chat template would hold it.

Servers take the model's text apart: the thought goes into a field of its own, tool calls into another, and the stop
string that ended the message is dropped. An episode reads, and later turns show, the whole text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from drag_rl.policies.server.completion import Choice, Function, storable


def assistant_text(choice: Choice, stop: Sequence[str]) -> str:
    """The text of a choice of a chat completion: thought, content, tool calls, and the stop string that ended it.

    ``stop`` are the stop strings that the server was given. A thought after which nothing came stays open, as the
    model left it. What no encoding holds is replaced, so that the text can be written, and sent back.
    """
    message = choice.message
    reasoning = storable(message.reasoning or message.reasoning_content or "")
    text = storable(message.content or "")
    for call in message.tool_calls or ():
        text += ("\n" if text and not text.endswith("\n") else "") + storable(tool_call_text(call.function))
    if not message.tool_calls and choice.finish_reason != "length":
        # Within the message's last part, which is the thought when there is nothing else.
        tail = text or reasoning
        ending = _swallowed(tail, choice, stop)
        text, reasoning = (text + ending, reasoning) if text else (text, reasoning + ending)
    if not reasoning:
        return text
    return f"<think>{reasoning}</think>{text}" if text else f"<think>{reasoning}"


def tool_call_text(function: Function) -> str:
    """A tool call in the hermes form, from its name and its arguments (JSON text, kept as they came).

    >>> print(tool_call_text(Function(name="search", arguments='{"query": "a"}')))
    <tool_call>
    {"name": "search", "arguments": {"query": "a"}}
    </tool_call>
    """
    return f'<tool_call>\n{{"name": {json.dumps(function.name)}, "arguments": {function.arguments}}}\n</tool_call>'


def _swallowed(text: str, choice: Choice, stop: Sequence[str]) -> str:
    """The stop string that ended the message, unless the text has it.

    vLLM names it in ``stop_reason``; from another server it is inferred: what closes the tag that is open at the end.
    """
    if choice.tells_stop:
        named = choice.stop_reason
        return named if isinstance(named, str) and named in stop and not text.endswith(named) else ""
    names = "|".join(re.escape(ending.removeprefix("</").removesuffix(">")) for ending in stop)
    tags: list[str] = re.findall(f"</?(?:{names})>", text.rpartition("</think>")[2]) if stop else []
    ending = tags[-1].replace("<", "</") if tags else ""
    return ending if ending in stop else ""
