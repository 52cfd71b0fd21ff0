"""A pickle reader that calls nothing but a short table of constructors, within fixed limits of work and memory.

The standard unpickler looks names up in foreign modules, sizes its memo by a number in the file, and hashes whatever is
used as a key. This one does none of that: a name is looked up in the table it is given and is an `Inert` stand-in
otherwise, every step is paid from a budget, and the result is measured before it is handed out.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from mmap import mmap
from typing import Any

Lookup = Callable[[str, str], Any]
Persistent = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Limits:
    pickle_bytes: int = 64 * 2**20
    """Length of the pickles of one file. Weights lie outside of them; a large network's names take 1 MB."""
    steps: int = 1_000_000
    """Opcodes and elements, weighted by what they allocate. A network of 1000 tensors takes 50 000."""
    unfolded: int = 4_000_000
    """Elements of the result where an object that is referred to twice counts twice: what writing it out would take."""
    depth: int = 100
    """Containers within containers."""
    integer_bytes: int = 128
    """Length of one whole number."""


LIMITS = Limits()
_CONTAINERS = (dict, list, tuple, set, frozenset)


class PickleError(ValueError):
    """What is wrong with a pickle, as a part of a sentence."""


class Inert:
    """Stands in for an object of a class that is not in the table: takes anything, does nothing.

    state: what the file says its attributes are; nothing of it was set or called.
    """

    state: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Constructor:
    """A name that a pickle may call."""

    build: Callable[..., Any]
    """Takes the arguments as they are in the file and checks them itself."""
    cost: int = 4
    """Steps that a call takes besides one for each element of its arguments."""


class Budget:
    """The steps and bytes left for one file."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits, self.steps, self.bytes = limits, limits.steps, limits.pickle_bytes

    def spend(self, steps: int) -> None:
        """Raises PickleError when nothing is left."""
        self.steps -= steps
        if self.steps < 0:
            raise PickleError(f"its pickle takes more than {self.limits.steps:,} steps")


def read_pickle(
    data: bytes | mmap, start: int, *, lookup: Lookup, persistent: Persistent, budget: Budget
) -> tuple[Any, int]:
    """The object whose pickle begins at `start`, and the place behind it. Raises PickleError or what `lookup` raises.

    lookup: module and name -> a Constructor, or any plain value, or an `Inert` class (see `inert_class`).
    persistent: the id of an object outside of the pickle -> that object.
    """
    machine = _Machine(data, start, lookup, persistent, budget)
    try:
        content = machine.run()
    except (IndexError, KeyError, TypeError, struct.error, OverflowError, UnicodeError) as error:
        raise PickleError(f"its pickle is damaged near byte {machine.place:,}") from error
    budget.bytes -= machine.place - start
    _refuse_unfolding(content, budget.limits)
    return content, machine.place


_NESTING = (*_CONTAINERS, Inert)


def inert_class(module: str, name: str) -> type[Inert]:
    """A class of that name without its abilities."""
    return type(name.rpartition(".")[2], (Inert,), {"__module__": module})


class _Machine:
    """The stack, the memo and the place in the file."""

    def __init__(self, data: bytes | mmap, start: int, lookup: Lookup, persistent: Persistent, budget: Budget) -> None:
        self.data, self.place, self.end = data, start, min(len(data), start + budget.bytes)
        self.lookup, self.persistent, self.budget = lookup, persistent, budget
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.names: dict[tuple[str, str], Any] = {}

    def run(self) -> Any:
        while True:
            code = self.read(1)
            if code == b".":
                return self.stack.pop()
            self.budget.spend(1)
            step = _STEPS.get(code)
            if step is None:
                raise PickleError(f"its pickle has an opcode {code!r} that is not read here")
            step(self)

    def read(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.place + count > self.end:
            raise PickleError("its pickle ends too early or is too long")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def line(self) -> str:
        stop = self.data.find(b"\n", self.place, self.end)
        text = self.read(stop - self.place)
        self.place += 1
        return text.decode()

    def marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("its pickle names something with what is no text")
        if (module, name) not in self.names:
            self.budget.spend(16)
            self.names[module, name] = self.lookup(module, name)
        self.stack.append(self.names[module, name])

    def call(self, target: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise PickleError("its pickle calls something without arguments")
        if isinstance(target, Constructor):
            self.budget.spend(target.cost + sum(_length(value) for value in arguments))
            self.stack.append(target.build(*arguments))
        else:
            self.budget.spend(4)
            inert = isinstance(target, type) and issubclass(target, Inert)
            if not inert and not isinstance(target, Inert):
                raise PickleError(f"its pickle calls a {type(target).__name__}")
            self.stack.append(target() if inert else Inert())

    def store(self, target: Any, items: list[Any]) -> None:
        """Keys and values by turns into a dict."""
        if isinstance(target, Inert):
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise PickleError("its pickle puts entries into what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.budget.spend(1)
            self.hashable(key, len(target))
            target[key] = value

    def append(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, Inert):
            return
        if not isinstance(target, list):
            raise PickleError("its pickle appends to what is no list")
        self.budget.spend(len(items))
        target.extend(items)

    def add(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, Inert):
            return
        if not isinstance(target, set):
            raise PickleError("its pickle adds to what is no set")
        for item in items:
            self.budget.spend(1)
            self.hashable(item, len(target))
            target.add(item)

    def hashable(self, key: Any, beside: int) -> None:
        """Refuses keys whose hash takes long; those whose hashes can be made to meet cost more the more there are."""
        if isinstance(key, tuple):
            self.budget.spend(len(key) + beside // 16)
        refuse_key(key)

    def build(self) -> None:
        """Attributes of an object. Kept: the versions that a state_dict carries, and an inert object's, as `state`."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, OrderedDict) and isinstance(state, dict) and isinstance(state.get("_metadata"), dict):
            target._metadata = state["_metadata"]  # type: ignore[attr-defined]
        elif isinstance(target, Inert):
            self.budget.spend(4)
            target.state = state

    def new(self, *, keywords: bool = False) -> None:
        if keywords:
            self.stack.pop()
        arguments = self.stack.pop()
        self.call(self.stack.pop(), arguments)


