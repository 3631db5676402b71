"""The doctor names what is wrong, and says what is right of a set-up that works."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from doctor_lab import TEXTS, found, of_rewards
from tiny_corpus import index_of, page_of

from drag_rl.corpus.pages import write_pages
from drag_rl.doctor import index as index_checks
from drag_rl.doctor.check import Doubt
from drag_rl.doctor.examine import examine_environment
from drag_rl.doctor.searching import rarest_words, samples, union_and_intersection
from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.questions import read_questions, write_questions
from drag_rl.retrieval import PageTexts, Query, Ranking, build_index
from drag_rl.retrieval.dense.retriever import DenseRetriever
from drag_rl.types import Hit, Question
from reward import RewardConfig


@pytest.fixture(scope="module")
def world(tiny_data, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "data").symlink_to(tiny_data)
    (folder / "model").symlink_to(tiny_model)
    return folder


SEARCHED = [
    "searches",
    "union and intersection",
    "gold pages",
    "raw question",
    "rewards",
    "gaming the reward",
]


ASKED = [
    "questions",
    "question ids",
    "empty questions",
    "answers",
    "repeated questions",
    "contradicting gold",
    "gold in pages",
    "answers on gold pages",
    "questions on gold pages",
    "gold in index",
]


def test_a_good_set_up_is_well_in_every_check(world):
    data = world / "data"
    checks = found(
        index=data / "index",
        pages=data / "pages",
        questions=(data / "questions.train.parquet",),
        model=str(world / "model"),
    )
    assert {name: check.detail for name, check in checks.items() if not check.ok} == {}
    assert list(checks) == ["index", "index files", "index pages", *ASKED, *SEARCHED, "model"]
    doubted = [check.name for check in checks.values() if check.status != "ok"]
    assert doubted == ["answers on gold pages"], "the answer of these questions stands on no page"
    assert checks["index"].detail.startswith("bm25, 25 pages, ")
    assert checks["gold pages"].detail.startswith("20 gold pages are found")


def test_this_environment_is_well():
    check = next(examine_environment())
    assert check.ok, check.detail
    assert "verl 0.9.1" in check.detail


@pytest.mark.slow  # another interpreter imports verl
def test_verl_loads_the_plugin():
    *_, check = examine_environment()
    assert (check.name, check.ok) == ("verl plugin", True), check.detail


def test_what_is_wrong_is_named(world, tmp_path):
    questions = read_questions(world / "data" / "questions.train.parquet")
    elsewhere = type(questions[0])(question_id="q", text="Where?", gold_page_ids=("nowhere#1",))
    write_questions(tmp_path / "questions.parquet", [elsewhere], "train")
    checks = found(
        index=world / "data" / "index",
        questions=(tmp_path / "questions.parquet",),
        model=str(tmp_path / "none"),
    )
    wrong = {name: check.detail for name, check in checks.items() if not check.ok}
    assert set(wrong) == {"gold in index", "model"}
    assert "nowhere#1" in wrong["gold in index"]
    assert "none" in wrong["model"]
    assert not found(index=tmp_path / "nothing")["index"].ok


def test_an_index_of_other_pages_or_of_a_changed_byte_is_named(tmp_path):
    index_of(tmp_path, ["red fox", "blue whale"])
    write_pages(tmp_path / "later", [page_of("doc", 1, "red fox")], stage="ingest", pdf_dir=None)
    checks = found(index=tmp_path / "index", pages=tmp_path / "later")
    assert checks["index files"].ok and checks["searches"].ok
    assert "was not made from" in checks["index pages"].detail and not checks["index pages"].ok
    largest = max((tmp_path / "index").glob("*.npy"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[-1] ^= 1
    largest.write_bytes(data)
    assert not all(check.ok for check in found(index=tmp_path / "index").values())
    with pytest.raises(InputError, match=largest.name):
        index_checks.whole(tmp_path / "index")


def test_the_parts_of_a_composed_index_are_read_too(tmp_path):
    index_of(tmp_path, ["red fox", "blue whale", "green fox"])
    build_index(tmp_path / "pages", tmp_path / "sharp", k1=0.5)
    parts = (str(tmp_path / "index"), str(tmp_path / "sharp"))
    build_index(None, tmp_path / "both", kind="fuse", part=parts)
    checks = found(index=tmp_path / "both", pages=tmp_path / "pages")
    assert {check.status for check in checks.values()} == {"ok"}
    assert checks["index"].detail.startswith("fuse of bm25, bm25, 3 pages")
    (tmp_path / "sharp" / "manifest.json").unlink()
    assert str(tmp_path / "sharp") in found(index=tmp_path / "both")["index"].detail


def test_the_rewards_are_those_of_the_run(tmp_path):
    ranked = of_rewards(tmp_path / "a", TEXTS, reward=RewardConfig(weights={"reciprocal_rank": 2.0}))[
        "rewards"
    ]
    assert ranked.status == "ok"
    assert ranked.detail == (
        "reciprocal_rank=2, best search: the question 2.000, without stop words 2.000, its gold page's words 2.000, "
        "another page's words 0.000; 100% of the questions tell them apart"
    )


@pytest.mark.parametrize(
    ("weights", "said"),
    [({"exact_match": 1.0}, "all rewards are zero"), ({"format": 1.0}, "all rewards are equal")],
)
def test_rewards_that_teach_nothing_fail(tmp_path, weights, said):
    check = of_rewards(tmp_path, TEXTS, reward=RewardConfig(weights=weights))["rewards"]
    assert not check.ok and said in check.detail


def test_gold_pages_that_no_search_can_find_are_counted(tmp_path):
    blank = ["red fox", "", "green tree"]
    check = of_rewards(tmp_path / "one", blank)["gold pages"]
    assert not check.ok and "doc#2" in check.detail
    both = Question(question_id="q", text="fox", gold_page_ids=("doc#1", "doc#2"))
    check = of_rewards(tmp_path / "half", blank, both)["gold pages"]
    assert check.status == "warn" and check.detail.startswith("1 of 2 gold pages are not found")


def test_questions_of_another_language_are_doubted(tmp_path):
    question = Question(question_id="q", text="Wo ist der Wal?", gold_page_ids=("doc#2",))
    checks = of_rewards(tmp_path, TEXTS, question)
    assert not checks["searches"].ok and "language" in checks["searches"].detail
    assert checks["raw question"].status == "warn"


def test_the_rarest_words_of_a_page_are_its_own():
    pages = PageTexts.of({"a#1": "the Foxes and the whale", "a#2": "a fox", "a#3": "..."})
    assert rarest_words(pages, "a#1").split()[0] == "whale"
    assert rarest_words(pages, "a#3") == ""


@dataclass
class Careless:
    """A retriever that finds other pages in a batch than alone, and a page twice."""

    pages: PageTexts
    fingerprint: str = "careless"

    async def search(self, queries, top_k):  # noqa: ARG002
        ids = [*self.pages.page_ids][: 1 + (len(queries) > 1)]
        hits = tuple(Hit(page_id=ids[-1], rank=rank, score=1.0) for rank in (1, 2))
        return [Ranking(hits=hits, tracked=()) for _ in queries]


def test_a_retriever_that_breaks_the_seam_is_doubted():
    careless = Careless(PageTexts.of({"a#1": "fox", "a#2": "whale"}))
    queries = [Query(text="fox"), Query(text="whale")]
    batch = samples(careless, queries, 3)
    twice = union_and_intersection(careless, queries)
    assert isinstance(batch, Doubt) and "2 of them find other pages in a batch" in batch.detail
    assert isinstance(twice, Doubt) and "found twice" in twice.detail


class Embedding:
    """Embeds a text by its letters; a padding that counts shows as a last number that grows with the batch."""

    fingerprint = "letters"

    def __init__(self, padding: float) -> None:
        self.padding = padding

    def embed(self, texts, role):  # noqa: ARG002
        return np.array(
            [[len(text), text.count("e"), self.padding * len(texts)] for text in texts], np.float32
        )


def test_an_embedder_must_say_the_same_in_a_batch():
    texts = ["seventeen", "the fox", "whale"]
    assert "3 numbers a vector" in index_checks.embeds(Embedding(0.0), texts)
    other = index_checks.embeds(Embedding(5.0), texts)
    assert isinstance(other, Doubt) and "in a batch than alone" in other.detail
    with pytest.raises(InputError, match="without a direction"):
        index_checks.embeds(Embedding(0.0), ["", "fox"])


def test_a_retriever_that_embeds_is_asked_for_its_model(tmp_path):
    plain = index_of(tmp_path, ["fox"]).retriever
    model = Embedding(0.0)
    dense = DenseRetriever(plain.pages, "f", model, lambda: None)
    assert index_checks.embedders([plain]) == []
    assert index_checks.embedders(index_checks.with_parts(tmp_path / "index", dense)) == [model]


@pytest.mark.parametrize(
    "settings", [{"action_format": "tools"}, {"observation": "both"}, {"observation": "image", "shots": 2}]
)
def test_the_chat_template_is_checked_for_the_episode(world, settings):
    assert found(model=str(world / "model"), episode=EpisodeConfig(**settings))["model"].ok


def test_a_template_that_rewrites_history_is_named(world, tmp_path):
    shutil.copytree(world / "model", tmp_path / "model")
    template = tmp_path / "model" / "chat_template.jinja"
    text = template.read_text()
    assert "message.content" in text or "message['content']" in text
    template.write_text(
        "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper }}<|im_end|>\n{%- endfor %}"
    )
    check = found(model=str(tmp_path / "model"))["model"]
    assert not check.ok
    assert "changes what was said" in check.detail


def test_an_import_of_verl_that_dies_without_a_word_is_said(monkeypatch):
    monkeypatch.setattr("drag_rl.doctor.environment.PLUGIN_LOADS", "import os; os.kill(os.getpid(), 9)")
    (check,) = [check for check in examine_environment() if check.name == "verl plugin"]
    assert not check.ok and check.detail == "importing verl ended with status -9, without a word"
