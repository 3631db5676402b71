"""DeepRetrieval's literature searches over a dump of the documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from convert_lab import converted

from drag_rl.cli.main import main
from drag_rl.errors import InputError


def write(path: Path, rows: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pico(p: str, *, gold: dict[str, list[object]], date: str = "2020/01/01") -> dict[str, object]:
    return {"pico": {"P": p, "I": "steroids", "C": "placebo", "O": "relapse"}, "pub_date": date, **gold}


def test_questions_of_both_kinds_over_one_dump(tmp_path) -> None:
    source = tmp_path / "raw_data"
    train = [
        pico("adults with asthma", gold={"publication_pmids": ["11", "12", "99"]}),
        pico("children", gold={"publication_pmids": ["98"]}),
        pico("nobody", gold={"publication_pmids": []}),
        {"pico": {}, "publication_pmids": ["11"]},
    ]
    test = [pico("adults", gold={"trial_nctids": ["NCT00000001"]})]
    write(source / "pubmed/train.jsonl", train)
    write(source / "ctgov/test.jsonl", test)
    documents = [
        {"_id": "12", "title": "Steroids", "text": "They help."},
        {"_id": "11", "title": "Asthma", "text": "In adults."},
        {"_id": "NCT00000001", "text": "A trial."},
    ]
    corpus = write(tmp_path / "dump.jsonl", documents)
    found = converted("deepretrieval", source, tmp_path / "out", reader_options={"corpus": corpus})

    known = {row["_id"] for row in documents}  # read independently
    for path in sorted(source.rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            gold = [one for one in row.get("publication_pmids", row.get("trial_nctids")) if one in known]
            text = "\n".join(f"{part}: {value}" for part, value in row["pico"].items())
            if gold and text:
                assert found.gold[text] == tuple(f"{one}#1" for one in gold)
    assert [len(own) for own in found.splits.values()] == [1, 1]
    assert {question.question_id for question in found.questions.values()} == {
        "pubmed-train-1",
        "ctgov-test-1",
    }
    assert found.pages["11#1"].text == "Asthma\n\nIn adults."
    assert found.dropped == {
        "gold_documents_that_are_not_in_the_corpus": 2,
        "questions_that_are_wrong": 1,
        "questions_whose_gold_is_not_in_the_corpus": 1,
        "questions_without_gold_page": 1,
    }


def test_the_dump_may_lie_in_the_source_and_must_be_there(tmp_path) -> None:
    source = tmp_path / "source"
    write(source / "train.jsonl", [pico("adults", gold={"publication_pmids": [11]})])
    with pytest.raises(
        InputError, match=r"--corpus .*corpus\.jsonl: no such file; the data set has no documents"
    ):
        converted("deepretrieval", source, tmp_path / "out")
    write(source / "corpus.jsonl", [{"_id": "11", "text": "In adults."}])
    found = converted("deepretrieval", source, tmp_path / "out")
    assert list(found.gold.values()) == [("11#1",)]


def test_the_command_takes_the_dump_and_names(tmp_path, capsys) -> None:
    source = tmp_path / "source"
    write(source / "test.jsonl", [pico("adults", gold={"publication_pmids": [11]})])
    corpus = write(tmp_path / "dump.jsonl", [{"_id": "11", "text": "In adults."}, {"_id": "12", "text": "-"}])
    (tmp_path / "ids.json").write_text('["test-1"]')
    words = ["data", "convert", "deepretrieval", "--source", str(source), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--corpus", str(corpus), "--include-json", str(tmp_path / "ids.json")])
    assert "questions test: 1" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--corpus", str(corpus), "--documents", str(tmp_path / "none.txt")])
    assert "none.txt: cannot be read" in capsys.readouterr().err
    (tmp_path / "some.txt").write_text("11\n13\n")
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--corpus", str(corpus), "--documents", str(tmp_path / "some.txt")])
    assert "--documents: '13' is no document of the data set" in capsys.readouterr().err
