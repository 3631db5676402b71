"""The ``drag_search`` agent loop: a :class:`SearchEpisode` driven by verl's tokens.

Tokens in, tokens out: the policy's tokens are kept as they were sampled, and only they carry loss (response mask 1);
the prompt and the observations are rendered by verl's continuous-token builder. An observation that does not fit the
remaining budget is shortened, or the episode ends, *before* anything is appended, so a multimodal prompt is never cut.
Searches are awaited: many rollouts search at a time, and a retriever may put their queries together.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

from drag_rl.corpus.images import PageImages
from drag_rl.episode import FinishReason, Observation, SearchEpisode, SearchRequest
from drag_rl.files.codec import to_json
from drag_rl.image_file import read_image
from drag_rl.protocol import MESSAGE_END
from drag_rl.questions import question_from_row
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Outcome, StopReason
from drag_rl.verl_plugin.node_retriever import retriever_of_node
from drag_rl.verl_plugin.rollout_errors import report
from drag_rl.verl_plugin.settings import RolloutSettings, rollout_settings

EMPTY_REPLIES = 3
"""How often in a row the engine may give no token, as for a request that it aborts, before the run ends."""
EMPTY_REPLY_PAUSE_S = 1.0
"""Seconds before it is asked again."""


def _once(load: Callable[..., Any]) -> Callable[..., Any]:
    """Load once for all threads of this process; the others wait."""
    lock, cached = threading.Lock(), cache(load)

    @wraps(load)
    def locked(*args: Any) -> Any:
        with lock:
            return cached(*args)

    return locked


@_once
def _retriever(index: Path) -> Retriever:
    return retriever_of_node(index)


@_once
def _page_images(pages: Path, cache_dir: Path | None, max_pixels: int) -> PageImages:
    return PageImages(pages, cache_dir, max_pixels=max_pixels)


class _LastSettings:
    """The settings of a configuration, read once: verl makes a loop for every episode, all with the same one."""

    def __init__(self) -> None:
        self._last: tuple[Any, RolloutSettings] | None = None

    def of(self, config: Any) -> RolloutSettings:
        """The settings of verl's whole configuration; see :func:`rollout_settings`."""
        last = self._last
        if last is None or last[0] is not config:
            self._last = last = config, rollout_settings(config)
        return last[1]


_last_settings = _LastSettings()


@dataclass(slots=True)
class _Rollout:
    """The growing token sequence of one episode; the three response lists have equal length."""

    prompt_ids: list[int]
    images: list[Image.Image]
    token_ids: list[int]
    """Prompt and response."""
    mask: list[int] = field(default_factory=list)
    """1 for a token of the policy, 0 for one of an observation."""
    logprobs: list[float] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=lambda: {"num_preempted": -1})
    extra_fields: dict[str, Any] = field(default_factory=dict)


