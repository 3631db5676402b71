"""Pickled labels become judgements that questions are made of."""

from __future__ import annotations

import os
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from data_preprocess.pickled_labels import convert_labels
from data_preprocess.qrels import read_qrels
from drag_rl.errors import InputError


def pickled(path: Path, value: Any) -> Path:
    path.write_bytes(pickle.dumps(value))
    return path


def test_labels_of_every_shape_become_judgements(tmp_path: Path) -> None:
    labels: dict[Any, Any] = defaultdict(list)
    labels |= {"q 1": [7067032, "b"], 2: {"b": 3, "c": 0.0}, "q3": "a", "q4": {"z", "y"}, "q5": []}
    manifest = convert_labels(pickled(tmp_path / "labels.pkl", labels), tmp_path / "qrels.tsv")
    found = [(one.query_id, one.doc_id, one.grade) for one in read_qrels(tmp_path / "qrels.tsv")]
    assert found == [
        ("q 1", "7067032", 1),
        ("q 1", "b", 1),
        ("2", "b", 3),
        ("2", "c", 0),
        ("q3", "a", 1),
        ("q4", "y", 1),
        ("q4", "z", 1),
    ]
    assert manifest.counts == {"queries": 5, "queries_without_documents": 1, "judgements": 7}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["q1"], "holds a list, not a dict"),
        ({"q1": {"a": 0.5}}, "query 'q1': grade '0.5' of 'a' is no whole number"),
        ({"q1": ["a\tb"]}, "is no id of a query or document"),
        ({"q1": [None]}, "'None' is no id of a query or document"),
        ({"q1": os.system}, r"labels\.pkl: holds posix\.system, which is no plain data"),
    ],
)
def test_other_labels_are_refused_in_one_line(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert_labels(pickled(tmp_path / "labels.pkl", value), tmp_path / "qrels.tsv")
    assert not (tmp_path / "qrels.tsv").exists()
