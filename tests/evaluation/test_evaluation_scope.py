"""Evaluation in the document that a question is asked of: every policy stays there, and every result says so."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import trajectory_lab as lab
from fake_openai import FakeServer
from handoff_lab import given_pages
from policies_lab import BASELINES, play_by_name

from drag_rl.cli.main import main
from drag_rl.episode import EpisodeConfig
from drag_rl.evaluation.continuation import with_continuations
from drag_rl.evaluation.results import read_results
from drag_rl.evaluation.trec import write_trec
from drag_rl.files.manifest import read_manifest
from drag_rl.questions import write_questions
from drag_rl.splits import document_of
from drag_rl.trajectories.counts import Counts
from drag_rl.trajectories.rows import read_trajectories, trajectory_from_row, trajectory_to_row

SCOPED = tuple(replace(question, document=document_of(question)) for question in lab.QUESTIONS)
MIXED = (*SCOPED[:3], *lab.QUESTIONS[4:7])
CONFIG = EpisodeConfig(think=False, max_turns=3, top_k=2, scope="document")


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scope")
    lab.make_index(folder)
    write_questions(folder / "questions.parquet", MIXED, "test")
    return folder


def drag(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def evaluated(capsys, data, output, *more):
    given = ("--questions", data / "questions.parquet", "--index", data / "index", "--policy", "raw-question")
    code, out, err = drag(capsys, "evaluate", *given, "--output", output, *more)
    assert code == 0, err
    return out, read_results(output)


@pytest.mark.parametrize("repeat_pages", [True, False])
@pytest.mark.parametrize("name", BASELINES)
def test_no_policy_leaves_the_document(index, name, repeat_pages):
    config = CONFIG.model_copy(update={"repeat_pages": repeat_pages})
    for question in SCOPED[::5]:
        outcome = play_by_name(name, index, question, config)
        assert outcome.searches and outcome.scope == question.document
        hits = [hit.page_id for turn in outcome.turns for hit in turn.hits]
        assert hits and all(page_id.startswith(f"{question.document}#") for page_id in hits)
        assert all(rank is None or rank <= 4 for turn in outcome.searches for rank in turn.corpus_ranks)


def test_words_that_an_oracle_chooses_rank_gold_best_within_the_document(index):
    for question in SCOPED[::3]:
        oracle, raw = (
            play_by_name(name, index, question, CONFIG).turns[0].gold_rank
            for name in ("oracle-words", "raw-question")
        )
        assert oracle is not None and oracle <= (raw or 4)


def test_reading_on_stays_in_the_document(index):
    question = SCOPED[0]
    config = CONFIG.model_copy(update={"top_k": 3})
    early = [
        lab.played(index, question, [lab.answer("Nothing.")], config.model_copy(update={"scope": scope}))
        for scope in ("document", "corpus")
    ]
    asked = replace(question, text="stage rotor nozzle blade replace")  # words of other documents
    early = [replace(one, outcome=replace(one.outcome, question=asked)) for one in early]
    assert [one.continued for one in with_continuations(early, index.retriever)] == [True, False]


def test_a_row_says_the_document_and_one_that_is_older_has_none(index):
    trajectory = lab.played(index, SCOPED[0], [lab.search("seal")], CONFIG)
    row = json.loads(json.dumps(trajectory_to_row(trajectory)))
    assert (row["document"], row["episode"]["scope"], row["corpus_pages"]) == ("pumps", "document", 4)
    assert trajectory_from_row(row) == trajectory
    del row["document"], row["episode"]["scope"]
    assert trajectory_from_row(row).outcome.scope is None


def test_a_collection_says_how_many_episodes_stayed_in_their_document(index):
    for config, said in (
        (CONFIG, " 3 searched in the document of their question, the others everywhere."),
        (lab.PLAIN, ""),
    ):
        counts = Counts()
        for question in MIXED:
            counts.add(lab.played(index, question, [lab.search("seal")], config))
        assert counts.by_name()["in_document"] == (3 if said else 0)
        assert ("the document of their question" in counts.paragraph(1.0)) == bool(
            said
        ) and said in counts.paragraph(1.0)


def test_runs_say_that_they_are_of_documents(index, tmp_path):
    scoped, everywhere = (
        [lab.played(index, question, [lab.search("seal rotor")], config) for question in MIXED]
        for config in (CONFIG, lab.PLAIN)
    )
    for trajectories, tag, count in ((scoped, "first-in-document", 3), (everywhere, "first", 0)):
        write_trec(tmp_path, trajectories, index.retriever)
        lines = [line.split() for line in (tmp_path / "first.run").read_text().splitlines()]
        assert {line[-1] for line in lines} == {tag}
        assert read_manifest(tmp_path).counts["in_document"] == count
        own = [line[2] for line in lines if line[0] == "pumps-1"]
        assert all(page_id.startswith("pumps#") for page_id in own) == bool(count)


def test_results_say_where_each_question_was_searched_and_comparisons_that_it_differs(data, tmp_path, capsys):
    episode = ("--episode", "think=false answer=false max_turns=1")
    said, everywhere = evaluated(capsys, data, tmp_path / "corpus.json", *episode)
    assert "20 pages\n" in said and everywhere.in_document == 0
    said, scoped = evaluated(
        capsys, data, tmp_path / "document.json", "--episode", f"{episode[1]} scope=document"
    )
    assert "20 pages, 3 searched in their own document\n" in said
    assert scoped.config["episode"]["scope"] == "document" and scoped.in_document == 3
    where = {row.question_id: row.scope for row in scoped.rows}
    assert where == {question.question_id: question.document or None for question in MIXED}
    counts = read_manifest(tmp_path / "document.trajectories.jsonl").counts
    assert (counts["episodes"], counts["in_document"]) == (6, 3)
    trajectories = read_trajectories(tmp_path / "document.trajectories.jsonl")
    assert [one.outcome.scope for one in trajectories].count("pumps") == 3
    code, out, err = drag(capsys, "compare", tmp_path / "corpus.json", tmp_path / "document.json", "--json")
    assert code == 0, err
    assert json.loads(out)["pairs"][0]["notes"] == [
        "0 questions were searched in their own document in the base and 3 here"
    ]
    code, out, _ = drag(capsys, "compare", tmp_path / "document.json", tmp_path / "corpus.json")
    assert code == 0 and "3 questions in their own document" in out
    assert "Not only the policy differs: 3 questions were searched in their own document" in " ".join(
        out.split()
    )


def test_what_the_generator_s_control_reads_is_of_the_document(data, tmp_path, capsys):
    with FakeServer(lambda _: "It needs care.") as server:
        more = ("--generator", server.url, "--generator-model", "large", "--generator-pages", "raw")
        evaluated(capsys, data, tmp_path / "r.json", *more, "--episode", "max_turns=2 top_k=4 scope=document")
        given = [{page_id.partition("#")[0] for page_id in given_pages(one)} for one in server.requests]
    assert given.count({"pumps"}) == 3 and max(map(len, given)) > 1


def test_a_document_that_is_not_in_the_index_is_named_at_the_start(data, tmp_path, capsys):
    lost = replace(SCOPED[0], gold_page_ids=("lost#1",), document="lost")
    write_questions(tmp_path / "q.parquet", [SCOPED[4], lost], "test")
    given = ("--questions", tmp_path / "q.parquet", "--index", data / "index", "--policy", "raw-question")
    code, _, err = drag(capsys, "collect", *given, "--out", tmp_path / "t", "--episode", "scope=document")
    assert code == 2 and "question pumps-1" in err and "lost" in err and not (tmp_path / "t").exists()
