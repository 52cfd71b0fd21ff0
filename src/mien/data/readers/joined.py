"""Several data sets read as one: a YAML file that lists them.

    labels: ferplus
    sets:
      - {name: ferplus, root: datasets/ferplus, reader: {majority: soft}}
      - {name: people, root: datasets/people, splits: {train: train}}

`root` is taken from the file's own folder, and so is `split_file`, which `mien data split` wrote: its parts then take
the place of that set's own splits. `splits` says which split of ours is which of theirs; without it all of
theirs keep their names. Keys begin with the set's name, subjects and clips too.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, nearest
from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers import open_reader
from mien.data.readers.divided import Divided
from mien.data.readers.reader import Reader
from mien.data.relabelling import relabelled
from mien.data.split_file import read_split_file
from mien.media.files import home_expanded
from mien.media.yaml_text import read_yaml

_KEYS = ("name", "root", "reader", "splits", "split_file")


class Joined(Reader):
    """The faces of several sets, in one class order; `root` is the YAML file (or a folder with `joined.yaml`).

    labels: a published order; by default the file's, else that of its first set. options: options by the sets' names
    that go before the file's own. Faces of a class that the order lacks are left out; `notes` counts them.
    """

    name = "joined"

    def __init__(
        self, root: Path, *, labels: str | None = None, options: dict[str, dict[str, Any]] | None = None
    ) -> None:
        file = root / "joined.yaml" if root.is_dir() else root
        super().__init__(file.parent)
        self.file = self.need(file, way_out="Expected a YAML file with a list `sets`.")
        content = self._content()
        self._readers = self._open(content["sets"], options or {})
        order = labels or content.get("labels")
        self.labels = label_set(order) if order else next(iter(self._readers.values()))[0].labels
        found = dict.fromkeys(split for _, splits in self._readers.values() for split in splits)
        proxies = dict.fromkeys(reader.affect_proxy for reader, _ in self._readers.values() if reader.affect_proxy)
        self.affect_proxy = "; ".join(proxies)
        self.splits = tuple(split for split in ("train", "valid", "test", "all") if split in found)

    def _content(self) -> dict[str, Any]:
        content = read_yaml(self.file)
        if not isinstance(content, dict) or not isinstance(content.get("sets"), list) or not content["sets"]:
            raise self.error(f"{self.file} has no list `sets` of data sets, each with a name and a root.")
        return content

    def _open(self, sets: list[Any], options: dict[str, dict[str, Any]]) -> dict[str, tuple[Reader, dict[str, str]]]:
        """Reader and splits (ours → theirs) by a name of its own: `ferplus`, or `ferplus_2` for a second one."""

        opened: dict[str, tuple[Reader, dict[str, str]]] = {}
        times: Counter[str] = Counter()
        for number, entry in enumerate(sets, 1):
            self._check(entry, number)
            times[entry["name"]] += 1
            own = entry["name"] if times[entry["name"]] == 1 else f"{entry['name']}_{times[entry['name']]}"
            given = entry.get("reader", {}) | options.get(own, {})
            reader = open_reader(entry["name"], self.root / home_expanded(entry["root"]), **given)
            if "split_file" in entry:
                divided_by = self.root / home_expanded(entry["split_file"])
                reader = Divided(reader, read_split_file(divided_by), where=str(divided_by))
            splits = entry.get("splits") or {split: split for split in reader.splits}
            opened[own] = reader, {ours: reader.resolve(theirs) for ours, theirs in splits.items()}
        for name in options:
            if name not in opened:
                raise self.error(f"options for {name!r}, which {self.file} does not list.{nearest(name, opened)}")
        return opened

    def _check(self, entry: Any, number: int) -> None:
        where = f"{self.file}, set {number}"
        if not isinstance(entry, dict) or not {"name", "root"} <= entry.keys():
            raise self.error(f"{where}: needs name and root; got {entry!r}.")
        for key in entry:
            if key not in _KEYS:
                raise self.error(f"{where}: no key {key!r}.{nearest(str(key), _KEYS)}")

    def _read(self, split: str) -> list[Sample]:
        samples: list[Sample] = []
        for own, (reader, splits) in self._readers.items():
            if split not in splits:
                continue
            try:
                moved = relabelled(
                    reader.samples(splits[split]), reader.labels, self.labels, notes=self.notes, where=f"{own} {split}"
                )
            except MienError as error:
                raise self.error(str(error)) from error
            samples += [_renamed(sample, own, split) for sample in moved]
        return samples


def _renamed(sample: Sample, own: str, split: str) -> Sample:
    subject = None if sample.subject is None else f"{own}/{sample.subject}"
    clip = None if sample.clip is None else f"{own}/{sample.clip}"
    return replace(sample, key=f"{own}/{sample.key}", split=split, subject=subject, clip=clip)
