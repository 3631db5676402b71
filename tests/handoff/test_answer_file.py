"""A file of answers: whatever a kill leaves, the next run goes on; other settings are refused."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.handoff.answer_file import AnswerFile, AnswerRow
from drag_rl.types import Generated

FACTS = {"inputs": {"index": "a"}, "config": {"generator": {"model": "m", "pages": "raw"}}}
ROWS = [
    AnswerRow(
        question_id="q1", sample=0, generated=Generated(text="é\u2028", citations=("d#1",), page_ids=("d#1",))
    ),
    AnswerRow(question_id="q1", sample=1, generated=Generated(error="no")),
    AnswerRow(question_id="q2", sample=0, generated=Generated(refused=True, prompt_tokens=3, seconds=0.5)),
]


def write(path, rows, **options):
    with AnswerFile.open(path, **FACTS, **options) as file:
        for row in rows:
            if AnswerFile.key(row) not in file.done:
                file.append(row)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_at_any_byte_it_goes_on(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("cut") / "a.jsonl"
    write(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    write(path, ROWS)
    assert path.read_bytes() == whole and list(AnswerFile.rows(path)) == ROWS
    assert read_manifest(path).counts == {"answers": 3, "refused": 1, "errors": 1}


def test_failed_answers_are_asked_for_again(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, ROWS)
    write(path, [], retry_errors=True)
    assert list(AnswerFile.rows(path)) == [ROWS[0], ROWS[2]]


def test_other_settings_and_other_files_are_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, ROWS)
    changed = {**FACTS, "config": {"generator": {"model": "m", "pages": "gold"}}}
    with (
        pytest.raises(InputError, match=r"generator\.pages = raw, now it is gold"),
        AnswerFile.open(path, **changed),
    ):
        pass
    path.write_text('{"question_id": "q", "sample": 0}\n')
    with pytest.raises(InputError, match="line 1: generated: Field required"), AnswerFile.open(path, **FACTS):
        pass
    (tmp_path / "b.jsonl").write_text("hello\n")
    with (
        pytest.raises(InputError, match="was not made by drag evaluate"),
        AnswerFile.open(tmp_path / "b.jsonl", **FACTS),
    ):
        pass