def refuse_key(key: Any) -> None:
    """Raises PickleError for what is neither a scalar nor a flat tuple of them."""
    if isinstance(key, tuple):
        if any(isinstance(part, tuple) for part in key):
            raise PickleError("its pickle has a key that is a tuple of tuples")
        for part in key:
            refuse_key(part)
    elif isinstance(key, int):
        if key.bit_length() > 64:
            raise PickleError("its pickle has a key of more than 64 bits")
    elif not (key is None or isinstance(key, str | bytes | float | Inert | type)):
        raise PickleError(f"its pickle has a key that is a {type(key).__name__}")


def _length(value: Any) -> int:
    """Steps for an argument. 64 characters of a text count as one element."""
    if isinstance(value, str | bytes | bytearray):
        return len(value) // 64
    return len(value) if isinstance(value, _CONTAINERS) else 0


def _push(make: Callable[[_Machine], Any], cost: int = 0) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.budget.spend(cost)
        machine.stack.append(make(machine))

    return step


def _text(form: str) -> Callable[[_Machine], None]:
    return _push(lambda machine: machine.read(machine.number(form)).decode("utf-8", "surrogatepass"))


def _old_text(form: str) -> Callable[[_Machine], None]:
    """Python 2's str: text as a rule, else bytes."""

    def make(machine: _Machine) -> str | bytes:
        found = machine.read(machine.number(form))
        try:
            return found.decode()
        except UnicodeDecodeError:
            return found

    return _push(make)


def _whole(form: str) -> Callable[[_Machine], None]:
    def make(machine: _Machine) -> int:
        length = machine.number(form)
        if not 0 <= length <= machine.budget.limits.integer_bytes:
            raise PickleError(f"its pickle has a whole number of {length:,} bytes")
        return int.from_bytes(machine.read(length), "little", signed=True)

    return _push(make)


def _tuple(count: int) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        if len(machine.stack) < count:
            raise PickleError("its pickle makes a tuple of nothing")
        machine.budget.spend(2)
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return step


def _dict_of(machine: _Machine) -> dict[Any, Any]:
    built: dict[Any, Any] = {}
    machine.store(built, machine.marked())
    return built


def _frozen(machine: _Machine) -> frozenset[Any]:
    built: set[Any] = set()
    machine.add(built, machine.marked())
    return frozenset(built)


def _remember(machine: _Machine, index: int) -> None:
    machine.budget.spend(1)
    machine.memo[index] = machine.stack[-1]


def _bytes(form: str) -> Callable[[_Machine], None]:
    return _push(lambda machine: machine.read(machine.number(form)))


def _global(machine: _Machine) -> None:
    module = machine.line()
    machine.name(module, machine.line())


def _stack_global(machine: _Machine) -> None:
    name = machine.stack.pop()
    machine.name(machine.stack.pop(), name)


