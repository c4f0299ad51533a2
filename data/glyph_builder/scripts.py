"""Scripts of the glyph data set: their letters, font faces and splits.

Each script has one row in `SCRIPTS`. Its letters are the code points in `blocks` whose Unicode name begins with
`prefix`. Its faces are the files `FAMILY-*.ttf` of all its families, in all weights and widths. `select` chooses the
letters that are kept.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

MOST_CHARACTERS = 36
FEWEST_CHARACTERS = 10
FIRST = ("Latin", "Greek", "Cyrillic")  # these keep a shape that several scripts have, because most students know them

# Scripts that are always left out: very large or ideographic sets, scripts in stacked or vertical layout, and scripts
# with several alphabets.
SKIPPED = {
    "Anatolian Hieroglyphs": "hieroglyphs",
    "Cuneiform": "cuneiform, as are Old Persian and Ugaritic",
    "Duployan": "shorthand, needs complex layout",
    "Egyptian Hieroglyphs": "hieroglyphs",
    "Linear A": "hundreds of pictorial signs",
    "Linear B": "hundreds of pictorial signs",
    "Mongolian": "vertical, needs complex layout",
    "Nushu": "ideographic",
    "Phags-pa": "vertical, needs complex layout",
    "Tangut": "ideographic",
    "Tifinagh": "the twelve fonts draw twelve regional alphabets; any one of them is a single face",
    "Yi": "ideographic",
}


@dataclass(frozen=True)
class Script:
    """A script.

    `prefix`: start of the Unicode names of its letters. `blocks`: ranges of code points, with both ends included.
    `families`: its font families.
    """

    name: str
    prefix: str
    blocks: tuple[tuple[int, int], ...]
    families: tuple[str, ...]


def _script(name: str, blocks: str, families: str, prefix: str | None = None) -> Script:
    pairs = tuple((int(a, 16), int(b, 16)) for a, b in (block.split("-") for block in blocks.split()))
    return Script(name, (prefix or name).upper(), pairs, tuple("Noto" + family for family in families.split()))


# The Display families are left out: they are designed for large sizes, and their thin strokes vanish at 28 pixels.
_EUROPEAN = "Sans SansMono Serif"

SCRIPTS: tuple[Script, ...] = (
    _script("Adlam", "1E900-1E943", "SansAdlam SansAdlamUnjoined"),
    _script("Arabic", "0621-064A 0671-06D3", "NaskhArabic KufiArabic NastaliqUrdu SansArabic"),
    _script("Armenian", "0531-0587", "SansArmenian SerifArmenian"),
    _script("Balinese", "1B05-1B33 1B45-1B4B", "SansBalinese SerifBalinese"),
    _script("Bamum", "A6A0-A6EF", "SansBamum"),
    _script("Bengali", "0985-09B9 09DC-09E1", "SansBengali SerifBengali"),
    _script("Canadian Aboriginal", "1401-166C", "SansCanadianAboriginal", "Canadian Syllabics"),
    _script("Cham", "AA00-AA28 AA40-AA4B", "SansCham"),
    _script("Cherokee", "13A0-13F5", "SansCherokee"),
    _script("Cyrillic", "0402-045F", _EUROPEAN),
    _script("Devanagari", "0904-0939 0972-097F", "SansDevanagari SerifDevanagari"),
    _script("Ethiopic", "1200-135A", "SansEthiopic SerifEthiopic"),
    _script("Georgian", "10D0-10FA", "SansGeorgian SerifGeorgian"),
    _script("Grantha", "11305-11339", "SansGrantha SerifGrantha"),
    _script("Greek", "0391-03C9", _EUROPEAN),
    _script("Gujarati", "0A85-0AB9", "SansGujarati SerifGujarati"),
    _script("Gurmukhi", "0A05-0A39 0A59-0A5E 0A72-0A74", "SansGurmukhi SerifGurmukhi"),
    _script("Hanifi Rohingya", "10D00-10D23", "SansHanifiRohingya"),
    _script("Hebrew", "05D0-05EA", "SansHebrew SerifHebrew RashiHebrew"),
    _script("Javanese", "A984-A9B2", "SansJavanese"),
    _script("Kannada", "0C85-0CB9 0CDE-0CE1", "SansKannada SerifKannada"),
    _script("Kayah Li", "A90A-A925", "SansKayahLi"),
    _script("Khmer", "1780-17B3", "SansKhmer SerifKhmer"),
    _script("Khojki", "11200-1122B", "SansKhojki SerifKhojki"),
    _script("Lao", "0E81-0EB0 0EC0-0EC4", "SansLao SerifLao LoopedLao"),
    _script("Latin", "0041-005A 0061-007A 00C6-00FE", _EUROPEAN),
    _script("Lisu", "A4D0-A4F7", "SansLisu"),
    _script("Malayalam", "0D05-0D3A 0D54-0D61 0D7A-0D7F", "SansMalayalam SerifMalayalam"),
    _script("Medefaidrin", "16E40-16E7F", "SansMedefaidrin"),
    _script("Meetei Mayek", "ABC0-ABE2", "SansMeeteiMayek"),
    _script("Myanmar", "1000-102A 103F-103F 1050-105D 1061-1066 106E-1081", "SansMyanmar SerifMyanmar"),
    _script("Nyiakeng Puachue Hmong", "1E100-1E12C", "SerifNyiakengPuachueHmong"),
    _script("Ol Chiki", "1C5A-1C77", "SansOlChiki"),
    _script("Oriya", "0B05-0B39 0B5F-0B61 0B71-0B71", "SansOriya"),
    _script("Sinhala", "0D85-0DC6", "SansSinhala SerifSinhala"),
    _script("Sora Sompeng", "110D0-110E8", "SansSoraSompeng"),
    _script("Sundanese", "1B83-1BA0 1BAE-1BAF 1BBA-1BBF", "SansSundanese"),
    _script("Syriac", "0710-074F", "SansSyriac"),
    _script("Tai Tham", "1A20-1A54", "SansTaiTham"),
    _script("Tamil", "0B83-0BB9", "SansTamil SerifTamil SerifTamilSlanted"),
    _script("Telugu", "0C05-0C39 0C58-0C61", "SansTelugu SerifTelugu"),
    _script("Thaana", "0780-07A5 07B1-07B1", "SansThaana"),
    _script("Thai", "0E01-0E30 0E32-0E32 0E40-0E45", "SansThai SerifThai LoopedThai"),
    _script("Tibetan", "0F40-0F6C 0F88-0F8C", "SerifTibetan"),
    _script("Yezidi", "10E80-10EA9", "SerifYezidi"),
)


def split_scripts(names: Iterable[str]) -> dict[str, str]:
    """The split of each script. Sorted by the SHA-256 of their names: 60 % train, 15 % validation, the rest test."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    train, validation = round(0.60 * len(ordered)), round(0.75 * len(ordered))
    return {
        name: "train" if i < train else "validation" if i < validation else "test" for i, name in enumerate(ordered)
    }
