"""Searchers and generators for tests of the hand-off: a small real index, scripts, real HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trajectory_lab as lab
from fake_openai import FakeServer

from drag_rl.handoff.asking import Step, asking
from drag_rl.handoff.choosing import PageBudget
from drag_rl.handoff.generator import Generator
from drag_rl.handoff.options import GeneratorOptions
from drag_rl.types import Generated, Question

QUESTION = Question(question_id="q", text="What needs care?", gold_page_ids=("pumps#1",))
_PAGE = re.compile(r"<page>\n\[([^\n]*)\]\n(.*?)\n?</page>", re.DOTALL)


def text_of(request: dict[str, Any]) -> str:
    """What a generator is asked, images as ``<image>``."""
    content = request["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "<image>") for part in content)


def given_pages(request: dict[str, Any]) -> dict[str, str]:
    """The pages between the markers of a request: id and text."""
    return dict(_PAGE.findall(text_of(request)))


def cites_first(request: dict[str, Any]) -> str:
    """A generator that answers with the first page."""
    pages = given_pages(request)
    return f"It needs care [{next(iter(pages))}]." if pages else "NOT ANSWERABLE"


def options_for(server: FakeServer, **budget: Any) -> GeneratorOptions:
    return GeneratorOptions(
        url=server.url, model="large", budget=PageBudget(**budget), retries=0, timeout_s=20
    )


@asynccontextmanager
async def generator_at(server: FakeServer, index: Any, **budget: Any):
    """A generator that asks a fake server, closed at the end."""
    generator = Generator(options_for(server, **budget), index.pages, {})
    try:
        yield generator
    finally:
        await generator.close()


def generated(
    server: FakeServer,
    index: Any,
    page_ids: Sequence[str] | None,
    question: Question = QUESTION,
    **budget: Any,
) -> Generated:
    """What a fake server's model answers from some pages."""

    async def answer() -> Generated:
        async with generator_at(server, index, **budget) as generator:
            return await generator.answer(question, page_ids)

    return asyncio.run(answer())


def steps_of(
    index: Any,
    texts: Sequence[str],
    server: FakeServer | None = None,
    question: Question = QUESTION,
    seen: Callable[[Step], None] = lambda _: None,
    **budget: Any,
) -> list[Step]:
    """The steps of a question whose searcher says the given texts."""

    async def ask() -> list[Step]:
        script = lab.Script(texts, lab.PLAIN)
        steps: list[Step] = []

        async def take(generator: Generator | None) -> None:
            async for step in asking(question, script, index.retriever, lab.PLAIN, generator):
                seen(step)
                steps.append(step)

        if server is None:
            await take(None)
        else:
            async with generator_at(server, index, **budget) as generator:
                await take(generator)
        return steps

    return asyncio.run(ask())