def _one(method: Callable[[_Machine, Any, list[Any]], None], count: int) -> Callable[[_Machine], None]:
    """`count` objects from the stack into the container below them."""

    def step(machine: _Machine) -> None:
        items = machine.stack[-count:]
        del machine.stack[-count:]
        method(machine, machine.stack[-1], items)

    return step


def _many(method: Callable[[_Machine, Any, list[Any]], None]) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        items = machine.marked()
        method(machine, machine.stack[-1], items)

    return step


# The opcodes of protocols 2 to 5, as Python's module pickletools describes them.
_STEPS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.read(1), b"\x95": lambda m: m.read(8),
    b"(": lambda m: m.marks.append(len(m.stack)), b"0": lambda m: m.stack.pop(), b"1": lambda m: m.marked(),
    b"2": _push(lambda m: m.stack[-1]),
    b"N": _push(lambda m: None), b"\x88": _push(lambda m: True), b"\x89": _push(lambda m: False),
    b"J": _push(lambda m: m.number("<i")), b"K": _push(lambda m: m.number("<B")), b"M": _push(lambda m: m.number("<H")),
    b"G": _push(lambda m: m.number(">d")), b"\x8a": _whole("<B"), b"\x8b": _whole("<i"),
    b"X": _text("<I"), b"\x8c": _text("<B"), b"\x8d": _text("<Q"), b"T": _old_text("<i"), b"U": _old_text("<B"),
    b"B": _bytes("<I"), b"C": _bytes("<B"), b"\x8e": _bytes("<Q"),
    b"\x96": _push(lambda m: bytearray(m.read(m.number("<Q"))), 2),
    b"}": _push(lambda m: {}, 2), b"]": _push(lambda m: [], 2), b")": _push(lambda m: ()),
    b"\x8f": _push(lambda m: set(), 4), b"\x91": _push(_frozen, 4),
    b"d": _push(_dict_of, 2), b"l": _push(lambda m: m.marked(), 2), b"t": _push(lambda m: tuple(m.marked()), 2),
    b"\x85": _tuple(1), b"\x86": _tuple(2), b"\x87": _tuple(3),
    b"s": _one(_Machine.store, 2), b"u": _many(_Machine.store),
    b"a": _one(_Machine.append, 1), b"e": _many(_Machine.append), b"\x90": _many(_Machine.add),
    b"q": lambda m: _remember(m, m.number("<B")), b"r": lambda m: _remember(m, m.number("<I")),
    b"\x94": lambda m: _remember(m, len(m.memo)),
    b"h": _push(lambda m: m.memo[m.number("<B")]), b"j": _push(lambda m: m.memo[m.number("<I")]),
    b"c": _global, b"\x93": _stack_global, b"R": _Machine.new, b"\x81": _Machine.new,
    b"\x92": partial(_Machine.new, keywords=True), b"b": _Machine.build,
    b"Q": _push(lambda m: m.persistent(m.stack.pop()), 2),
}  # fmt: skip


def _refuse_unfolding(content: Any, limits: Limits) -> None:
    """Raises PickleError where the result contains itself, is too deep, or unfolds to very many elements.

    Forty tuples that each hold the one before twice are 200 bytes in a file and 10^12 elements for whoever walks them.
    """
    sizes: dict[int, int] = {}
    heights: dict[int, int] = {}
    path: set[int] = set()
    waiting: list[tuple[Any, list[Any] | None]] = [(content, None)]
    while waiting:
        value, inner = waiting.pop()
        key = id(value)
        if inner is not None:
            path.discard(key)
            sizes[key] = 1 + sum(sizes.get(id(item), 1) for item in inner)
            heights[key] = 1 + max((heights.get(id(item), 0) for item in inner), default=0)
            if sizes[key] > limits.unfolded or heights[key] > limits.depth:
                raise PickleError("its pickle unfolds to too many or too deeply nested elements")
        elif key in path:
            raise PickleError("its pickle contains itself")
        elif key not in sizes and isinstance(value, _NESTING):
            inner = _elements(value)
            path.add(key)
            waiting.append((value, inner))
            waiting.extend((item, None) for item in inner if isinstance(item, _NESTING))


def _elements(value: Any) -> list[Any]:
    if isinstance(value, Inert):
        return [value.state]
    if isinstance(value, dict):
        inside = [*value.keys(), *value.values()]
        return [*inside, value._metadata] if hasattr(value, "_metadata") else inside
    return list(value)
