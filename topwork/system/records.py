"""Frozen dataclasses that are written as JSON objects; each field becomes a key with the same name."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints


def brief(one: Any) -> str:
    """Return the repr of a dataclass without the fields that have their defaults.

    >>> @dataclass
    ... class Phase:
    ...     cut: str
    ...     epochs: int = 25
    ...     __repr__ = brief
    >>> Phase("x@pool"), Phase("x@pool", 3)
    (Phase(cut='x@pool'), Phase(cut='x@pool', epochs=3))
    """
    shown = []
    for each in fields(one):
        value, usual = getattr(one, each.name), each.default
        if each.default_factory is not MISSING:
            usual = each.default_factory()
        if value != usual:
            shown.append(f"{each.name}={value!r}")
    return f"{type(one).__name__}({', '.join(shown)})"


_types: Callable[[type], dict[str, Any]] = cache(get_type_hints)


@dataclass(frozen=True)
class Record:
    """A frozen dataclass that is written as a JSON object; its fields become the keys, in the same order.

    Example:
        >>> @dataclass(frozen=True)
        ... class Share(Record):
        ...     hits: int
        ...     of: int = 1
        >>> Share(1, 2).as_json(), Share.from_json({"hits": 1})
        ({'hits': 1, 'of': 2}, Share(hits=1, of=1))
    """

    def as_json(self) -> dict[str, Any]:
        """Return the record as dicts, lists, text and numbers."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return a record from a dict as `as_json` returns it. Unknown keys are ignored.

        If a key is missing, the field gets its default.

        Raises:
            KeyError: a key is missing, and its field has no default.
        """
        needed = {f.name for f in fields(cls) if f.default is f.default_factory is MISSING}
        types = {name: kind for name, kind in _types(cls).items() if name in needed or name in found}
        return cls(**{name: _read(kind, found[name]) for name, kind in types.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.as_json()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _read(kind: Any, value: Any) -> Any:
    """Return the value of a field from its JSON *value*; records may be in lists and dicts, and may be ``None``."""
    origin, within = get_origin(kind), get_args(kind)
    if value is None:
        return None
    if origin is UnionType and NoneType in within:
        return _read(next(one for one in within if one is not NoneType), value)
    if origin is list:
        return [_read(within[0], one) for one in value]
    if origin is dict:
        return {key: _read(within[1], one) for key, one in value.items()}
    return kind.from_json(value) if isinstance(kind, type) and issubclass(kind, Record) else value
