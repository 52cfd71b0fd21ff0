"""What a network takes and gives: declared by its system, saved in the bundle, used wherever the network runs.

An `Input` says how a picture or a sound is prepared, an `Output` what a tensor means. Both travel with the weights.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from mien.core.errors import MienError, nearest
from mien.core.labels import LabelSet
from mien.core.options import check_rules, given_options

POINT_BOX_NAMES = ("rectangle", "landmarks", "detector")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Declaration:
    """A frozen dataclass that is saved as plain values."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises MienError for a field that there is not."""
        return cls(**given_options(cls, values, where=cls.__name__, what="field"))

    def _check(self, **rules: tuple[bool, str]) -> None:
        check_rules(self, f"{type(self).__name__}.", rules)


@dataclass(frozen=True)
class PictureInput(_Declaration):
    """How a face is cut out, resampled and normalised: float32 [batch, 3, size, size]."""

    size: int = 224
    """Side in pixels of the square that the network gets."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Subtracted from each channel of pixel values in 0..1."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Divides each channel after the mean is subtracted."""
    color: Literal["rgb", "grey"] = "rgb"
    """rgb, or grey for luminance repeated on three channels."""
    fit: Literal["squash", "pad"] = "squash"
    """How a picture that is itself the face crop becomes square: squash (as published) or pad."""
    box_scale: float = 1.0
    """Side of the crop as a multiple of the mean of the face box's width and height."""
    box_shift: tuple[float, float] = (0.0, 0.0)
    """Shift (x, y) of the crop's centre as a multiple of the same mean."""
    resample: Literal["bilinear", "nearest"] = "bilinear"
    """bilinear (anti-aliased, Pillow's convention) or nearest."""
    point_box: Literal["rectangle", "landmarks", "detector"] = "rectangle"
    """Which box stands for a face whose points are known and whose box is not (core.framing)."""

    def __post_init__(self) -> None:
        self._check(
            size=(self.size >= 8, "at least 8"),
            color=(self.color in ("rgb", "grey"), "'rgb' or 'grey'"),
            fit=(self.fit in ("squash", "pad"), "'squash' or 'pad'"),
            resample=(self.resample in ("bilinear", "nearest"), "'bilinear' or 'nearest'"),
            point_box=(self.point_box in POINT_BOX_NAMES, "'rectangle', 'landmarks' or 'detector'"),
            std=(all(s > 0 for s in self.std), "above 0"),
            box_scale=(self.box_scale > 0, "above 0"),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return 3, self.size, self.size

    @property
    def described(self) -> str:
        """In a few words, for reports and lists."""
        return f"{self.size} x {self.size} pixels, {self.color}"


@dataclass(frozen=True)
class SoundInput(_Declaration):
    """How a voice becomes a log-mel picture: float32 [batch, 1, mels, frames] in 0..1."""

    rate_hz: int = 22050
    """Sampling rate that every recording is converted to."""
    samples: int = 83185
    """Length of the window that the network gets."""
    fft: int = 1310
    """Samples of one Fourier transform."""
    hop: int = 655
    """Samples between two transforms."""
    mels: int = 128
    """Bands of the mel filter bank."""
    low_hz: float = 0.0
    """Lower edge of the lowest band."""
    high_hz: float = 11025.0
    """Upper edge of the highest band; at most half the rate."""
    padding: Literal["zeros", "repeat"] = "zeros"
    """What follows a recording that is shorter than the window: silence, or the recording again."""

    def __post_init__(self) -> None:
        self._check(
            rate_hz=(self.rate_hz >= 1000, "at least 1000"),
            samples=(1 <= self.samples <= 600 * self.rate_hz, "at least 1, and at most ten minutes"),
            fft=(self.fft >= 16, "at least 16"),
            hop=(1 <= self.hop <= self.fft, "in 1..fft"),
            mels=(self.mels >= 1, "at least 1"),
            low_hz=(0 <= self.low_hz < self.high_hz, "at least 0 and below high_hz"),
            high_hz=(self.high_hz <= self.rate_hz / 2, "at most half of rate_hz"),
            padding=(self.padding in ("zeros", "repeat"), "'zeros' or 'repeat'"),
        )

    @property
    def frames(self) -> int:
        """Columns of the mel picture: one transform every `hop` samples, centred."""
        return 1 + self.samples // self.hop

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return 1, self.mels, self.frames

    @property
    def described(self) -> str:
        """In a few words, for reports and lists."""
        return f"{self.samples / self.rate_hz:.3g} s at {self.rate_hz} Hz, {self.mels} bands"


Input = PictureInput | SoundInput
INPUT_KINDS: dict[str, type[PictureInput] | type[SoundInput]] = {"picture": PictureInput, "sound": SoundInput}
OutputKind = Literal["classes", "values", "points", "picture", "vector"]
OUTPUT_KINDS: tuple[str, ...] = get_args(OutputKind)


@dataclass(frozen=True)
class Output(_Declaration):
    """What one named tensor of a network means.

    Shapes for a batch: classes [batch, names] logits; values [batch, names]; points [batch, names, 2] in crop sides, 0
    at the left or upper edge and 1 at the other; picture [batch, 3, height, width] in the units of the input picture;
    vector [batch, length].
    """

    kind: OutputKind
    """classes, values, points, picture or vector."""
    names: tuple[str, ...] = ()
    """Of the classes, values or points, in order; empty for a picture and a vector."""
    labels: LabelSet | None = None
    """The published order that the classes stand in, with its checksum."""
    unit: str = ""
    """Unit of the values, such as "crop sides" or "probability"."""
    range: tuple[float, float] | None = None
    """Lowest and highest value that can occur."""
    of: str = ""
    """Name of the output that this one describes point by point: an error, a depth, a visibility."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        needs_names = self.kind in ("classes", "values", "points")
        same_classes = self.labels is None or (self.kind == "classes" and self.labels.classes == self.names)
        self._check(
            kind=(self.kind in OUTPUT_KINDS, ", ".join(OUTPUT_KINDS)),
            names=(bool(self.names) == needs_names, "given for classes, values and points only"),
            labels=(same_classes, "the order of the same classes"),
        )

    @classmethod
    def classes(cls, labels: LabelSet) -> "Output":
        """Logits over these classes."""
        return cls("classes", labels.classes, labels)

    @classmethod
    def points(cls, count: int) -> "Output":
        """Points in the order of a landmark scheme."""
        return cls("points", _point_names(count), unit="crop sides")

    @classmethod
    def per_point(cls, of: str, count: int, *, unit: str, limits: tuple[float, float] | None = None) -> "Output":
        """One value for each point of the output `of`."""
        return cls("values", _point_names(count), unit=unit, range=limits, of=of)

    @property
    def scheme(self) -> str:
        """Of points: the landmark scheme's name, such as "68". Raises MienError for a count that no scheme has."""
        from mien.core.landmarks import scheme_of  # late: numpy is too slow for `--help`, which reads declarations

        return scheme_of(len(self.names)).name

    def to_dict(self) -> dict[str, Any]:
        """Plain values; fields with their default are left out, and numbered points are counted."""
        values: dict[str, Any] = {"kind": self.kind}
        if self.labels is not None:
            values["labels"] = self.labels.to_dict()
        elif self.names == _point_names(len(self.names)) and self.names:
            values["points"] = len(self.names)
        elif self.names:
            values["names"] = list(self.names)
        optional = {"unit": self.unit, "range": list(self.range) if self.range else None, "of": self.of}
        return values | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises MienError for a field that there is not."""
        values = dict(values)
        if "labels" in values:
            values["labels"] = LabelSet.from_dict(values["labels"])
            values.setdefault("names", values["labels"].classes)
        if "points" in values:
            values["names"] = _point_names(values.pop("points"))
        return super().from_dict(values)


def _point_names(count: int) -> tuple[str, ...]:
    return tuple(f"point_{i}" for i in range(count))


def input_to_dict(given: Input) -> dict[str, Any]:
    """Plain values with the input's kind."""
    kind = next(name for name, found in INPUT_KINDS.items() if isinstance(given, found))
    return {"kind": kind} | given.to_dict()


def input_from_dict(values: Mapping[str, Any]) -> Input:
    """The reverse. Raises MienError for an unknown kind or field."""
    kind = values.get("kind", "picture")
    if kind not in INPUT_KINDS:
        raise MienError(f"No kind of input {kind!r}.{nearest(str(kind), INPUT_KINDS)}")
    return INPUT_KINDS[kind].from_dict({name: value for name, value in values.items() if name != "kind"})


def described_inputs(inputs: Mapping[str, Input]) -> str:
    """What a network takes, for reports and lists; where it is more than one input with their names."""
    if len(inputs) == 1:
        return next(iter(inputs.values())).described
    return "; ".join(f"{name} {given.described}" for name, given in inputs.items())


def primary(outputs: Mapping[str, Output], kind: OutputKind | None = None) -> dict[str, Output]:
    """The outputs that stand for themselves, in order; of one kind only where it is given."""
    return {name: output for name, output in outputs.items() if not output.of and (kind is None or output.kind == kind)}


def first_labels(outputs: Mapping[str, Output], *, where: str) -> LabelSet:
    """The order of the first output of classes. Raises MienError where there is none; `where` names the network."""
    for output in outputs.values():
        if output.kind == "classes" and output.labels is not None:
            return output.labels
    raise MienError(f"{where} gives no classes, only {', '.join(outputs)}.")
