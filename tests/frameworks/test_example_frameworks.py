"""``examples/`` for other frameworks find what the index finds."""

from __future__ import annotations

import asyncio
import runpy
import sys
from pathlib import Path

import pytest
import trajectory_lab as lab

from drag_rl import open_retriever, search

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frameworks")
    lab.make_index(folder)
    return folder / "index"


@pytest.fixture(scope="module")
def expected(index):
    retriever = open_retriever(index)
    return [
        (hit.page_id, retriever.pages.text(hit.page_id), hit.score) for hit in search(retriever, "seal", 3)
    ]


@pytest.mark.parametrize("name", ["langchain", "llama_index", "haystack"])
def test_the_command_prints_the_pages(name, index, expected, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example", str(index), "seal"])
    runpy.run_path(str(EXAMPLES / f"{name}_retriever.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [page_id for page_id, *_ in expected]


def test_llama_index_gets_nodes_with_scores(index, expected):
    example = runpy.run_path(str(EXAMPLES / "llama_index_retriever.py"))
    retriever = example["DragRetriever"](str(index), top_k=3)
    for found in (retriever.retrieve("seal"), asyncio.run(retriever.aretrieve("seal"))):
        assert [(node.node_id, node.text, node.score) for node in found] == expected


def test_haystack_keeps_the_component_in_a_pipeline(index, expected):
    import haystack

    example = runpy.run_path(str(EXAMPLES / "haystack_retriever.py"))
    component = example["DragRetriever"](str(index), top_k=3)
    again = type(component).from_dict(component.to_dict())
    pipeline = haystack.Pipeline()
    pipeline.add_component("pages", again)
    found = pipeline.run({"pages": {"query": "seal"}})["pages"]["documents"]
    assert [(document.id, document.content, document.score) for document in found] == expected
