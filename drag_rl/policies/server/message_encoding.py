"""An episode's messages as an OpenAI-compatible server takes them: page images become data URLs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drag_rl.episode import Message
from drag_rl.errors import InputError
from drag_rl.image_file import open_image
from drag_rl.policies.server.completion import storable

if TYPE_CHECKING:
    from drag_rl.corpus.images import PageImages

_MIME = {"PNG": "image/png", "JPEG": "image/jpeg"}
"""Formats that every server reads; images in others are sent as PNG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEncoding:
    """How messages are put to a server."""

    pages: PageImages | None = None
    """Where page images come from; None refuses observations that hold one."""
    structured_calls: bool = False
    """Whether tool calls are sent as ``tool_calls`` and answers with their ``tool_call_id``, as OpenAI demands.
    Without it the text is sent as the model wrote it, which keeps the prompt the one of training."""

    def messages(self, messages: Sequence[Message]) -> list[Message]:
        """The messages to send. Raises InputError for an image that is missing or cannot be read."""
        sent = [self._with_images(message) for message in messages]
        return _structured(sent) if self.structured_calls else sent

    def _with_images(self, message: Message) -> Message:
        if isinstance(message["content"], str):
            return message
        return {**message, "content": [self._part(part) for part in message["content"]]}

    def _part(self, part: Message) -> Message:
        if part["type"] != "image":
            return part
        if "path" in part:
            path = Path(part["path"])
        elif self.pages is None:
            raise InputError("observations hold page images: name the folder of pages with --pages")
        else:
            path = self.pages.shown_path(part["page_id"])
        return {"type": "image_url", "image_url": {"url": data_url(path)}}


def data_url(path: Path) -> str:
    """An image file as a data URL, PNG and JPEG files byte by byte, others as PNG. Raises InputError."""
    with open_image(path) as image:
        kind = image.format or ""
        if kind in _MIME:
            content = path.read_bytes()
        else:
            kind, buffer = "PNG", io.BytesIO()
            image.convert("RGB").save(buffer, format=kind)
            content = buffer.getvalue()
    return f"data:{_MIME[kind]};base64,{base64.b64encode(content).decode('ascii')}"


def _structured(messages: Sequence[Message]) -> list[Message]:
    """The messages with each tool call in ``tool_calls`` and each answer to one bound to it by its id."""
    sent: list[Message] = []
    for number, message in enumerate(messages):
        text = message["content"]
        answered = number + 1 < len(messages) and messages[number + 1]["role"] == "tool"
        if message["role"] == "assistant" and answered:
            head, _, body = text.rpartition("<tool_call>")
            sent.append({**message, "content": head, "tool_calls": [_call(body, f"call_{number}")]})
        elif message["role"] == "tool":
            sent.append({**message, "tool_call_id": f"call_{number - 1}"})
        else:
            sent.append(message)
    return sent


def _call(body: str, call_id: str) -> Any:
    call = json.loads(body.partition("</tool_call>")[0])
    arguments = storable(json.dumps(call["arguments"], ensure_ascii=False))
    return {"id": call_id, "type": "function", "function": {"name": call["name"], "arguments": arguments}}