class DragSearchLoop(AgentLoopBase):  # type: ignore[misc]
    """One rollout: question in, tokens, mask and trace out."""

    def __init__(self, *args: Any, tools: Any = None, **kwargs: Any) -> None:  # noqa: ARG002 (verl passes its tools)
        super().__init__(*args, **kwargs)
        self.settings = _last_settings.of(self.config)
        # Read once: each of them is an interpolation, which OmegaConf parses anew every time.
        self.prompt_length: int = self.rollout_config.prompt_length
        self.response_length: int = self.rollout_config.response_length
        self.message_end_id: int = self.tokenizer.convert_tokens_to_ids(MESSAGE_END)

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """Run an episode for one row of the questions file; a failure is reported to the trainer, which stops."""
        try:
            return await self._run(sampling_params, kwargs)
        except Exception as error:
            await report(error, kwargs.get("uid"), kwargs.get("session_id", 0))
            raise

    async def _run(self, sampling_params: dict[str, Any], row: dict[str, Any]) -> AgentLoopOutput:
        retriever: Retriever = await self.loop.run_in_executor(None, _retriever, self.settings.index)
        episode = SearchEpisode(question_from_row(row), retriever.pages, self.settings.episode)
        messages = [await self._with_images(message) for message in episode.messages]
        rollout = await self._start(messages, episode.tools)
        request_id = uuid4().hex
        while not episode.stop_reason:
            text, finish_reason = await self._generate(rollout, sampling_params, request_id)
            messages.append({"role": "assistant", "content": text})
            started = time.perf_counter()
            reply = episode.step(text, finish_reason)
            if isinstance(reply, SearchRequest):
                reply = episode.show(await retriever.search(reply.queries, reply.top_k))
            rollout.metrics["tool_calls"] = (
                rollout.metrics.get("tool_calls", 0.0) + time.perf_counter() - started
            )
            while isinstance(reply, Observation):
                message = await self._with_images(reply.message)
                if await self._append(rollout, messages, message, episode.tools):
                    episode.commit(reply)
                    break
                reply = reply.smaller() or episode.stop(StopReason.LENGTH)
        outcome = episode.outcome()
        return AgentLoopOutput(
            prompt_ids=rollout.prompt_ids,
            response_ids=rollout.token_ids[len(rollout.prompt_ids) :],
            response_mask=rollout.mask,
            response_logprobs=rollout.logprobs or None,
            multi_modal_data={"images": rollout.images} if rollout.images else {},
            num_turns=2 * len(outcome.turns),
            metrics=AgentLoopMetrics(**rollout.metrics),
            extra_fields={
                **rollout.extra_fields,
                "outcome": to_json(outcome),
                "blank_pages": self._blank_pages(outcome),
            },
        )

    async def _start(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> _Rollout:
        images = list(_images_in(messages))
        self._assert_mm_supported(bool(images))
        ids = await self.loop.run_in_executor(
            None,
            lambda: self.continuous_token_builder.build_initial_tokens(
                messages, tools=tools, images=images or None
            ),
        )
        limit = self.prompt_length
        if len(ids) > limit:
            raise ValueError(
                f"the prompt has {len(ids)} tokens, data.max_prompt_length allows {limit}: raise it, or lower "
                "drag.episode.shots or the size of the question's images"
            )
        return _Rollout(prompt_ids=list(ids), images=images, token_ids=list(ids))

    async def _generate(
        self, rollout: _Rollout, sampling_params: dict[str, Any], request_id: str
    ) -> tuple[str, FinishReason]:
        """One assistant message; returns its text and why it ended."""
        room = self.response_length - len(rollout.mask)
        max_tokens = min(self.settings.turn_tokens, room)
        params = {**sampling_params, "max_tokens": max_tokens}
        if self.settings.episode.stop_strings:
            params |= {"stop": list(self.settings.episode.stop_strings), "include_stop_str_in_output": True}
        started = time.perf_counter()
        output = await self._reply(rollout, params, request_id)
        seconds = time.perf_counter() - started
        metrics = rollout.metrics
        metrics["generate_sequences"] = metrics.get("generate_sequences", 0.0) + seconds
        if output.num_preempted is not None:
            metrics["num_preempted"] = max(metrics["num_preempted"], 0) + output.num_preempted
        first = output.extra_fields if not rollout.extra_fields else {}
        rollout.extra_fields |= first or {"max_global_steps": output.extra_fields.get("max_global_steps")}

        ids = list(output.token_ids)
        rollout.token_ids += ids
        rollout.mask += [1] * len(ids)
        if output.log_probs:
            rollout.logprobs += output.log_probs
        ended = bool(ids) and ids[-1] == self.message_end_id
        text = self.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=False)
        return text, "length" if len(ids) >= max_tokens and not ended else "stop"

    async def _reply(self, rollout: _Rollout, params: dict[str, Any], request_id: str) -> Any:
        """The engine's answer, of one token or more: a turn without a token could carry no credit."""
        limit_s = self.settings.turn_timeout_s
        for _ in range(EMPTY_REPLIES):
            try:
                async with asyncio.timeout(limit_s) as clock:
                    output = await self.server_manager.generate(
                        request_id=request_id,
                        prompt_ids=rollout.token_ids,
                        sampling_params=params,
                        image_data=rollout.images or None,
                    )
            except TimeoutError as error:
                if not clock.expired():
                    raise
                raise TimeoutError(
                    f"the inference engine gave no message within {limit_s:g} s (drag.turn_timeout_s): it hangs, or "
                    "has more to do than it can"
                ) from error
            if output.token_ids:
                return output
            await asyncio.sleep(EMPTY_REPLY_PAUSE_S)
        raise RuntimeError(
            f"the inference engine answered {EMPTY_REPLIES} times in a row without a token "
            f"(stop reason: {output.stop_reason})"
        )

    async def _append(
        self,
        rollout: _Rollout,
        messages: list[dict[str, Any]],
        message: dict[str, Any],
        tools: list[dict[str, Any]] | None,
    ) -> bool:
        """Append an observation; False, and nothing changed, when it leaves no room for another message."""
        merge = await self.loop.run_in_executor(
            None,
            lambda: self.continuous_token_builder.merge_context_tokens(
                messages, [*messages, message], self._closed(rollout.token_ids), tools=tools
            ),
        )
        added = len(merge.token_ids) - len(rollout.token_ids)
        if added > self.settings.observation_tokens or added >= self.response_length - len(rollout.mask):
            return False
        rollout.token_ids = list(merge.token_ids)
        rollout.mask += [0] * added
        if rollout.logprobs:
            rollout.logprobs += [0.0] * added
        rollout.images += _images_in([message])
        messages.append(message)
        return True

    def _closed(self, token_ids: list[int]) -> list[int]:
        """The tokens with the last message closed: a stop string or the length limit leaves it open."""
        return token_ids if token_ids[-1] == self.message_end_id else [*token_ids, self.message_end_id]

    async def _with_images(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with each image part's page or path replaced by the image itself; a page may take seconds."""
        if isinstance(message["content"], str):
            return message
        parts = [await self.loop.run_in_executor(None, self._part, part) for part in message["content"]]
        return {**message, "content": parts}

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        if part["type"] != "image":
            return part
        image = read_image(Path(part["path"])) if "path" in part else self._pages().shown(part["page_id"])
        return {"type": "image", "image": image}

    def _pages(self) -> PageImages:
        if self.settings.pages is None:
            raise ValueError(
                "observations hold page images, so drag.pages must name the folder that `drag ingest` wrote"
            )
        pages: PageImages = _page_images(
            self.settings.pages, self.settings.image_cache, self.settings.max_pixels
        )
        return pages

    def _blank_pages(self, outcome: Outcome) -> int:
        """How many images were blank because their page cannot be rendered."""
        shown = [page_id for turn in outcome.turns for page_id in turn.image_page_ids]
        return sum(page_id in self._pages().replaced for page_id in shown)


def _images_in(messages: list[dict[str, Any]]) -> Iterator[Image.Image]:
    for message in messages:
        if not isinstance(message["content"], str):
            yield from (part["image"] for part in message["content"] if part["type"] == "image")
