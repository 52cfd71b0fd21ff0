"""What a network takes and gives: declared by its system, saved in the bundle, used wherever the network runs.

An `Input` says how a picture or a sound is prepared, an `Output` what a tensor means. Both travel with the weights.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mien.core.errors import MienError, nearest
from mien.core.labels import LabelSet
from mien.core.options import check_rules, from_plain
from mien.core.typed import checked, named, shown

MAX_SIDE = 1024  # pixels of a picture input; a batch of 64 then takes 800 MB
MAX_NAMES = 100_000  # of an output
POINT_BOX_NAMES = ("rectangle", "landmarks", "detector")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class PictureInput:
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
        check_rules(
            self,
            f"{type(self).__name__}.",
            {
                "size": (8 <= self.size <= MAX_SIDE, f"in 8..{MAX_SIDE}"),
                "mean": (all(abs(m) <= 1e4 for m in self.mean), "in -10000..10000"),
                "color": (self.color in ("rgb", "grey"), "'rgb' or 'grey'"),
                "fit": (self.fit in ("squash", "pad"), "'squash' or 'pad'"),
                "resample": (self.resample in ("bilinear", "nearest"), "'bilinear' or 'nearest'"),
                "point_box": (self.point_box in POINT_BOX_NAMES, "'rectangle', 'landmarks' or 'detector'"),
                "std": (all(1e-4 <= s <= 1e4 for s in self.std), "in 0.0001..10000"),
                "box_scale": (0 < self.box_scale <= 100, "above 0 and at most 100"),
                "box_shift": (all(abs(s) <= 100 for s in self.box_shift), "in -100..100"),
            },
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return 3, self.size, self.size

    @property
    def described(self) -> str:
        """In a few words, for reports and lists."""
        return f"{self.size} x {self.size} pixels, {self.color}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SoundInput:
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
    limit_hz: float = 0.0
    """Highest frequency that is heard, where that is below the highest band: of what a network learned from recordings
    at 16 kHz, 8000. 0 for none."""
    padding: Literal["zeros", "repeat"] = "zeros"
    """What follows a recording that is shorter than the window: silence, or the recording again."""

    def __post_init__(self) -> None:
        check_rules(
            self,
            f"{type(self).__name__}.",
            {
                "rate_hz": (1000 <= self.rate_hz <= 1_000_000, "in 1000..1000000"),
                "samples": (1 <= self.samples <= 600 * self.rate_hz, "at least 1, and at most ten minutes"),
                "fft": (16 <= self.fft <= 2**16, "in 16..65536"),
                "hop": (1 <= self.hop <= self.fft, "in 1..fft"),
                "mels": (
                    self.mels >= 1 and self.mels * self.samples <= 2**24 * self.hop,
                    "at least 1, and few enough for 2^24 values",
                ),
                "low_hz": (0 <= self.low_hz < self.high_hz, "at least 0 and below high_hz"),
                "high_hz": (self.high_hz <= self.rate_hz / 2, "at most half of rate_hz"),
                "limit_hz": (self.limit_hz >= 0, "at least 0"),
                "padding": (self.padding in ("zeros", "repeat"), "'zeros' or 'repeat'"),
            },
        )

    @property
    def heard_hz(self) -> float:
        """Highest frequency that has an effect."""
        return min(self.high_hz, self.limit_hz or self.high_hz)

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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


FUNCTIONALS = 547  # numbers in version 1


@dataclass(frozen=True)
class FunctionalsInput:
    """How a voice becomes functionals of its pitch, loudness and spectrum: float32 [batch, length]."""

    rate_hz: int = 16_000
    """Sampling rate that every recording is converted to."""
    samples: int = 56_000
    """Longest part of a recording that is summarised at once."""
    version: int = 1
    """Of their definition (runtime.voice.functionals); a network is of use with its own only."""

    def __post_init__(self) -> None:
        check_rules(
            self,
            f"{type(self).__name__}.",
            {
                "rate_hz": (self.rate_hz == 16_000, "16000"),
                "samples": (self.rate_hz // 2 <= self.samples <= 600 * self.rate_hz, "half a second to ten minutes"),
                "version": (self.version == 1, "1; a later one is of a newer mien"),
            },
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return (FUNCTIONALS,)

    @property
    def described(self) -> str:
        """In a few words, for reports and lists."""
        return f"{FUNCTIONALS} functionals of {self.samples / self.rate_hz:.3g} s at {self.rate_hz} Hz"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Control:
    """Numbers that whoever runs a network may set beside its inputs: float32 [batch, length]."""

    length: int = 1
    """How many numbers for each sample."""
    default: float = 0.0
    """Of each number where none are given; the network's outputs are then those it is trained and evaluated with."""

    def __post_init__(self) -> None:
        check_rules(
            self,
            f"{type(self).__name__}.",
            {
                "length": (1 <= self.length <= MAX_NAMES, f"in 1..{MAX_NAMES}"),
                "default": (abs(self.default) <= 1e6, "in -1000000..1000000"),
            },
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return (self.length,)


@dataclass(frozen=True)
class VectorInput:
    """Numbers that no data set gives and a generator draws: float32 [batch, length] from N(0, 1)."""

    length: int = 512
    """How many."""

    def __post_init__(self) -> None:
        check_rules(self, f"{type(self).__name__}.", {"length": (1 <= self.length <= MAX_NAMES, f"in 1..{MAX_NAMES}")})

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return (self.length,)

    @property
    def described(self) -> str:
        """In a few words, for reports and lists."""
        return f"{self.length} random numbers"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


Input = PictureInput | SoundInput | FunctionalsInput | VectorInput
INPUT_KINDS: dict[
    str, type[PictureInput] | type[SoundInput] | type[FunctionalsInput] | type[VectorInput]
] = {
    "picture": PictureInput, "sound": SoundInput, "functionals": FunctionalsInput, "vector": VectorInput,
}  # fmt: skip
OutputKind = Literal["classes", "values", "points", "picture", "vector"]
OUTPUT_KINDS: tuple[str, ...] = get_args(OutputKind)


@dataclass(frozen=True)
class Output:
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
    proxy: str = ""
    """What the values were learned from, where nobody measured what they are named after; shown with every value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        needs_names = self.kind in ("classes", "values", "points")
        unique = len(set(self.names)) == len(self.names) <= MAX_NAMES
        check_rules(
            self,
            f"{type(self).__name__}.",
            {
                "kind": (self.kind in OUTPUT_KINDS, ", ".join(OUTPUT_KINDS)),
                "names": (
                    bool(self.names) == needs_names and unique,
                    "given for classes, values and points only, each once",
                ),
                "labels": (
                    self.labels is None or (self.kind == "classes" and self.labels.classes == self.names),
                    "the order of the same classes",
                ),
                "range": (self.range is None or self.range[0] < self.range[1], "the lowest and the highest value"),
            },
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
        limits = list(self.range) if self.range else None
        optional = {"unit": self.unit, "range": limits, "of": self.of, "proxy": self.proxy}
        return values | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_dict(cls, values: Any, *, key: str = "output") -> "Output":
        """Raises MienError that names the key for a field that there is not and a value of the wrong type."""
        stored: _StoredOutput = from_plain(_StoredOutput, values, where=key, what="field")
        labels = None if stored.labels is None else LabelSet.from_dict(stored.labels, key=f"{key}.labels")
        if not 0 <= stored.points <= MAX_NAMES:
            raise MienError(f"{key}.points must be in 0..{MAX_NAMES}; got {stored.points}.")
        names = stored.names or _point_names(stored.points) or (labels.classes if labels else ())
        with named(key):
            return cls(stored.kind, names, labels, stored.unit, stored.range, stored.of, stored.proxy)


@dataclass(frozen=True)
class _StoredOutput:
    """An Output as `to_dict` writes it."""

    kind: OutputKind
    points: int = 0
    names: tuple[str, ...] = ()
    labels: dict[str, Any] | None = None
    unit: str = ""
    range: tuple[float, float] | None = None
    of: str = ""
    proxy: str = ""


def _point_names(count: int) -> tuple[str, ...]:
    return tuple(f"point_{i}" for i in range(count))


def input_to_dict(given: Input) -> dict[str, Any]:
    """Plain values with the input's kind."""
    kind = next(name for name, found in INPUT_KINDS.items() if isinstance(given, found))
    return {"kind": kind} | given.to_dict()


def input_from_dict(values: Any, *, key: str = "input") -> Input:
    """The reverse. Raises MienError that names the key for an unknown kind or field and a value of the wrong type."""
    values = checked(values, dict[str, Any], key=key)
    kind = values.pop("kind", "picture")
    if not isinstance(kind, str) or kind not in INPUT_KINDS:
        raise MienError(f"{key}.kind: no kind of input {shown(kind)}.{nearest(str(kind), INPUT_KINDS)}")
    given: Input = from_plain(INPUT_KINDS[kind], values, where=key, what="field")
    return given


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
