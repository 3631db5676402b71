"""Data sets of ViDoRe in miniature, in the layouts of the hub, with the traps that the real ones have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(text: str, kind: str = "PNG") -> bytes:
    """The encoded image of a page."""
    image = Image.new("RGB", (64, 48), "white")
    ImageDraw.Draw(image).text((4, 4), text, fill="black")
    data = io.BytesIO()
    image.save(data, format=kind)
    return data.getvalue()


def cell(text: str, kind: str = "PNG") -> dict[str, object]:
    """An image as the hub's writers keep it."""
    return {"bytes": picture(text, kind), "path": None}


def write(path: Path, columns: dict[str, tuple[pa.DataType, Sequence[object]]]) -> None:
    """A parquet file of these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: pa.array(values, type=kind) for name, (kind, values) in columns.items()}
    pq.write_table(pa.table(arrays), path)


def v1_pairs(folder: Path) -> Path:
    """``docvqa_test_subsampled``: a row for each query and page, in two shards."""

    def shard(number: int, rows: list[tuple[object, str, object, str]]) -> None:
        queries, names, answers, pages = zip(*rows, strict=True)
        write(
            folder / f"data/test-{number:05}-of-00002.parquet",
            {
                "questionId": (
                    pa.string(),
                    [None if query is None else f"q{query}"[:9] for query in queries],
                ),
                "query": (pa.string(), queries),
                "image": (IMAGE, [cell(name, "JPEG") for name in names]),
                "docId": (pa.int64(), [4720] * len(rows)),
                "image_filename": (pa.string(), names),
                "page": (pa.string(), pages),
                "answer": (pa.string(), answers),
            },
        )

    shard(0, [("What is the date?", "a.png", "1 May", "3"), (None, "b.png", None, "4")])
    shard(1, [("Who signed it?", "a.png", None, "3"), ("What is the date?", "c.png", "2 May", "1")])
    return folder


def v1_beir(folder: Path) -> Path:
    """``*_beir``: ids are numbers, scores floats, one image plain bytes and one missing."""
    images = [picture("zero"), picture("one"), None, picture("three")]
    write(
        folder / "corpus/test-00000-of-00001.parquet",
        {"corpus-id": (pa.int64(), [0, 1, 2, 3]), "image": (pa.binary(), images)},
    )
    write(
        folder / "queries/test-00000-of-00001.parquet",
        {"query-id": (pa.int64(), [0, 1, 2, 3]), "query": (pa.string(), ["zero?", "one?", "two?", None])},
    )
    write(
        folder / "qrels/test-00000-of-00001.parquet",
        {
            "query-id": (pa.int64(), [0, 0, 1, 2, 3, 1, 1]),
            "corpus-id": (pa.int64(), [0, 1, 1, 2, 0, 9, 3]),
            "score": (pa.float64(), [1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5]),
        },
    )
    return folder


def v2(folder: Path) -> Path:
    """``esg_reports_v2``: as BEIR, with languages of queries and documents of pages."""
    write(
        folder / "corpus/test-00000-of-00001.parquet",
        {
            "corpus-id": (pa.int64(), [1, 2, 3]),
            "image": (IMAGE, [cell("x1"), cell("x2"), cell("y1")]),
            "doc-id": (pa.string(), ["x.pdf", "x.pdf", "y.pdf"]),
        },
    )
    write(
        folder / "queries/test-00000-of-00001.parquet",
        {
            "query-id": (pa.int64(), [1, 2, 3]),
            "query": (pa.string(), ["What grows?", "Qu'est-ce qui pousse ?", "What else?"]),
            "language": (pa.string(), ["english", "french", "english"]),
        },
    )
    write(
        folder / "qrels/test-00000-of-00001.parquet",
        {
            "query-id": (pa.int64(), [1, 1, 2, 3]),
            "corpus-id": (pa.int64(), [2, 3, 2, 1]),
            "score": (pa.int64(), [1, 1, 1, 0]),
        },
    )
    return folder


def v3(folder: Path) -> Path:
    """``vidore_v3_*``: underscores, pages that count from 0, markdown, grades, several answers, licences."""
    write(
        folder / "corpus/test-00000-of-00002.parquet",
        {
            "corpus_id": (pa.int64(), [10, 11]),
            "image": (IMAGE, [cell("m1"), cell("m0")]),
            "doc_id": (pa.string(), ["manual", "manual"]),
            "markdown": (pa.string(), ["# Oil\n\nChange the oil every 50 hours.", "# Rotor"]),
            "page_number_in_doc": (pa.int64(), [7, 3]),
        },
    )
    write(
        folder / "corpus/test-00001-of-00002.parquet",
        {
            "corpus_id": (pa.int64(), [12]),
            "image": (IMAGE, [cell("r")]),
            "doc_id": (pa.string(), ["report"]),
            "markdown": (pa.string(), [""]),
            "page_number_in_doc": (pa.int64(), [0]),
        },
    )
    write(
        folder / "queries/test-00000-of-00001.parquet",
        {
            "query_id": (pa.int64(), [1, 2, 3]),
            "query": (
                pa.string(),
                ["When is the oil changed?", "Quand change-t-on l'huile ?", "What turns?"],
            ),
            "language": (pa.string(), ["english", "french", "english"]),
            "query_types": (pa.list_(pa.string()), [["extractive"], ["extractive"], []]),
            "raw_answers": (pa.list_(pa.string()), [["50 hours", "every 50 hours"], None, ["the rotor"]]),
            "answer": (pa.string(), ["every 50 hours", "toutes les 50 heures", None]),
        },
    )
    write(
        folder / "qrels/test-00000-of-00001.parquet",
        {
            "query_id": (pa.int64(), [1, 1, 2, 3]),
            "corpus_id": (pa.int64(), [11, 10, 10, 11]),
            "score": (pa.int64(), [1, 2, 2, 1]),
            "content_type": (pa.list_(pa.string()), [["text"]] * 4),
        },
    )
    write(
        folder / "documents_metadata/test-00000-of-00001.parquet",
        {
            "doc_id": (pa.string(), ["manual", "report"]),
            "license": (pa.string(), ["CC BY 4.0", "Public domain"]),
        },
    )
    (folder / "README.md").write_text(
        "---\nlicense: cc-by-4.0\n---\n# V3\n```bibtex\n@misc{vidore3,\n  title={V3}\n}\n```\n"
    )
    return folder


def mteb(folder: Path) -> Path:
    """MTEB's own layout: ids are texts, languages stand before the configs, and the hub's card names the configs."""
    configs = []
    for language, queries in {
        "english": ["What grows?", "Rotor?"],
        "french": ["Qu'est-ce qui pousse ?", "Rotor ?"],
    }.items():
        ids = [f"query-{language}-{n}" for n in range(2)]
        write(
            folder / f"{language}-corpus/test-00000-of-00001.parquet",
            {
                "id": (pa.string(), ["corpus-test-0", "corpus-test-1"]),
                "image": (IMAGE, [cell("grows"), cell("rotor")]),
                "text": (pa.string(), ["What grows here is grass.", "The rotor turns."]),
            },
        )
        write(
            folder / f"{language}-queries/test-00000-of-00001.parquet",
            {
                "_id": (pa.string(), ids),
                "text": (pa.string(), queries),
                "language": (pa.string(), [language] * 2),
            },
        )
        write(
            folder / f"{language}-qrels/test-00000-of-00001.parquet",
            {
                "query-id": (pa.string(), [*ids, ids[1]]),
                "corpus-id": (pa.string(), ["corpus-test-0", "corpus-test-1", "corpus-test-0"]),
                "score": (pa.int64(), [1, 2, 1]),
            },
        )
        configs += [f"{language}-{role}" for role in ("corpus", "queries", "qrels")]
    write_card(folder, configs)
    return folder


def write_card(folder: Path, configs: Sequence[str]) -> None:
    """The card of a data set, by which the hub's loaders find its configs."""
    listed = "".join(
        f"- config_name: {config}\n  data_files:\n  - split: test\n    path: {config}/test-*\n"
        for config in configs
    )
    (folder / "README.md").write_text(f"---\nlicense: mit\nconfigs:\n{listed}---\n# A set\n")
