"""What a cluster reads is what one machine reads, whatever is killed; a file that a node does not see is named."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from vidore_lab import picture

from data_preprocess import cluster_texts, sorted_pages
from data_preprocess.bad_rows import DroppedRows
from data_preprocess.convert import convert_dataset
from data_preprocess.corpus_lines import LineCorpus, json_documents
from drag_rl.corpus.cluster_reading import read_batch, read_on_cluster, wait_until_seen
from drag_rl.corpus.ingest import PARTS_FOLDER, ingest_images, ingest_pdfs
from drag_rl.corpus.pages import PAGES_FILE, load_pages
from drag_rl.corpus.parts import Parts
from drag_rl.corpus.pdf_pages import ReadOptions, failed_document
from drag_rl.corpus.reading_options import reading_of
from drag_rl.corpus.sources import find_sources
from drag_rl.errors import InputError
from drag_rl.files.manifest import MANIFEST, read_manifest

DOCUMENTS, PAGES = 8, 60
OPTIONS = ReadOptions(ocr="off")


@pytest.fixture
def few(pdf_dir: Path) -> tuple[Path, Parts]:
    """Two PDFs and the folder where parts of them go."""
    parts = Parts(pdf_dir.parent / "parts", OPTIONS)
    parts.folder.mkdir()
    return pdf_dir, parts


def test_a_node_reads_what_is_missing(few: tuple[Path, Parts]) -> None:
    folder, parts = few
    sources, _ = find_sources(folder)
    kept = failed_document(sources[0], "read by another try")
    parts.save(sources[0], kept)
    read_batch(folder, sources, parts, sources[0], parts.key(sources[0]))
    first, second = (parts.load(source) for source in sources)
    assert first == kept
    assert second is not None and [page.text for page in second.pages] == ["Rotor blades", "Rotor brake"]


def test_a_node_that_does_not_see_a_file_says_so(few: tuple[Path, Parts]) -> None:
    folder, parts = few
    sources, _ = find_sources(folder)
    key = parts.key(sources[0])
    (folder / sources[1].file).unlink()
    with pytest.raises(
        InputError, match=r"on node .*, there is no .*manuals/rotor.pdf: with --ray, documents"
    ):
        read_batch(folder, sources, parts, sources[0], key)
    assert parts.load(sources[0]) is None, "nothing is read before all is seen"
    with pytest.raises(InputError, match=r"there is no .*elsewhere: with --ray"):
        read_batch(folder, sources[:1], replace(parts, folder=folder / "elsewhere"), sources[0], key)


def test_a_node_that_would_read_in_another_way_says_so(few: tuple[Path, Parts]) -> None:
    folder, parts = few
    sources, _ = find_sources(folder)
    with pytest.raises(InputError, match="another version"):
        read_batch(folder, sources, parts, sources[0], "key of a newer PyMuPDF")
    other = replace(parts, options=ReadOptions(tessdata="/tessdata", tessdata_sha256="other"))
    with pytest.raises(InputError, match="Tesseract has no or other files of --ocr-language eng"):
        read_batch(folder, sources, other, sources[0], parts.key(sources[0]))


def test_parts_that_are_never_seen_are_named(few: tuple[Path, Parts]) -> None:
    folder, parts = few
    sources, _ = find_sources(folder)
    with pytest.raises(InputError, match=r"what node far has read of engine.pdf is not seen here"):
        wait_until_seen(parts, sources, "far", patience_s=0.05)


def test_workers_are_of_one_machine() -> None:
    assert reading_of(3, False) == {"workers": 3}
    assert reading_of(None, True) == {"read": read_on_cluster}
    with pytest.raises(InputError, match="--workers 3"):
        reading_of(3, True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, make_pdf: Any) -> Path:
    """``pdfs``, one of them damaged, ``scans``, and what one machine reads of them: ``pages`` and ``images``."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "pdfs").mkdir()
    data = make_pdf([f"Page {number} of the manual, on rotor {number % 7}." for number in range(PAGES)])
    for number in range(DOCUMENTS):
        (folder / "pdfs" / f"manual{number:02}.pdf").write_bytes(data)
    (folder / "pdfs" / "damaged.pdf").write_bytes(b"%PDF-1.7 and no more")
    for number in range(6):
        (folder / "scans" / f"deck{number}").mkdir(parents=True)
        Image.new("RGB", (40, 30), (number, 0, 0)).save(folder / "scans" / f"deck{number}" / "1.png")
        (folder / "scans" / f"deck{number}" / "1.txt").write_text(f"Slide of deck {number}")
    ingest_pdfs(folder / "pdfs", folder / "pages", OPTIONS)
    ingest_images(folder / "scans", folder / "images", OPTIONS)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of a CPU each; this process is connected."""
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_raylet_start_wait_time_s", "120")  # on a busy machine
        cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
        cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def same_files(one: Path, other: Path) -> None:
    """The same files of the same bytes, manifests but for seconds and times."""
    names = [sorted(path.name for path in folder.iterdir()) for folder in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        if name != MANIFEST:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
    first, second = (replace(read_manifest(folder), seconds=0.0) for folder in (one, other))
    assert first == second


def same_pages(one: Path, other: Path) -> None:
    """The same rows, in the same order, in files of the same bytes; the same manifests but for seconds and places."""
    assert (one / PAGES_FILE).read_bytes() == (other / PAGES_FILE).read_bytes()
    manifests = []
    for folder in (one, other):
        manifest = asdict(read_manifest(folder))
        manifests.append(
            {name: value for name, value in manifest.items() if name not in ("seconds", "created")}
        )
    assert manifests[0] == manifests[1]


@pytest.mark.slow  # two Ray nodes
@pytest.mark.usefixtures("cluster")
def test_a_cluster_reads_what_one_machine_reads(corpus: Path) -> None:
    done = ingest_pdfs(corpus / "pdfs", corpus / "pages2", OPTIONS, read=read_on_cluster)
    assert done.documents_read == DOCUMENTS + 1
    same_pages(corpus / "pages", corpus / "pages2")
    ingest_images(corpus / "scans", corpus / "images2", OPTIONS, read=read_on_cluster)
    same_pages(corpus / "images", corpus / "images2")
    assert ingest_pdfs(corpus / "pdfs", corpus / "pages2", OPTIONS, read=read_on_cluster).up_to_date


@pytest.mark.slow  # two Ray nodes
@pytest.mark.usefixtures("cluster")
def test_a_cluster_converts_what_one_machine_converts(tmp_path: Path) -> None:
    source = tmp_path / "docvqa"
    (source / "documents").mkdir(parents=True)
    rows = []
    for number in range(1, 9):
        name = f"deed{number % 3}_{number}"
        (source / f"documents/{name}.png").write_bytes(picture(name))
        rows.append(
            {
                "questionId": number,
                "question": f"Who signed deed {number}?",
                "answers": ["Ann"],
                "docId": number,
                "ucsf_document_id": f"deed{number % 3}",
                "ucsf_document_page_no": f"{number}",
                "image": f"documents/{name}.png",
                "data_split": "val",
            }
        )
    (source / "val_v1.0_withQT.json").write_text(json.dumps({"dataset_name": "x", "data": rows}))
    pages = tmp_path / "pages"
    convert_dataset("docvqa", source, pages, tmp_path / "questions")
    pages.rename(tmp_path / "here")
    convert_dataset("docvqa", source, pages, tmp_path / "again", reading={"read": read_on_cluster})
    assert len(load_pages(pages)) == 8
    same_pages(tmp_path / "here", pages)


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Collections of 3,000 texts with rows that are wrong or there twice: name of the data set -> its folder."""
    folder = tmp_path_factory.mktemp("collections")
    texts = {f"d{number * 7919 % 3001}": f"Of rotor {number}, blade {number % 50}." for number in range(3000)}
    rows = [json.dumps({"_id": name, "title": "Rotor", "text": text}) for name, text in texts.items()]
    rows[40:40] = ["{", json.dumps({"_id": "d7919"}), json.dumps({"_id": next(iter(texts)), "text": "twice"})]
    beir, nq = folder / "beir", folder / "nq"
    (beir / "qrels").mkdir(parents=True)
    nq.mkdir()
    (beir / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    (beir / "queries.jsonl").write_text('{"_id": "q", "text": "Which rotor?"}\n')
    (beir / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td3\t2\nq\tnone\t1\n")
    contents = [{"id": name, "contents": f"Rotor\n{text}"} for name, text in texts.items()]
    with gzip.open(nq / "wiki.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, contents)))
    asked = [
        {"id": f"q{n}", "question": f"Which blade is of rotor {n}?", "golden_answers": [f"rotor {n}"]}
        for n in range(0, 3000, 30)
    ]
    (nq / "train.jsonl").write_text("\n".join(map(json.dumps, asked)))
    return {"beir": beir, "flashrag": nq}


def convert_texts(name: str, source: Path, out: Path, *, ray: bool) -> None:
    """Convert a collection to a folder that is called ``out`` while it is made, as manifests name it."""
    reading = reading_of(None, True) if ray else None
    convert_dataset(name, source, out / "pages", out / "questions", reading=reading)


@pytest.mark.slow  # two Ray nodes
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("name", ["beir", "flashrag"])
def test_a_cluster_converts_the_texts_that_one_machine_converts(
    collections: dict[str, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    convert_texts(name, collections[name], out, ray=False)
    out.rename(tmp_path / "here")
    monkeypatch.setattr(cluster_texts, "PIECE_BYTES", 9000)
    monkeypatch.setattr(sorted_pages, "MAX_RUNS", 5)
    convert_texts(name, collections[name], out, ray=True)
    assert len(load_pages(out / "pages")) == 3000
    for folder in ("pages", "questions"):
        same_files(tmp_path / "here" / folder, out / folder)


@pytest.mark.slow  # two Ray nodes
@pytest.mark.usefixtures("cluster")
def test_texts_that_a_killed_run_has_read_are_not_read_again(
    collections: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_texts, "PIECE_BYTES", 9000)
    whole = (collections["beir"] / "corpus.jsonl").read_bytes()
    (tmp_path / "corpus.jsonl").write_bytes(whole[: len(whole) // 2])
    corpus = LineCorpus(files=[tmp_path / "corpus.jsonl"], read=json_documents, rows=DroppedRows())
    with pytest.raises(KeyboardInterrupt), cluster_texts.read_on_cluster(corpus, tmp_path):
        raise KeyboardInterrupt
    folder = tmp_path / cluster_texts.PARTS_FOLDER
    kept = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (tmp_path / "corpus.jsonl").write_bytes(whole)
    again = replace(corpus, rows=DroppedRows())
    with cluster_texts.read_on_cluster(again, tmp_path) as runs:
        read = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        pages = list(sorted_pages.merged_pages(runs, tmp_path / "pages", lambda _kept, _other: None))
    assert kept.items() <= read.items() and 20 < len(kept) < len(read), "nothing is read again"
    assert not folder.exists()
    here = replace(corpus, rows=DroppedRows())
    assert pages == list(sorted_pages.sorted_pages(here, tmp_path / "pages", lambda _kept, _other: None))
    assert again.rows == here.rows and here.rows.problems


@pytest.mark.slow  # two Ray nodes
def test_a_killed_run_resumes(corpus: Path, cluster: Any) -> None:
    words = [
        "ingest",
        "--pdf-dir",
        str(corpus / "pdfs"),
        "--out",
        str(corpus / "killed"),
        "--ocr",
        "off",
        "--ray",
    ]
    run = subprocess.Popen(
        [sys.executable, "-c", "import sys; from drag_rl.cli.main import main; main(sys.argv[1:])", *words],
        env=os.environ | {"RAY_ADDRESS": cluster.address},
    )
    parts = corpus / "killed" / PARTS_FOLDER
    while run.poll() is None and len(list(parts.glob("*.json"))) < 2:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, "it was killed before it had ended"
    done = ingest_pdfs(corpus / "pdfs", corpus / "killed", OPTIONS, read=read_on_cluster)
    assert 0 < done.documents_read < DOCUMENTS
    same_pages(corpus / "pages", corpus / "killed")


@pytest.mark.slow  # two Ray nodes
@pytest.mark.usefixtures("cluster")
def test_a_file_that_is_gone_ends_in_one_line(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus / "scans", tmp_path / "scans")
    parts = Parts(tmp_path, OPTIONS)
    sources, _ = find_sources(corpus / "pdfs")
    with pytest.raises(
        InputError, match=r"--ray: documents cannot be read: on node .*, there is no "
    ) as failed:
        list(read_on_cluster(tmp_path / "scans", sources, parts))
    assert "\n" not in str(failed.value)


@pytest.mark.slow  # the last, as it takes a node away
def test_what_a_lost_node_had_is_read_elsewhere(corpus: Path, cluster: Any, tmp_path: Path) -> None:
    sources, _ = find_sources(corpus / "pdfs")
    parts = Parts(tmp_path, OPTIONS)
    (lost,) = cluster.worker_nodes
    read = []
    for number, progress in enumerate(read_on_cluster(corpus / "pdfs", sources, parts)):
        read.append(progress.source)
        if number == 0:
            cluster.remove_node(lost, allow_graceful=False)
    assert sorted(read) == sources
    pages = [page for source in sources if (found := parts.load(source)) for page in found.pages]
    assert pages == load_pages(corpus / "pages")
