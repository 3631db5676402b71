"""A folder of images becomes pages like any others: found, read, shown, limited, and resumed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import image_files
import pytest
from PIL import Image

from drag_rl.corpus import worker_pool
from drag_rl.corpus.copies import copies
from drag_rl.corpus.image_documents import read_image_document
from drag_rl.corpus.image_pages import read_page_image
from drag_rl.corpus.image_sources import find_image_sources, source_from
from drag_rl.corpus.images import PageImages
from drag_rl.corpus.ingest import ingest_images
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.parts import Parts
from drag_rl.corpus.pdf_pages import NO_TESSERACT, ReadOptions
from drag_rl.corpus.redactions import write_redactions
from drag_rl.errors import InputError
from drag_rl.files.codec import to_json


@pytest.fixture
def image_dir(tmp_path: Path) -> Path:
    """A deck of three images, a scan of two pages in one file, and a lone image; three have their text beside them."""
    folder = tmp_path / "scans"
    (folder / "deck").mkdir(parents=True)
    for number in (10, 9, 1):
        image_files.page(str(number)).save(folder / "deck" / f"slide{number}.png")
    (folder / "deck" / "slide9.txt").write_text("\ufeffRotor  brake\r\n", encoding="utf-8")
    image_files.write_tiff(folder / "scan.tif", [image_files.page("1"), image_files.page("2", "yellow")])
    (folder / "scan.txt").write_text("Oil pressure\fOil temperature\f")
    image_files.page("lone", mode="L").save(folder / "Lone.JPG")
    (folder / "notes.md").write_text("no image")
    return folder


def read(image_dir: Path, pages_dir: Path, **options: object):
    return ingest_images(image_dir, pages_dir, ReadOptions(**options))


def test_folders_are_documents_and_images_are_pages(image_dir: Path, tmp_path: Path) -> None:
    done = read(image_dir, tmp_path / "pages")
    pages = load_pages(tmp_path / "pages")
    assert [(page.page_id, page.source_file, page.text, page.status) for page in pages] == [
        ("Lone#1", "Lone.JPG", "", "ok"),
        ("deck#1", "deck/slide1.png", "", "ok"),
        ("deck#2", "deck/slide9.png", "Rotor  brake", "ok"),
        ("deck#3", "deck/slide10.png", "", "ok"),
        ("scan#1", "scan.tif#1", "Oil pressure", "ok"),
        ("scan#2", "scan.tif#2", "Oil temperature", "ok"),
    ]
    assert {page.reason for page in pages if not page.text} == {NO_TESSERACT}
    assert (done.manifest.counts["pages"], done.manifest.counts["documents"]) == (6, 3)
    assert [page.width_pt for page in pages] == [60.0] * 6


def test_images_are_shown_with_their_own_pixels_within_the_budget(image_dir: Path, tmp_path: Path) -> None:
    read(image_dir, tmp_path / "pages", ocr="off")
    images = PageImages(tmp_path / "pages")
    assert images.load("scan#2").getpixel((50, 30)) == (255, 255, 0)
    assert list(images.load("deck#2").getdata()) == list(image_files.page("9").getdata())
    small = PageImages(tmp_path / "pages", max_pixels=600)
    assert small.load("deck#2").size == small.size("deck#2") == (30, 20)
    write_redactions(tmp_path / "pages", {"deck#2": [(0, 0, 9, 20)]})
    hidden = PageImages(tmp_path / "pages").load("deck#2")
    assert [hidden.getpixel((2, y)) for y in (5, 35)] == [(255, 255, 255), (0, 0, 0)]


def test_a_folder_of_images_may_move_and_one_that_changed_is_named(image_dir: Path, tmp_path: Path) -> None:
    read(image_dir, tmp_path / "data" / "pages", ocr="off")
    image_dir.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"its folder of images .*scans is gone"):
        PageImages(tmp_path / "data" / "pages")
    shutil.move(tmp_path / "elsewhere", image_dir)
    image_files.page("other").save(image_dir / "deck" / "slide9.png")
    with pytest.raises(InputError, match=r"slide9\.png: has changed since it was ingested"):
        PageImages(tmp_path / "data" / "pages").path("deck#2")


@pytest.mark.parametrize(
    "write",
    [
        image_files.write_turned,
        image_files.write_sixteen_bits,
        image_files.write_transparent,
        image_files.write_pyramid,
        lambda path: image_files.page(mode="CMYK").save(path, quality=95),
        lambda path: image_files.page(mode="P").save(path),
        lambda path: image_files.page(mode="1").save(path),
        lambda path: image_files.page(mode="LA").save(path),
    ],
    ids=["turned", "16 bits", "transparent", "pyramid", "CMYK", "palette", "bilevel", "grey and alpha"],
)
def test_pixels_of_any_kind_are_upright_rgb_on_white(tmp_path: Path, request, write) -> None:
    suffix = {"turned": "jpg", "CMYK": "jpg", "pyramid": "tif"}.get(request.node.callspec.id, "png")
    write(tmp_path / f"page.{suffix}")
    image = read_page_image(tmp_path / f"page.{suffix}")
    assert (image.mode, image.size) == ("RGB", image_files.SIZE)
    dark, light = image.getpixel((4, 20)), image.getpixel((50, 30))
    assert max(dark) < 60, "the bar is on the left"
    assert min(light) > 220, "on white paper"


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("a.png", image_files.write_bomb, "has|exceeds limit"),
        ("a.jpg", image_files.write_truncated, "truncated"),
        ("a.webp", image_files.write_animated, "animated, with 2 pictures"),
        ("a.png", lambda path: path.write_text("text"), "not an image"),
        ("a.png", lambda path: path.touch(), "not an image"),
        ("a.tif", lambda path: Image.new("F", (9, 9)).save(path), "floating-point"),
        ("a.tif", lambda path: Image.new("I", (9, 9), 1 << 20).save(path), "no shades of 16 bits"),
    ],
    ids=["bomb", "truncated", "animated", "text", "empty", "float", "32 bits"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_that_cannot_be_a_page_is_a_failed_page_in_its_place(
    tmp_path: Path, name, write, reason
) -> None:
    folder = tmp_path / "scans" / "deck"
    folder.mkdir(parents=True)
    image_files.page().save(folder / "0.png")
    write(folder / name)
    image_files.page().save(folder / "z.png")
    (source,), problems = find_image_sources(tmp_path / "scans")
    result = read_image_document(tmp_path / "scans", source, ReadOptions(ocr="off"))
    assert [page.status for page in result.pages] == ["ok", "failed", "ok"]
    assert [problem.where for problem in result.problems] == ["deck#2"]
    assert not problems
    said = result.pages[1].reason
    assert str(tmp_path) not in said
    assert re.search(reason, said), said


def test_names_that_cannot_be_used_are_listed(image_dir: Path, tmp_path: Path) -> None:
    (image_dir / "deck.png").write_bytes((image_dir / "Lone.JPG").read_bytes())
    (tmp_path / "outside.png").write_bytes(b"")
    (image_dir / "deck" / "slide2.png").symlink_to(tmp_path / "outside.png")
    (image_dir / "empty").mkdir()
    sources, problems = find_image_sources(image_dir)
    assert [source.doc_id for source in sources] == ["Lone", "deck", "scan"]
    assert [(problem.where, problem.reason) for problem in problems] == [
        ("deck.png", "has the same document id as deck, which is used; rename one")
    ]
    pages = read_image_document(image_dir, sources[1], ReadOptions(ocr="off")).pages
    assert [page.status for page in pages] == ["ok", "failed", "ok", "ok"]
    assert "leads out of the folder" in pages[1].reason


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b" \n"])
def test_text_that_is_none_is_no_text(image_dir: Path, text: bytes) -> None:
    (image_dir / "deck" / "slide9.txt").write_bytes(text)
    sources, _ = find_image_sources(image_dir)
    page = read_image_document(image_dir, sources[1], ReadOptions(ocr="off")).pages[1]
    assert (page.text, page.text_source, page.status) == ("", "none", "ok")
    assert page.reason in ("deck/slide9.txt is not UTF-8", "no text beside the image")


def test_the_result_depends_on_the_files_alone(image_dir: Path, tmp_path: Path) -> None:
    one = ingest_images(image_dir, tmp_path / "one", ReadOptions(), workers=1)
    moved = tmp_path / "moved" / "elsewhere"
    shutil.copytree(image_dir, moved)
    two = ingest_images(moved, tmp_path / "two", ReadOptions(), workers=2)
    assert (one.manifest.fingerprint, one.manifest.inputs) == (two.manifest.fingerprint, two.manifest.inputs)
    assert load_pages(tmp_path / "one") == load_pages(tmp_path / "two")
    again = ingest_images(image_dir, tmp_path / "one", ReadOptions())
    assert (again.up_to_date, again.documents_read) == (True, 0)
    (image_dir / "scan.txt").write_text("New words")
    assert ingest_images(image_dir, tmp_path / "one", ReadOptions()).documents_read == 1


def test_what_a_killed_run_has_read_is_not_read_again(image_dir: Path, tmp_path: Path) -> None:
    sources, _ = find_image_sources(image_dir)
    parts = Parts(tmp_path / "pages" / ".parts", ReadOptions())
    parts.folder.mkdir(parents=True)
    list(worker_pool.read_documents(image_dir, sources[:2], parts, workers=1))
    assert read(image_dir, tmp_path / "pages").documents_read == 1


def test_an_image_that_changes_meanwhile_is_read_by_the_next_run(image_dir: Path) -> None:
    sources, _ = find_image_sources(image_dir)
    image_files.page("new").save(image_dir / "deck" / "slide1.png")
    result = read_image_document(image_dir, sources[1], ReadOptions(ocr="off"))
    assert result.given_up
    assert [page.status for page in result.pages] == ["failed", "ok", "ok"]


def test_a_source_goes_to_the_workers_and_back(image_dir: Path) -> None:
    sources, _ = find_image_sources(image_dir)
    assert [source_from(json.loads(to_json(source))) for source in sources] == sources


@pytest.mark.parametrize("made", [False, True])
def test_a_missing_folder_and_one_without_images_are_errors(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "scans").mkdir()
    with pytest.raises(InputError, match=r"--image-dir .*scans: (no such folder|holds no image)"):
        read(tmp_path / "scans", tmp_path / "pages")
    assert not (tmp_path / "pages").exists()


def test_decks_that_share_a_slide_are_no_copies_but_those_that_share_most_are(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    for deck, slides in {"a": "123", "b": "345", "c": "1236"}.items():
        (folder / deck).mkdir(parents=True)
        for slide in slides:
            image_files.page(slide).save(folder / deck / f"{slide}.png")
    read(folder, tmp_path / "pages", ocr="off")
    assert copies(load_pages(tmp_path / "pages")) == [{"a", "c"}]
