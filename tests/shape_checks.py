"""What checks the annotations of mien in the tests: beartype, with three rules of typing that it lacks by itself."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Self

from jaxtyping import config

try:
    import beartype
except ImportError:  # conftest then leaves the annotations unchecked
    check = None
else:
    _RULES = beartype.BeartypeConf(
        is_pep484_tower=True,  # PEP 484: a whole number may stand where a float is asked for
        # The hook passes methods one by one, without the class that Self needs. A BytesIO has neither the name nor the
        # mode that beartype asks of a BinaryIO.
        hint_overrides=beartype.BeartypeHintOverrides({Self: Any, BinaryIO: io.IOBase}),
    )
    check = beartype.beartype(conf=_RULES)


@contextmanager
def unchecked() -> Iterator[None]:
    """Annotations are not enforced inside, or, as a decorator, in the whole test.

    For values that are wrong on purpose, where mien itself shall refuse them, and while PyTorch compiles a network.
    """
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)
