"""From questions to rows and batches, and the ranks of validation: by hand."""

from __future__ import annotations

import pytest
import torch

from drag_rl.errors import InputError
from drag_rl.questions import read_questions
from drag_rl.training.retriever.evaluator import RetrievalEvaluator, gold_ranks
from drag_rl.training.retriever.examples import PageCollator, Pages, training_rows, usable_questions
from drag_rl.training.retriever.options import EvaluationOptions
from drag_rl.training.retriever.scoring import score_pages, some_pages
from drag_rl.types import Question


def asked(question_id, *gold, grades=()):
    return Question(
        question_id=question_id,
        text=f"Where is {question_id}?",
        gold_page_ids=gold,
        answers=(),
        data_source="x",
        gold_grades=grades,
    )


def test_pages_of_equal_words_have_one_number():
    pages = Pages({"a#1": "Two  words", "a#2": "", "b#1": "two words", "b#2": " ", "b#3": "other"}, None)
    assert pages.numbers() == {"a#1": 0, "a#2": 1, "b#1": 0, "b#2": 3, "b#3": 4}


def test_a_row_for_each_gold_page():
    numbers = {"a#1": 5, "a#2": 6, "b#1": 7, "c#1": 8}
    mined = {"one": ["c#1", "b#1"], "two": ["a#1", "a#2"]}
    one, first, second = training_rows([asked("one", "a#1"), asked("two", "b#1", "c#1")], numbers, mined)
    assert one == {
        "query": "Where is one?",
        "positive": "a#1",
        "negative_1": "c#1",
        "negative_2": "b#1",
        "label": [5, 8, 7, 5, -1],
    }
    assert (first["positive"], first["label"]) == ("b#1", [7, 5, 6, 7, 8])
    assert (second["positive"], second["label"]) == ("c#1", [8, 5, 6, 7, 8])


def test_a_batch_has_the_images_of_its_pages(retriever, symbol_pages):
    images = {f"s#{n}": page for n, page in enumerate(symbol_pages)}
    collator = PageCollator(retriever.preprocess, load=images.__getitem__)
    rows = training_rows(
        [asked("one", "s#0"), asked("two", "s#1")],
        {page_id: n for n, page_id in enumerate(images)},
        {"one": ["s#2"], "two": ["s#3"]},
    )
    batch = collator(rows)
    assert batch["label"].tolist() == [[0, 2, 0], [1, 3, 1]]
    assert (batch["query_task"], batch["positive_task"], batch["negative_1_task"]) == (
        "query",
        "document",
        "document",
    )
    for column, shown in (("positive", symbol_pages[:2]), ("negative_1", symbol_pages[2:4])):
        expected = retriever.preprocess(shown)
        assert torch.equal(batch[f"{column}_pixel_values"], expected["pixel_values"])
        assert torch.equal(batch[f"{column}_input_ids"], expected["input_ids"])


def test_questions_without_a_page_that_can_be_shown(tiny_data, tmp_path):
    pages = Pages.open(tiny_data / "pages")
    questions = read_questions(tiny_data / "questions.train.parquet")
    kept, dropped = usable_questions(questions, pages, tmp_path)
    assert kept == questions and not dropped
    with pytest.raises(InputError, match="question odd: its gold page nowhere#1 is not among the pages"):
        usable_questions([asked("odd", "nowhere#1")], pages, tmp_path)


def test_ranks_count_equals_in_page_order():
    scores = torch.tensor([0.5, 0.9, 0.5, 0.1])
    columns = {"a#1": 0, "a#2": 1, "a#3": 2, "a#4": 3}
    assert gold_ranks(scores, columns, asked("q", "a#3", "a#1", "a#4")) == (3, 2, 4)


def test_pages_that_are_ranked_are_the_gold_ones_and_drawn_ones():
    page_ids = [f"a#{n}" for n in range(20)]
    chosen = some_pages(["a#19", "a#3"], page_ids, 5, seed=1)
    assert len(chosen) == 5 and {"a#3", "a#19"} <= {*chosen} and chosen == sorted(chosen, key=page_ids.index)
    assert chosen == some_pages(["a#3", "a#19"], page_ids, 5, seed=1)
    assert some_pages(page_ids[:4], page_ids, 2, seed=1) == page_ids[:4]
    assert some_pages([], page_ids, 99, seed=1) == page_ids


def test_evaluation_is_by_maxsim_of_single_pages(retriever, tiny_data):
    """Scores of a batch are those of one page and one question at a time; nDCG@5 and MRR by hand from those ranks."""
    pages = Pages.open(tiny_data / "pages")
    questions = read_questions(tiny_data / "questions.val.parquet")[:3]
    retriever.eval()
    options = EvaluationOptions(pages=6, batch_size=4)
    evaluator = RetrievalEvaluator(questions, pages, options, seed=0)
    assert len(evaluator.page_ids) == 6
    texts = [question.text for question in questions]
    together = score_pages(retriever, texts, evaluator.page_ids, pages.images.load, batch_size=4)
    ranks = []
    for row, question in enumerate(questions):
        query = retriever.encode_query(question.text)
        scores = []
        for column, page_id in enumerate(evaluator.page_ids):
            page = retriever.encode_document(pages.images.load(page_id))
            scores.append(float((query @ page.T).max(dim=1).values.sum()))
            assert float(together[row, column]) == pytest.approx(scores[-1], abs=1e-4)
        gold = scores[evaluator.page_ids.index(question.gold_page_ids[0])]
        ranks.append(1 + sum(score > gold for score in scores))
    found = evaluator(retriever)
    assert found["mrr"] == pytest.approx(sum(1 / rank for rank in ranks) / 3)
    gains = [1 / torch.log2(torch.tensor(rank + 1.0)).item() if rank <= 5 else 0 for rank in ranks]
    assert found["ndcg@5"] == pytest.approx(sum(gains) / 3, abs=1e-4)
    assert [*found] == ["mrr", "recall@1", "recall@5", "recall@10", "ndcg@5"]
