"""Archives that others made: nothing leads out of the folder, unpacks without bound, or is taken for what it is not."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from data_preprocess.pdf_files import find_pdfs
from data_preprocess.zip_members import Member, UnreadableMemberError, members, read_member, unpack
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem


def archive(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


def listed(path: Path) -> tuple[list[Member], list[Problem]]:
    problems: list[Problem] = []
    return members(path, (".pdf",), problems), problems


def test_only_the_last_part_of_a_name_counts(tmp_path) -> None:
    names = ["../../etc/a.pdf", "/abs/b.pdf", "..\\c.pdf", "docs/", "docs/d.PDF", "x/._e.pdf", "f.txt"]
    found, problems = listed(archive(tmp_path / "a.zip", dict.fromkeys(names, b"%PDF-")))
    assert [member.file for member in found] == ["a.pdf", "b.pdf", "c.pdf", "d.PDF"]
    assert not problems
    for member in found:
        unpack(member, tmp_path / "out" / member.file)
    assert {path.name for path in tmp_path.rglob("*.pdf")} == {"a.pdf", "b.pdf", "c.pdf"}
    assert {path.parent.name for path in tmp_path.rglob("*.pdf")} == {"out"}


def test_members_of_one_name_are_refused_as_nobody_knows_which_is_meant(tmp_path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out, pytest.warns(UserWarning, match="Duplicate name"):
        for name, data in [("a.pdf", b"%PDF-1"), ("b.pdf", b"%PDF-2"), ("a.pdf", b"%PDF-3")]:
            out.writestr(name, data)
    found, problems = listed(path)
    assert [member.name for member in found] == ["b.pdf"]
    assert [(one.where, one.reason) for one in problems] == [
        ("a.zip: a.pdf", "is there 2 times; which one is meant cannot be told")
    ]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path) -> None:
    path = archive(tmp_path / "bomb.zip", {"a.pdf": bytes(1 << 20)})
    with pytest.raises(InputError, match="would unpack to 1048576 bytes, more than 100 times its"):
        members(path, (".pdf",), [])


def test_a_large_member_is_not_read(tmp_path) -> None:
    (member,), _ = listed(archive(tmp_path / "a.zip", {"a.pdf": os.urandom(2000)}))
    with pytest.raises(UnreadableMemberError, match="unpacks to more than 1999 bytes"):
        read_member(member, 1999)
    assert len(read_member(member, 2000)) == 2000


def test_links_and_encrypted_members_are_listed_as_problems(tmp_path) -> None:
    path = tmp_path / "a.zip"
    link = zipfile.ZipInfo("link.pdf")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(link, "/etc/passwd")
        out.writestr("secret.pdf", b"%PDF-")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1) + 8] |= 1  # the flag of the second entry
    path.write_bytes(data)
    found, problems = listed(path)
    assert not found
    assert {problem.where: problem.reason for problem in problems} == {
        "a.zip: link.pdf": "is a link",
        "a.zip: secret.pdf": "is encrypted",
    }


def test_a_damaged_member_is_left_out_and_the_others_are_unpacked(tmp_path, make_pdf) -> None:
    good, bad = make_pdf(["Rotor"]), make_pdf(["Pump"])
    path = archive(tmp_path / "a.zip", {"good.pdf": good, "bad.pdf": bad}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(bad) + 100] ^= 0xFF
    path.write_bytes(data)
    found = find_pdfs(tmp_path).documents(lambda _doc_id: True, tmp_path / "out")
    assert [source.doc_id for source in found.sources] == ["good"]
    (problem,) = found.problems
    assert problem.where == "a.zip: bad.pdf"
    assert problem.reason.startswith("cannot be unpacked (Bad CRC-32")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["good.pdf"]  # nothing half written


def test_what_is_unpacked_stays_and_what_is_not_whole_is_unpacked_again(tmp_path) -> None:
    (member,), _ = listed(archive(tmp_path / "a.zip", {"a.pdf": b"%PDF- one"}))
    target = tmp_path / "out/a.pdf"
    unpack(member, target)
    os.utime(target, ns=(1, 1))
    unpack(member, target)
    assert target.stat().st_mtime_ns == 1
    target.write_bytes(b"%PDF- two")  # as long, and something else
    unpack(member, target)
    assert target.read_bytes() == b"%PDF- one"


def test_what_is_no_archive_is_one_line(tmp_path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"a\.zip: cannot be read as a zip archive"):
        find_pdfs(tmp_path)


def test_files_win_over_an_archive_that_holds_no_more_of_them(tmp_path, make_pdf) -> None:
    archive(tmp_path / "a.zip", {"docs/a.pdf": make_pdf(["x"]), "docs/b.pdf": make_pdf(["y"])})
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.pdf").write_bytes(make_pdf(["x"]))
    assert set(find_pdfs(tmp_path).archived) == {"a", "b"}
    (tmp_path / "docs/b.pdf").write_bytes(make_pdf(["y"]))
    found = find_pdfs(tmp_path)
    assert found.files == {"a": "docs/a.pdf", "b": "docs/b.pdf"}
    assert not found.archived
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.pdf").write_bytes(make_pdf(["z"]))
    (problem,) = find_pdfs(tmp_path).problems
    assert problem.reason == "has the same name as docs/a.pdf, which is used"
