"""The pictures of samples. What was computed last is kept: rows of a table that share a picture come close together."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from mien.core.errors import MienError
from mien.core.limits import MB
from mien.core.records import Sample
from mien.media.image import Picture
from mien.media.stills import load_still

Value = TypeVar("Value")
_PICTURES = 64 * MB  # small next to what decoding a large picture takes


class Recent(Generic[Value]):
    """Values by key, those that were asked for last; not for several threads.

    most: of the sum of their weights. weigh: the weight of a value, by default 1. kept: errors that are remembered and
    raised again as values are.
    """

    def __init__(
        self, most: int, *, weigh: Callable[[Value], int] = lambda _: 1, kept: type[Exception] = MienError
    ) -> None:
        self._most, self._weigh, self._kept = most, weigh, kept
        self._weight = 0
        self._found: OrderedDict[Hashable, tuple[int, Value | Exception]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of the key, made where it is not there. Raises what `make` raised for it."""
        value = self._found[key][1] if key in self._found else self._added(key, make)
        if isinstance(value, self._kept):
            raise value.with_traceback(None)  # else each time would add to its traceback
        if key in self._found:  # it may be too large to be kept
            self._found.move_to_end(key)
        return value  # type: ignore[return-value]

    def _added(self, key: Hashable, make: Callable[[], Value]) -> Value | Exception:
        value: Value | Exception
        try:
            value = make()
            weight = self._weigh(value)
        except self._kept as error:
            value, weight = error, 1
        self._found[key] = weight, value
        self._weight += weight
        while self._weight > self._most:
            self._weight -= self._found.popitem(last=False)[1][0]
        return value


_recent = Recent[Picture](_PICTURES, weigh=lambda picture: picture.pixels.size)


def recent_picture(sample: Sample, *, min_side: int | None) -> Picture:
    """`load_picture`; the last few are not decoded again. Not to be written to."""
    return _recent.get((*sample.place, min_side), lambda: load_picture(sample, min_side=min_side))


def load_picture(sample: Sample, *, min_side: int | None = None) -> Picture:
    """The sample's picture, also of a video its frame. Raises MienError for a broken one and for a voice alone."""
    if not sample.has_picture:
        raise MienError(f"{sample.path}: a voice alone, without a picture. Take a network that needs none.")
    return load_still(sample.path, frame=sample.frame, span=sample.span, min_side=min_side)
