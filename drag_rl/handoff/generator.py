"""The generator: a model behind any OpenAI-compatible server that answers once from the pages that it is given."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from drag_rl.handoff.choosing import within
from drag_rl.handoff.options import GeneratorOptions
from drag_rl.handoff.prompt import messages_for
from drag_rl.handoff.reading import read_answer
from drag_rl.policies.base import ContextFull
from drag_rl.policies.server.message_encoding import MessageEncoding
from drag_rl.policies.server.model_server import ModelServer, RequestFailed, ServerSettings
from drag_rl.policies.server.reply_text import assistant_text
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Generated, Question

KEY_VARIABLES = ("GENERATOR_API_KEY", "OPENAI_API_KEY")
"""Where the key is looked for, the first that is set."""
LEAST_TOKENS = 128
"""Pages are not cut to fewer tokens than these to fit a generator's context."""


class Generator:
    """A generator for many questions at once. Use it in one event loop, and ``close`` it there."""

    def __init__(
        self, options: GeneratorOptions, pages: PageTexts, environment: Mapping[str, str] | None = None
    ) -> None:
        """``pages`` are those that may be given. Raises InputError for what cannot be asked, or has no images."""
        options.check()
        self.options = options
        self._pages = pages
        self._encoding = MessageEncoding(pages=_images(options))
        variable, key = _key(os.environ if environment is None else environment)
        self._server = ModelServer(
            ServerSettings(
                base_url=options.url,
                model=options.model,
                api_key=key,
                timeout_s=options.timeout_s,
                retries=options.retries,
                dialect="openai",
                option="--generator",
                key_variable=variable,
            )
        )

    async def answer(self, question: Question, page_ids: Sequence[str] | None) -> Generated:
        """The answer from the best of some pages, best first, as many as the budget allows; None asks without pages.

        Where they do not fit the generator's context, half as many tokens are tried, and so on. Raises ServerDown when
        the server is gone, RequestFailed when only this question fails, InputError for a page that is not there.
        """
        started = time.perf_counter()
        budget = self.options.budget
        while True:
            given = within(page_ids or (), self._pages, question.text, budget)
            asked = messages_for(question, None if page_ids is None else given)
            messages = await asyncio.to_thread(self._encoding.messages, asked)
            try:
                completion = await self._server.complete(self._request(messages))
                break
            except ContextFull as error:
                budget = replace(budget, tokens=budget.tokens // 2)
                if not given or budget.tokens < LEAST_TOKENS:
                    raise RequestFailed(f"no page fits the generator's context: {error}") from error
        choice, usage = completion.choices[0], completion.usage
        choice.message.tool_calls = None  # none was offered, so none is a part of an answer
        read = read_answer(assistant_text(choice, ()), [page.page_id for page in given])
        return Generated(
            page_ids=tuple(page.page_id for page in given),
            text=read.text,
            citations=read.citations,
            dropped_citations=read.dropped_citations,
            refused=read.refused,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            seconds=time.perf_counter() - started,
            finish_reason="length" if choice.finish_reason == "length" else "stop",
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    def _request(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """One answer, the most probable, and no tools: there is nothing that a page could have it do."""
        return {
            "messages": messages,
            "temperature": 0.0,
            "max_tokens": self.options.max_tokens,
            "seed": 0,
        }


def _key(environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that holds the key, and the key; what a server without one does not look at."""
    for variable in KEY_VARIABLES:
        if environment.get(variable):
            return variable, environment[variable]
    return KEY_VARIABLES[0], "EMPTY"


def _images(options: GeneratorOptions) -> Any:
    if options.budget.shown == "text" or options.pages is None:
        return None
    from drag_rl.corpus.images import PageImages  # takes seconds, and most generators read text

    return PageImages(options.pages, max_pixels=options.budget.max_pixels)
