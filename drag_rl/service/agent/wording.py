"""Steps of a question in the words of OpenAI's chat API: one completion, or the chunks of a stream.

What OpenAI's objects have no field for is in ``drag``: the whole summary (that of ``drag ask --json``) with the answer,
and, in a stream, each step as an event. Clients that show a model's reasoning show the queries as they happen, since
they come as ``reasoning_content``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from drag_rl.handoff.asking import Answered, Step
from drag_rl.handoff.summary import Told, hit_of
from drag_rl.policies.play import Ended, Searched, Wrote
from drag_rl.types import Search

NOTHING_FOUND = "No page was found."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The words for one answer; its id is in each of them."""

    model: str
    completion_id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, told: Told, summary: dict[str, Any]) -> dict[str, Any]:
        """The whole answer."""
        message = {"role": "assistant", "content": content_of(told.answered)}
        choice = {"index": 0, "message": message, "finish_reason": _finish(told.answered), "logprobs": None}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage(summary),
            "drag": summary,
        }

    def first(self) -> dict[str, Any]:
        """The first chunk of a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def step(self, step: Step) -> Iterator[dict[str, Any]]:
        """The chunks of a step: queries as reasoning, hits as an event, the answer as content."""
        if isinstance(step, Wrote):
            action = step.turn.action
            if isinstance(action, Search):
                event = {"event": "query", "step": step.turn.step, "queries": list(action.queries)}
                yield self._chunk({"reasoning_content": f"Search: {' · '.join(action.queries)}\n"}, event)
        elif isinstance(step, Searched):
            hits = [hit_of(hit) for hit in step.turn.hits]
            yield self._chunk({}, {"event": "hits", "step": step.turn.step, "hits": hits})
        elif isinstance(step, Ended):
            yield self._chunk({}, {"event": "stop", "reason": step.outcome.stop_reason.value})
        else:
            yield self._chunk({"content": content_of(step)}, {"event": "answer", "by": step.by})

    def last(self, told: Told, summary: dict[str, Any], *, with_usage: bool) -> Iterator[dict[str, Any]]:
        """The chunks that end a stream."""
        yield self._chunk({}, {"event": "end", **summary}, _finish(told.answered))
        if with_usage:
            yield {**self._head("chat.completion.chunk"), "choices": [], "usage": usage(summary)}

    def _chunk(
        self, delta: dict[str, Any], event: dict[str, Any] | None = None, finish: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return {
            **self._head("chat.completion.chunk"),
            "choices": [choice],
            **({} if event is None else {"drag": event}),
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.completion_id, "object": kind, "created": self.created, "model": self.model}


def content_of(answered: Answered) -> str:
    """The answer; where nobody answers, the pages found."""
    if answered.answer is not None:
        return answered.answer.text
    if not answered.page_ids:
        return NOTHING_FOUND
    return "Pages found, best first:\n" + "\n".join(f"[{page_id}]" for page_id in answered.page_ids)


def usage(summary: dict[str, Any]) -> dict[str, int]:
    """The tokens of both models together, as far as their servers tell."""
    models = [model for model in (summary["searcher"], summary["generator"]) if model]
    read = sum(model["prompt_tokens"] or 0 for model in models)
    written = sum(model["completion_tokens"] or 0 for model in models)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _finish(answered: Answered) -> str:
    return answered.answer.finish_reason if answered.answer else "stop"
