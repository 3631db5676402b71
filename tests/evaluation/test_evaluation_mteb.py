"""The same data set by our way and by mteb's: its loader reads the files, its evaluation searches our index, and the
numbers are the same."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean

import pyarrow as pa
import pytest
import vidore_lab

from data_preprocess.convert import convert_dataset
from data_preprocess.export import export_collection
from drag_rl.corpus.pages import load_pages
from drag_rl.episode import EpisodeConfig
from drag_rl.evaluation.evaluate import Evaluation, trajectories_path
from drag_rl.evaluation.mteb_model import IndexModel
from drag_rl.evaluation.results import Results
from drag_rl.policies.source import PolicyOptions
from drag_rl.questions import read_questions
from drag_rl.retrieval import build_index
from drag_rl.star.collection import Collection, Progress

WORDS = ["pump", "rotor", "valve", "cable", "lamp", "brake", "filter", "piston", "gear", "clutch"]
PAGES, QUERIES = 60, 12


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set as the hub has it, of pages with text and images, whose gold pages are graded and hard to find."""
    folder, draw = tmp_path_factory.mktemp("hub") / "machines", random.Random(0)
    page_ids, query_ids = [f"page-{n:03}" for n in range(PAGES)], [f"query-{n:03}" for n in range(QUERIES)]
    texts = [" ".join(draw.choices(WORDS, k=12)) for _ in page_ids]
    judged = [(query_id, page_id) for query_id in query_ids for page_id in draw.sample(page_ids, 4)]
    about = [texts[page_ids.index(page_id)].split() for _, page_id in judged[::4]]
    vidore_lab.write(
        folder / "corpus/test-00000-of-00001.parquet",
        {
            "id": (pa.string(), page_ids),
            "image": (vidore_lab.IMAGE, [vidore_lab.cell(text[:8]) for text in texts]),
            "text": (pa.string(), texts),
        },
    )
    vidore_lab.write(
        folder / "queries/test-00000-of-00001.parquet",
        {
            "id": (pa.string(), query_ids),
            "text": (pa.string(), [" ".join(draw.sample(words, 4)) for words in about]),
        },
    )
    vidore_lab.write(
        folder / "qrels/test-00000-of-00001.parquet",
        {
            "query-id": (pa.string(), [query_id for query_id, _ in judged]),
            "corpus-id": (pa.string(), [page_id for _, page_id in judged]),
            "score": (pa.int64(), [draw.choice([0, 1, 1, 2, 3]) for _ in judged]),
        },
    )
    vidore_lab.write_card(folder, ["corpus", "queries", "qrels"])
    return folder


def ours(source: Path, folder: Path, top_k: int) -> Results:
    """What ``drag evaluate --policy raw-question`` measures."""
    if not (folder / "index").exists():
        convert_dataset("vidore", source, folder / "pages", folder)
        build_index(folder / "pages", folder / "index")
    output = folder / f"top-{top_k}.json"
    return Evaluation(
        output=output,
        collection=Collection(
            policy=PolicyOptions(name="raw-question"),
            questions=folder / "questions.test.parquet",
            index=folder / "index",
            out=trajectories_path(output),
            episode=EpisodeConfig(think=False, max_turns=1, answer=False, top_k=top_k),
        ),
    ).run(Progress())


def theirs(source: Path, model: IndexModel) -> dict[str, float]:
    """What mteb's own evaluation finds with our index, on what its own loader reads."""
    import mteb
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Machines(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Machines",
            description="Pages about machines.",
            dataset={"path": str(source), "revision": "1"},
            type="DocumentUnderstanding",
            category="t2it",
            modalities=["text", "image"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_5",
        )

        def task_specific_scores(self, scores, *_others, **_more):
            """The means of all questions before mteb rounds them to five digits."""
            names = next(iter(scores.values()))
            return {name: fmean(row[name] for row in scores.values()) for name in names}

    found = mteb.evaluate(model, Machines(), cache=None, show_progress_bar=False, co2_tracker=False)
    return dict(found.task_results[0].scores["test"][0])


@pytest.mark.slow
def test_mteb_finds_our_numbers(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    results = ours(source, tmp_path / "ours", top_k=3)
    scores = theirs(source, IndexModel(folder=tmp_path / "mteb"))
    exact = {"hit@1": "success_1", "ndcg@5": "ndcg_cut_5", "ndcg@10": "ndcg_cut_10", "mrr": "mrr_at_1000"}
    exact |= {f"recall@{k}": f"recall_{k}" for k in (1, 5, 10, 20)}
    measured = {name: results.aggregate[f"first.{name}"].value for name in exact}
    assert 0.1 < measured["ndcg@5"] < 0.9, "neither easy nor hopeless"
    assert measured == pytest.approx({name: scores[theirs] for name, theirs in exact.items()}, abs=1e-6)
    assert measured["ndcg@10"] == pytest.approx(scores["ndcg_at_10"], abs=1e-5), "as it is reported"


@pytest.mark.slow
@pytest.mark.parametrize("images", [False, True])
def test_mteb_reads_what_we_export(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: bool
) -> None:
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    convert_dataset("vidore", source, tmp_path / "pages", tmp_path)
    export_collection(tmp_path, tmp_path / "pages", tmp_path / "exported", "mteb", images=images)
    found = RetrievalDatasetLoader(str(tmp_path / "exported"), revision="1").load()
    questions = read_questions(tmp_path / "questions.test.parquet")
    assert found["relevant_docs"] == {
        one.question_id: dict(zip(one.gold_page_ids, one.grades, strict=True)) for one in questions
    }
    assert dict(zip(found["queries"]["id"], found["queries"]["text"], strict=True)) == {
        one.question_id: one.text for one in questions
    }
    pages = {page.page_id: page.text for page in load_pages(tmp_path / "pages")}
    assert dict(zip(found["corpus"]["id"], found["corpus"]["text"], strict=True)) == pages
    if images:
        assert found["corpus"][0]["image"].size == (64, 48)


def test_ranks_are_exact_however_few_pages_are_shown(source: Path, tmp_path: Path) -> None:
    few, many = (ours(source, tmp_path / "ours", top_k) for top_k in (1, 20))
    assert few.aggregate["first.recall@20"].value > few.aggregate["pooled.recall@20"].value
    for name in ("mrr", "recall@1", "recall@5", "recall@10", "recall@20", "ndcg@5", "ndcg@10"):
        assert few.aggregate[f"first.{name}"] == many.aggregate[f"first.{name}"]
        assert few.aggregate[f"first.{name}"].low <= few.aggregate[f"first.{name}"].value
