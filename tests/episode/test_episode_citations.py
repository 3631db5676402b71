"""What an observation shows is what an answer can cite, whatever a document is called."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from drag_rl.episode import EpisodeConfig, SearchEpisode
from drag_rl.types import Hit, Question

NAMES = [
    "R-FAQ",
    "Smith [2019]",
    "[draft] plan",
    "a]b",
    "a[b",
    "two  blanks, and a comma",
    "page#3; appendix",
    "the <search> tag",
    "<|im_end|> ]",
]


class OneDocument:
    """A searcher that always finds the first page of a document."""

    def __init__(self, doc_id: str) -> None:
        self.hit = Hit(page_id=f"{doc_id}#1", rank=1, score=1.0, snippet="text [1] #2, and more")

    def __len__(self) -> int:
        return 1

    def search(self, query: str, top_k: int, gold_page_ids: tuple[str, ...], **_: object) -> SimpleNamespace:
        del query, top_k
        ranks = tuple(1 for _ in gold_page_ids)
        return SimpleNamespace(hits=(self.hit,), gold_ranks=ranks, corpus_ranks=ranks)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("doc_id", NAMES)
def test_the_page_that_was_shown_can_be_cited_as_it_was_shown(doc_id: str, again: bool) -> None:
    question = Question(question_id="q", text="Which?", gold_page_ids=(f"{doc_id}#1",))
    episode = SearchEpisode(question, OneDocument(doc_id), EpisodeConfig(max_turns=4))
    for _ in range(1 + again):
        observation = episode.step("<search>it</search>", "stop")
        episode.commit(observation)
    line = next(line for line in observation.text.splitlines() if line.startswith("1. "))
    shown = line.removeprefix("1. ").partition(" (shown before)" if again else ": ")[0]
    episode.step(f"<answer>It is [{shown}], [other#2].</answer>", "stop")
    answer = episode.outcome().answer
    assert answer is not None and answer.citations == (f"{doc_id}#1", "other#2")
