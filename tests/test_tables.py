"""Tables of parts: ours first, then what installed packages add; a wrong name gets one line with the choices."""

from __future__ import annotations

import sys

import pytest

from drag_rl.errors import InputError
from drag_rl.tables import Table

GROUP = "drag_rl.test_parts"
OURS = {"hypotenuse": "math:hypot", "nothing": None, "factor": "json.decoder:JSONDecoder.decode"}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put packages with entry points on the path, as pip does."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(package, source, **points):
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {module}:{attribute}" for name, attribute in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))

    return install


def test_a_table_keeps_its_order_and_imports_what_is_used_only():
    table = Table("part", {"late": "antigravity:nothing", **OURS})
    assert "antigravity" not in sys.modules
    assert table.choices() == tuple(table) == ("late", "hypotenuse", "nothing", "factor")
    assert len(table) == 4 and "late" in table and "early" not in table
    assert table["hypotenuse"](3, 4) == 5
    assert table["nothing"] is None
    assert table.find("factor", "--part").__name__ == "decode"
    with pytest.raises(KeyError):
        table["early"]


def test_an_unknown_name_lists_the_choices_and_says_which_option():
    table = Table("policy", {"raw": 1, "model": 2}, plural="policies")
    with pytest.raises(InputError) as caught:
        table.find("modle", "--policy")
    assert str(caught.value) == "--policy: unknown policy 'modle'; known policies: raw, model"


def test_an_installed_package_adds_parts_after_ours(install):
    install("parts-of-others", "def double(x): return 2 * x", zeta="double", alpha="double")
    table = Table("part", OURS, group=GROUP)
    assert table.choices() == (*OURS, "alpha", "zeta")
    assert len(table) == 5
    assert table.find("zeta", "--part")(4) == 8
    assert Table("part", OURS).choices() == tuple(OURS)


def test_a_part_that_cannot_be_imported_names_its_package_and_harms_no_other(install):
    install("broken-parts", "import no_such_library\n", broken="Part")
    install("vague-parts", "", vague="Part")
    table = Table("part", OURS, group=GROUP)
    with pytest.raises(
        InputError, match=r"^package broken-parts 1\.0: its part 'broken' .*no_such_library"
    ) as caught:
        table.find("broken", "--part")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"^package vague-parts 1\.0: its part 'vague' \(vague_parts:Part\)"):
        table.find("vague", "--part")
    assert table["hypotenuse"](3, 4) == 5


def test_no_package_takes_over_a_name_silently(install):
    install("first-parts", "part = 1", hypotenuse="part", shared="part", own="part")
    install("second-parts", "part = 2", shared="part")
    table = Table("part", OURS, group=GROUP)
    with pytest.raises(
        InputError, match=r"'hypotenuse' is given by drag-rl itself and by package first-parts 1\.0"
    ):
        table.find("hypotenuse", "--part")
    with pytest.raises(
        InputError, match=r"is given by package first-parts 1\.0 and by package second-parts 1\.0"
    ):
        table.find("shared", "--part")
    assert table["own"] == 1
    assert table.choices() == (*OURS, "own", "shared")
