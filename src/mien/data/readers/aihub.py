"""AI Hub data set 82, "composite images for Korean emotion recognition": seven acted expressions, phone photographs.

Lists `[라벨]EMOIMG_기쁨_TRAIN/img_emotion_training_data(기쁨).json` (`..._VALID/img_emotion_validation_data(...)`) and
pictures `[원천]EMOIMG_기쁨_TRAIN_01/*.jpg` at any depth: public code finds them below `Training` and `Validation`. A
list is a JSON array of records:

    {"filename": "<64 digits>_여_20_기쁨_숙박 및 거주공간_20210126165538-010-011.jpg", "gender": "여", "age": 20,
     "isProf": "전문인", "faceExp_uploader": "기쁨", "bg_uploader": "...",
     "annot_A": {"boxes": {"maxX": ..., "maxY": ..., "minX": ..., "minY": ...}, "faceExp": "기쁨", "bg": "..."}, ...}

The digits stand for the person who uploaded, so they are the subject here; person and time of upload are the clip.
Boxes are pixels of the upright picture, as one public report measured on photographs with orientation tags. All of this
is known from public code and reports only; the set itself needs an approved Korean account.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from mien.core.errors import MienError
from mien.core.labels import COLLAPSES, label_set
from mien.core.records import Box, Sample
from mien.data.readers.listing import walk
from mien.data.readers.reader import Reader, is_picture

# What the annotators chose from, in Hangul, in the Revised Romanisation, and as English re-exports name the folders.
CLASS_NAMES = {
    "기쁨": "joy", "당황": "embarrassment", "분노": "anger", "불안": "anxiety", "상처": "hurt", "슬픔": "sadness",
    "중립": "neutral", "gippeum": "joy", "danghwang": "embarrassment", "bunno": "anger", "buran": "anxiety",
    "bulan": "anxiety", "sangcheo": "hurt", "seulpeum": "sadness", "jungnip": "neutral", "junglib": "neutral",
    "panic": "embarrassment", "embarrassed": "embarrassment", "embarrass": "embarrassment", "anxious": "anxiety",
    "pain": "hurt", "normal": "neutral",
}  # fmt: skip
UNKNOWN = ("알수없음", "알 수 없음", "unknown", "")
LABELS = ("majority", "unanimous", "uploader")
_ANNOTATORS = ("annot_A", "annot_B", "annot_C")
_EDGES = ("minX", "minY", "maxX", "maxY")
_WAY_OUT = "Expected AI Hub's folders with img_emotion_training_data(...).json and the unpacked pictures."


class AiHub(Reader):
    """Seven (or three) classes by the votes of three annotators; the supplied Validation folder is the split "test".

    label: "majority" takes a class that at least two annotators chose, "unanimous" one that all three chose, "uploader"
    what the person was asked to act (on a quarter of the embarrassed faces no two annotators see it). Votes for
    "unknown" count for no class; every sample has the distribution of the others. classes: 7, or 3 (positive, neutral,
    negative: the votes are merged first). The box is the median of the annotators' edges. split: "published" keeps
    train apart from Validation, "none" reads all as one split "all", to cut by person.
    """

    name = "aihub"
    signs = (
        "*EMOIMG_*", "Training/*EMOIMG_*", "Validation/*EMOIMG_*", "*/*Training/*EMOIMG_*",
        "*/*Training/*/*EMOIMG_*", "*/img_emotion_*_data*.json", "*/*/img_emotion_*_data*.json",
    )  # fmt: skip

    def __init__(self, root: Path, *, label: str = "majority", classes: int = 7, split: str = "published") -> None:
        super().__init__(root)
        self.choose("label", label, LABELS)
        self.choose("classes", classes, (7, 3))
        self.choose("split", split, ("published", "none"))
        self.label, self._seven = label, label_set("aihub")
        self.labels = self._seven if classes == 7 else label_set("aihub3")
        merged = COLLAPSES["aihub", "aihub3"] if classes == 3 else {}
        self._class = {name: self.labels.index(merged.get(name, name)) for name in self._seven.classes}
        self._lists, self._pictures = self._walk(divided=split == "published")
        if not self._lists:
            self.need(self.root / "Training", way_out=_WAY_OUT)
            raise self.error(f"no list (.json) under {self.root}. {_WAY_OUT}")
        self.valid_is_test = "test" in self._lists
        self.splits = tuple(name for name in ("train", "test", "all") if name in self._lists)

    def _walk(self, *, divided: bool) -> tuple[dict[str, list[Path]], dict[str, dict[str, str]]]:
        """Split → list files; split → picture name (NFC) → path."""
        lists: dict[str, list[Path]] = {}
        pictures: dict[str, dict[str, str]] = {}
        for parent, names in walk(self.root):
            in_validation = "valid" in self.key_of(Path(parent)).lower()
            split = ("test" if in_validation else "train") if divided else "all"
            lists.setdefault(split, []).extend(Path(parent, name) for name in names if name.lower().endswith(".json"))
            pictures.setdefault(split, {}).update(
                (_plain(name), f"{parent}/{name}") for name in names if is_picture(name)
            )
        return {split: tables for split, tables in lists.items() if tables}, pictures

    def _read(self, split: str) -> list[Sample]:
        pictures, dropped = self._pictures.get(split, {}), Counter[str]()
        samples, missing, listed = list[Sample](), list[Path](), set[str]()
        for table in self._lists[split]:
            for number, record in enumerate(self._records(table), 1):
                where = f"{table}, record {number}"
                name = self._file_name(record, where)
                if name in listed:
                    dropped["listed twice"] += 1
                    continue
                listed.add(name)
                if (path := pictures.get(name)) is None:
                    missing.append(table.parent / name)
                elif isinstance(sample := self._sample(record, Path(path), split, where), str):
                    dropped[sample] += 1
                else:
                    samples.append(sample)
        self.refuse_missing(missing, listed_in=self.root, total=len(listed))
        self._note_dropped(dropped, split, len(pictures) - len(listed & pictures.keys()))
        return samples

    def _note_dropped(self, dropped: Counter[str], split: str, unlisted: int) -> None:
        if dropped:
            why = ", ".join(f"{reason} {count:,}" for reason, count in sorted(dropped.items()))
            self.note(f"{split}: {dropped.total():,} faces are left out ({why}).")
        if unlisted:
            self.note(f"{split}: {unlisted:,} pictures have no label in the lists and are not read.")

    def _records(self, table: Path) -> Iterator[dict[str, Any]]:
        """One record after the other: a list of 60,000 as objects all at once would take 300 MB."""
        content = table.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp949", "replace")  # as some unpack it
        decoder, at, count = json.JSONDecoder(), text.find("[") + 1, 0
        if not at or text[: at - 1].strip():
            raise self.error(f"{table}: not a JSON list of records. {_WAY_OUT}")
        while (at := _next(text, at)) < len(text) and text[at] != "]":
            count += 1
            try:
                record, at = decoder.raw_decode(text, at)
            except ValueError as error:
                raise self.error(f"{table}, record {count}: broken JSON ({error}). Copy the list again.") from error
            if not isinstance(record, dict):
                raise self.error(f"{table}, record {count}: expected an object; got {str(record)[:40]!r}.")
            yield record
        if at >= len(text):
            raise self.error(f"{table}: the list is cut short after {count:,} records. Copy it again.")

    def _file_name(self, record: dict[str, Any], where: str) -> str:
        name = record.get("filename")
        if not isinstance(name, str) or not name:
            raise self.error(f"{where}: no filename among {', '.join(record)}.")
        return _plain(name.replace("\\", "/").rpartition("/")[2])

    def _sample(self, record: dict[str, Any], path: Path, split: str, where: str) -> Sample | str:
        """The sample, or why it is left out."""
        assert self.labels is not None
        annotations = [record.get(who) or {} for who in _ANNOTATORS]
        named = [str(annotation.get("faceExp") or "") for annotation in annotations]
        votes = [self._index(name, where) for name in named if _plain(name).strip() not in UNKNOWN]
        counts = [votes.count(i) for i in range(len(self.labels))]
        expression = self._expression(record, counts, where)
        if isinstance(expression, str):
            return expression
        distribution = tuple(count / len(votes) for count in counts) if votes else None
        person, _, rest = unicodedata.normalize("NFC", path.name).partition("_")
        upload = rest.rpartition("_")[2].partition("-")[0]
        return Sample(
            unicodedata.normalize("NFC", self.key_of(path)), path, split, expression, distribution,
            self._box([annotation.get("boxes") for annotation in annotations], where),
            subject=person if rest else None, clip=f"{person} {upload}" if rest else None,
        )  # fmt: skip

    def _expression(self, record: dict[str, Any], counts: list[int], where: str) -> int | str:
        if self.label == "uploader":
            return self._index(str(record.get("faceExp_uploader", "")), where)
        if not any(counts):
            return "no votes"
        needed = len(_ANNOTATORS) if self.label == "unanimous" else 2
        return counts.index(max(counts)) if max(counts) >= needed else "no agreement"

    def _index(self, name: str, where: str) -> int:
        plain = _plain(name).strip()
        try:
            return self._class[self._seven.classes[self._seven.index(CLASS_NAMES.get(plain.casefold(), plain))]]
        except MienError:
            known = ", ".join(name for name in CLASS_NAMES if not name.isascii())
            raise self.error(f"{where}: expression {name!r} is none of the seven ({known}).") from None

    def _box(self, drawn: list[Any], where: str) -> Box | None:
        """The median of each edge over the annotators who drew a box; None where none did."""
        try:
            boxes = [tuple(float(box[edge]) for edge in _EDGES) for box in drawn if box]
        except (KeyError, TypeError, ValueError):
            raise self.error(f"{where}: a box has minX, minY, maxX, maxY as numbers; got {drawn}.") from None
        edges = list(zip(*(box for box in boxes if box[2] > box[0] and box[3] > box[1]), strict=True))
        if not edges:
            return None
        x0, y0, x1, y1 = map(median, edges)
        return x0, y0, x1, y1


def _plain(name: str) -> str:
    """One spelling of a name: Hangul composed, the extension small, `&` as the `_` that unpacking makes of it."""
    stem, dot, suffix = unicodedata.normalize("NFC", name).replace("&", "_").rpartition(".")
    return stem + dot + suffix.lower()


def _next(text: str, at: int) -> int:
    """Where the next record begins."""
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at
