"""PDFs that are valid, small, and ask for more time or memory than anybody has."""

from __future__ import annotations

import zlib
from collections.abc import Sequence


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """A PDF of numbered objects, of which the first is the catalogue."""
    data, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, body in enumerate(objects, start=1):
        table += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj%bendobj\n" % (number, body)
    size = len(objects) + 1
    return data + b"xref\n0 %d\n%btrailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        table,
        size,
        len(data),
    )


def page_of(content: bytes, resources: bytes, *others: bytes, box: bytes = b"0 0 400 300") -> bytes:
    """A PDF of one page; the other objects are numbered from 5."""
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[%b]/Contents 4 0 R/Resources<<%b>>>>" % (box, resources),
            stream(b"", content),
            *others,
        ]
    )


def stream(entries: bytes, data: bytes) -> bytes:
    """A stream object."""
    return b"<<%b/Length %d>>stream\n%b\nendstream " % (entries, len(data), data)


def nested_patterns(levels: int = 8) -> bytes:
    """Each pattern paints its cells with the next one: thousands of tiles, to the power of ``levels``."""
    patterns = [
        stream(
            b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 300 300]/XStep 3/YStep 3"
            b"/Matrix[1 0 0 1 0 0]/Resources<</Pattern<</P %d 0 R>>>>" % (number + 6),
            b"/Pattern cs /P scn 0 0 300 300 re f",
        )
        for number in range(levels)
    ]
    last = stream(
        b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 300 300]/XStep 3/YStep 3/Resources<<>>",
        b"1 0 0 rg 0 0 300 300 re f",
    )
    return page_of(b"/Pattern cs /P scn 0 0 400 300 re f", b"/Pattern<</P 5 0 R>>", *patterns, last)


def nested_forms(levels: int = 12, repeats: int = 10) -> bytes:
    """Each form draws the next one ten times: ten to the power of ``levels`` rectangles."""
    forms = [
        stream(
            b"/Type/XObject/Subtype/Form/BBox[0 0 400 300]/Resources<</XObject<</F %d 0 R>>>>" % (number + 6),
            b"/F Do " * repeats,
        )
        for number in range(levels)
    ]
    last = stream(b"/Type/XObject/Subtype/Form/BBox[0 0 400 300]/Resources<<>>", b"0 0 400 300 re f")
    return page_of(b"/F Do", b"/XObject<</F 5 0 R>>", *forms, last)


def nested_glyphs(levels: int = 12, repeats: int = 10) -> bytes:
    """The same with Type 3 fonts, whose glyphs write in the next font."""
    objects = []
    for number in range(levels):
        font, glyph = 5 + 2 * number, 6 + 2 * number
        inner = b"/Font<</F %d 0 R>>" % (font + 2) if number + 1 < levels else b""
        words = b"BT /F 1 Tf (%b) Tj ET" % (b"a" * repeats) if inner else b"0 0 1 1 re f"
        objects += [
            b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]/FirstChar 97/LastChar 97"
            b"/Widths[1]/Encoding<</Type/Encoding/Differences[97/a]>>/CharProcs<</a %d 0 R>>"
            b"/Resources<<%b>>>>" % (glyph, inner),
            stream(b"", b"1 0 d0 " + words),
        ]
    return page_of(b"BT /F 9 Tf (a) Tj ET", b"/Font<</F 5 0 R>>", *objects)


def many_strokes(count: int = 1_000_000) -> bytes:
    """One path of very many curves, packed: it needs time, and gigabytes."""
    line = b"0 0 m " + b"400 300 0 300 400 0 c 0 0 l " * 50
    return page_of(
        b"/F Do",
        b"/XObject<</F 5 0 R>>",
        stream(
            b"/Type/XObject/Subtype/Form/BBox[0 0 400 300]/Resources<<>>/Filter/FlateDecode",
            zlib.compress(line * (count // 50) + b"S", 1),
        ),
    )
