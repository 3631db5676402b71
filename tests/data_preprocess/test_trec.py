"""What TREC's documents are without their headers."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.trec import MAX_CHARS, sgml_documents

REFERENCE = re.compile("<DOCHDR>.*?</DOCHDR>", re.DOTALL)


@given(st.lists(st.sampled_from(["<DOCHDR>", "</DOCHDR>", "word", "more"]), max_size=12))
def test_headers_are_left_out_and_nothing_else(tmp_path_factory, pieces: list[str]) -> None:
    text = " ".join(pieces)
    file = tmp_path_factory.mktemp("trec") / "documents.sgml"
    file.write_text(f"<DOC><DOCNO>a</DOCNO>\n{text}\n</DOC>\n", encoding="utf-8")
    [found] = sgml_documents(file, DroppedRows())
    assert found.text.split() == re.findall("word|more", REFERENCE.sub("", text))


def test_headers_that_never_end_are_passed_once(tmp_path) -> None:
    """By a pattern that looks for the end of each, it would take hours."""
    file, rows = tmp_path / "documents.sgml", DroppedRows()
    lines = ["<DOCHDR>" * 100] * (MAX_CHARS // 8 // 801)
    file.write_text("\n".join(["<DOC><DOCNO>a</DOCNO>", *lines, "</DOC>"]), encoding="utf-8")
    assert len(list(sgml_documents(file, rows))) == 1
