"""What an observation shows is what an answer can cite, whatever a document is called."""

from __future__ import annotations

import pytest
from driven import Driven, Found

from drag_rl.episode import EpisodeConfig
from drag_rl.retrieval import PageTexts
from drag_rl.types import Question

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


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("doc_id", NAMES)
def test_the_page_that_was_shown_can_be_cited_as_it_was_shown(doc_id: str, again: bool) -> None:
    document = PageTexts.of({f"{doc_id}#1": "text [1] #2, and more"})
    question = Question(question_id="q", text="Which?", gold_page_ids=(f"{doc_id}#1",))
    episode = Driven(question, Found(document), EpisodeConfig(max_turns=4))
    for _ in range(1 + again):
        observation = episode.step("<search>it</search>", "stop")
        episode.commit(observation)
    line = next(line for line in observation.text.splitlines() if line.startswith("1. "))
    shown = line.removeprefix("1. ").partition(" (shown before)" if again else ": ")[0]
    episode.step(f"<answer>It is [{shown}], [other#2].</answer>", "stop")
    answer = episode.outcome().answer
    assert answer is not None and answer.citations == (f"{doc_id}#1", "other#2")
