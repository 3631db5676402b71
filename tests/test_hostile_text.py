"""Law: whatever a model, a server, a PDF or a user writes, reading it takes a bounded time per character.

The time is that of this thread on the processor, so that a busy machine does not matter. The texts have 1,000, 5,000
and 100,000 characters: growing, so that a reader that takes their cube fails soon instead of hanging. The longest is
spared where five times the text took hardly more than five times as long, but for those that have hung a worker before.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from driven import Driven, Found
from hostile_texts import ALWAYS, SIZES, TEXTS

from data_preprocess import (
    document_questions,
    generic,
    graded_pages,
    outline,
    page_kinds,
    printed,
    sentences,
)
from drag_rl import citations, near_duplicates, types, words
from drag_rl.corpus import clean_text, ocr_file, reading_order, sources
from drag_rl.doctor.splits import asked, evidence
from drag_rl.episode import EpisodeConfig, actions, neutral, observation, prompt
from drag_rl.errors import InputError
from drag_rl.evaluation import report
from drag_rl.handoff import prompt as handoff_prompt
from drag_rl.handoff import reading
from drag_rl.handoff.choosing import GivenPage
from drag_rl.metrics import answers
from drag_rl.policies.baselines import baseline
from drag_rl.policies.server import completion, model_server, reply_text, streamed
from drag_rl.retrieval import PageTexts, snippet, tokenizer, window
from drag_rl.service.agent import request
from drag_rl.serving import vllm_process
from drag_rl.star import rationalise
from drag_rl.types import Answer, Outcome, Question, Search, StopReason, Turn
from drag_rl.view import payload
from reward import format as form
from reward import guards

SECONDS_A_CHARACTER = 10e-6
QUESTION = Question(question_id="q", text="What is it?", gold_page_ids=("d#1",), answers=("it", "\u4e2d"))


class Document:
    """A PDF of one page, without links or bookmarks."""

    page_count = 1

    def __getitem__(self, _: int) -> SimpleNamespace:
        return SimpleNamespace(get_links=lambda: [])


def episode(text: str) -> Outcome:
    """Every text of an episode is the hostile one, as far as the protocol lets it in."""
    asked = Driven(
        Question(question_id="q", text=text or "?", gold_page_ids=("d#1",)),
        Found(PageTexts.of({"d#1": clean_text.clean_text(text)})),
        EpisodeConfig(),
    )
    for message in (text, f"<think>{text}</think><search>{text}</search>", "<search>a</search>"):
        proposal = asked.step(message, "stop")
        while isinstance(proposal, observation.Observation) and (smaller := proposal.smaller()):
            proposal = smaller
        if isinstance(proposal, observation.Observation):
            asked.commit(proposal)
        else:
            break
    asked.stop(StopReason.LENGTH)
    return asked.outcome()


def told(text: str) -> object:
    """A conversation with a generator about a page and a question that are the text."""
    question = Question(question_id="q", text=text, gold_page_ids=("d#1",))
    return handoff_prompt.messages_for(question, [GivenPage(page_id=f"{text}#1", text=text, image=False)])


def outcome(text: str) -> Outcome:
    """An episode whose thought, query and answer are the text."""
    turns = (
        Turn(step=1, text=text, action=Search(query=text, thought=text)),
        Turn(step=2, text=text, action=Answer(text=text or "a", thought=text)),
    )
    return Outcome(
        question=QUESTION,
        turns=turns,
        stop_reason=StopReason.ANSWERED,
        config=EpisodeConfig(max_turns=2),
        corpus_pages=1,
    )


def choice(text: str) -> Any:
    message = SimpleNamespace(content=text, reasoning=text, reasoning_content=None, tool_calls=None)
    return SimpleNamespace(message=message, finish_reason="stop", tells_stop=False, stop_reason=None)


def refused(reader: Callable[[bytes], object], body: bytes) -> None:
    with suppress(ValueError):
        reader(body)


def standing_alone(text: str) -> object:
    told = printed.words_of_text(text)
    return printed.standing_alone(told, told[len(told) // 2].key if told else "a")


def cut_everywhere(text: str) -> str:
    return printed.cut_spans(text, [(start, start + 2) for start in range(0, len(text), 10)])


def snippets(text: str) -> object:
    starts = [start for start, _ in words.words(text)]
    places = [starts[0], starts[len(starts) // 2], starts[-1]] if starts else [0, len(text) // 2]
    page = [np.array(values, dtype=np.int32) for values in ([start % 7 for start in starts], starts)]
    for array in page:
        array.flags.writeable = False  # as those of an index are
    window.best_window(*page, np.arange(7, dtype=np.int32), np.ones(7), 300)
    return [snippet.cut_snippet(text, place, place, size) for place in places for size in (10, 400)]


READERS: dict[str, Callable[[str], object]] = {
    # a policy's messages, and what becomes of them
    "parse_action, xml": lambda text: actions.parse_action(text, "xml"),
    "parse_action, tools": lambda text: actions.parse_action(text, "tools"),
    "parse_action, answer": lambda text: actions.parse_action(
        f"<answer>{text}</answer>", "xml", shown={"a]#1": "a]#1"}
    ),
    "parse_action, search": lambda text: actions.parse_action(f"<search>{text}</search>", "xml"),
    "parse_action, queries": lambda text: actions.parse_action(
        f"<search>{text}</search>", "xml", queries_per_turn=4
    ),
    "parse_action, call": lambda text: actions.parse_action(f"<tool_call>{text}</tool_call>", "tools"),
    "citations_in": citations.citations_in,
    "without_citations": citations.without_citations,
    "neutralise": neutral.neutralise,
    "control_token": neutral.control_token,
    "cut": lambda text: observation.cut(text, 300),
    "opening_messages": lambda text: prompt.opening_messages(
        Question(question_id="q", text=text, gold_page_ids=("d#1",)), EpisodeConfig()
    ),
    "an episode": episode,
    "what a generator is told": told,
    "a generator's answer": lambda text: reading.read_answer(text, ["a#1", "a]#1"]),
    "a stream of events": lambda text: refused(streamed.read_stream, text.encode(errors="replace")),
    "events in a stream": lambda text: refused(
        streamed.read_stream, f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()
    ),
    "a question to the agent": lambda text: refused(
        request.read_ask_request, json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    ),
    "query_key": types.query_key,
    "assistant_text": lambda text: reply_text.assistant_text(choice(text), ["</search>", "</answer>"]),
    "copies_words": lambda text: rationalise.copies_words(text, text[1:]),
    "tells of the hint": rationalise._CONFESSION.search,
    "a server's error": model_server._CONTEXT_FULL.search,
    "a server's reply": lambda text: refused(completion.read_completion, text.encode(errors="replace")),
    "a server's log": vllm_process._ERROR.search,
    "one_line": report.one_line,
    "shortened": lambda text: baseline.shortened(text, 200),
    "the viewer's JSON": payload.to_script_text,
    "where a search stands": actions.search_spans,
    # rewards and metrics
    "normalise": answers.normalise,
    "exact_match": lambda text: answers.exact_match(text, ["it", text[:1000]]),
    "token_f1": lambda text: answers.token_f1(text, ["it", text]),
    "anls": lambda text: answers.anls(text, ["it", text[::2]]),
    "contains": lambda text: answers.contains(text, ["it", text[1:]]),
    "uncited": lambda text: answers.uncited(Answer(text=text, citations=citations.citations_in(text))),
    "think_language": lambda text: form.think_language(outcome(text)),
    "one_action": lambda text: form.one_action(outcome(text)),
    "repetition": guards.repetition,
    # pages
    "clean_text": clean_text.clean_text,
    "join_broken_words": lambda text: clean_text.join_broken_words([text, text]),
    "is_legible": clean_text.is_legible,
    "an OCR file's line": lambda text: list(
        ocr_file._pages_of(json.dumps({"file": text, "page": text, "text": text}).encode(), False)
    ),
    "an OCR file's broken line": lambda text: list(ocr_file._pages_of(text.encode(errors="replace"), False)),
    "doc_id_of": sources.doc_id_of,
    "an error's line": lambda text: sources.one_line(ValueError(text)),
    "words": lambda text: list(words.words(text)),
    "terms": lambda text: tokenizer.Tokenizer(stopwords=("the", "\u4e2d")).terms(text),
    "snippets": snippets,
    # questions
    "listing_pages": lambda text: page_kinds.listing_pages(
        Document(), {1: text}, [outline.Heading(title="A b", page_number=1)]
    ),
    "a title's number": lambda text: outline.NUMERIC_PREFIX.sub("", text),
    "key_of": printed.key_of,
    "words_of_text": printed.words_of_text,
    "standing_alone": standing_alone,
    "cut_spans": cut_everywhere,
    "_head_spans": lambda text: document_questions._head_spans(text, printed.key_of(text)),
    "askable_sentences": lambda text: sentences.askable_sentences(clean_text.clean_text(text), "en"),
    "askable_sentences, ja": lambda text: sentences.askable_sentences(clean_text.clean_text(text), "ja"),
    "too_generic": lambda text: generic.too_generic(text, generic.Kind.OUTLINE),
    "word_set": near_duplicates.word_set,
    "parse_pages": graded_pages.parse_pages,
    "same_words": asked.same_words,
    "number_in": evidence.number_in,
    "numbers_of": evidence.numbers_of,
}
"""What reads the text of a model, a server, a PDF or a file."""


def seconds(reader: Callable[[Any], object], text: Any) -> float:
    started = time.thread_time()
    with suppress(InputError):
        reader(text)
    return time.thread_time() - started


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """A collection in a process with many objects takes as long as a hundred thousand characters."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", READERS)
def test_time_per_character_is_bounded(name: str) -> None:
    reader = READERS[name]
    seconds(reader, "What is it? ")  # what is loaded at first sight
    for what in TEXTS[SIZES[0]]:
        before = took = 0.0
        for size in SIZES:
            text = TEXTS[size][what]
            if size == SIZES[-1] and what not in ALWAYS and took < 8 * before + 0.001:
                break
            before, took = took, seconds(reader, text)
            bound = SECONDS_A_CHARACTER * len(text) + 0.02
            took = min(took, seconds(reader, text)) if took > bound else took
            assert took <= bound, f"{len(text)} characters of {what} took {took:.2f} s"


LAYOUTS: dict[str, Callable[[int], tuple[float, float]]] = {
    "in one place": lambda _: (0.0, 0.0),
    "a falling diagonal": lambda n: (n, n),
    "a rising diagonal": lambda n: (n, -n),
    "a raster": lambda n: (n * 5 % 600, n % 800),
    "two columns": lambda n: (n % 2 * 300, n // 2),
    "columns beyond number": lambda n: (n * 37 % 9973, n // 50),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_time_per_line_of_a_page_is_bounded(layout: str) -> None:
    places = map(LAYOUTS[layout], range(5_000))
    lines = [reading_order.Line("x", x, y, x + 1, y + 1) for x, y in places]
    assert seconds(reading_order.reading_order, lines) < 0.5


def test_a_title_that_fills_a_page_is_looked_for_in_a_bounded_time() -> None:
    text = "a" * 50_000 + " a" * 5_000
    told = printed.words_of_text(text)
    assert seconds(lambda key: printed.standing_alone(told, key), "a" * outline.MAX_TITLE_CHARS) < 0.5
