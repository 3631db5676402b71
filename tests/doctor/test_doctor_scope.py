"""``drag doctor`` searches in the document of a question where the training that it looks at would."""

from __future__ import annotations

from dataclasses import replace

import trajectory_lab as lab

from drag_rl.doctor import searching
from drag_rl.doctor.check import Doubt

VAGUE = tuple(
    replace(
        question, document=question.gold_page_ids[0].partition("#")[0], text="What of the rotor or the seal?"
    )
    for question in lab.QUESTIONS
)
"""Questions of which each could be asked of any document."""


def test_the_raw_question_is_searched_where_the_episodes_search():
    retriever = lab.shared_index().retriever
    everywhere, in_document = (
        str(searching.raw_question(VAGUE, retriever, 4, scope)) for scope in ("corpus", "document")
    )
    assert "for 20.0% of the questions" in everywhere and "for 100.0% of the questions" in in_document
    assert isinstance(searching.raw_question(VAGUE, retriever, 4, "document"), Doubt)


def test_sample_queries_stay_in_the_document():
    pages = lab.shared_index().pages
    queries = searching.sample_queries(pages, VAGUE, "document")
    assert {query.scope for query in queries} == set(lab.DOCUMENTS)
    assert {query.scope for query in searching.sample_queries(pages, VAGUE)} == {None}
