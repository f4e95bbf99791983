"""``[routes]``: what becomes of dispatches by their name, and why.

The gateway applies ``drop`` and ``sample``; each group's workers apply ``queue``, ``ttl_s`` and ``lanes`` to their own
queues. Both sides read one table, and neither needs to know the other.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Final

from gateway_service.contract import LANES, event_token
from gateway_service.settings.values import BadValue, did_you_mean

_PATTERN: Final = re.compile(r"(?:[A-Za-z0-9_*?]|\[!?[A-Za-z0-9_-]+\])+", re.ASCII)
_WILDCARD: Final = re.compile(r"[*?]|\[[^\]]*\]")
_QUEUE: Final = re.compile(r"(?!lanes?-)[A-Za-z0-9_-]{1,100}", re.ASCII)
# Each lane queue then has equally many of the 64 lanes.
LANE_COUNTS: Final = tuple(2**exponent for exponent in range(LANES.bit_length()))
# Names beyond Discord's own are decided anew when they come again.
_MAX_REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What becomes of the dispatches that one pattern matches."""

    pattern: str | None
    """None for dispatches that no pattern matches."""
    drop: bool = False
    """They are not published."""
    sample: float = 1.0
    """The fraction that is published."""
    queue: str | None = None
    """The queue ``<group>.<queue>`` has them all, instead of one queue for each name."""
    ttl_s: float | None = None
    """Handlers do not get what was received longer ago than this."""
    lanes: int | None = None
    """They are handled in the order of each guild, by so many lanes."""

    @property
    def kept(self) -> float:
        """The fraction that the gateway publishes."""
        return 0.0 if self.drop else self.sample

    @property
    def specificity(self) -> tuple[int, int, int]:
        """What makes one pattern more specific: literal characters, then ``?`` and ``[...]``, then fewer ``*``."""
        pattern = self.pattern or ""
        wildcards = _WILDCARD.findall(pattern)
        stars = wildcards.count("*")
        return len(pattern) - sum(map(len, wildcards)), len(wildcards) - stars, -stars

    def matches(self, token: str) -> bool:
        return self.pattern is not None and fnmatchcase(token, self.pattern)


_OPTIONS: Final = tuple(each.name for each in fields(Route) if each.name != "pattern")
_ELSEWHERE: Final = Route(pattern=None)


@dataclass(frozen=True)
class Routes:
    """The whole table; the most specific pattern that matches a name decides alone."""

    table: tuple[Route, ...] = ()
    """The most specific first."""
    _by_event: dict[str, Route] = field(default_factory=dict, init=False, repr=False, compare=False)

    def matching(self, event: str) -> tuple[Route, ...]:
        """Return every route whose pattern matches a dispatch name, the one that decides first."""
        token = event_token(event)
        return tuple(route for route in self.table if route.matches(token))

    def of(self, event: str) -> Route:
        """Return the route that decides about a dispatch name or an :func:`~gateway_service.contract.event_token`."""
        route = self._by_event.get(event)
        if route is None:
            if len(self._by_event) >= _MAX_REMEMBERED:
                self._by_event.clear()
            route = self._by_event[event] = next(iter(self.matching(event)), _ELSEWHERE)
        return route

    def admits(self, event: str, seq: int) -> bool:
        """Tell whether the gateway publishes a dispatch."""
        kept = self.of(event).kept
        return kept >= 1.0 or is_sampled(seq, kept)

    def as_mapping(self) -> dict[str, dict[str, Any]]:
        """Return what :func:`parse_routes` makes this of."""
        return {
            str(route.pattern): {
                name: getattr(route, name) for name in _OPTIONS if getattr(route, name) != getattr(_ELSEWHERE, name)
            }
            for route in self.table
        }


def is_sampled(seq: int, fraction: float) -> bool:
    """Tell whether a dispatch is in the sample; the same one always gets the same answer, replayed or not.

    Multiplying by the golden ratio spreads consecutive numbers evenly. See Knuth: The Art of Computer Programming, 6.4.
    """
    return (seq * 0x9E3779B1) % 2**32 < fraction * 2**32


def parse_routes(value: object) -> Routes:
    """Read ``{pattern: queue}`` and ``{pattern: {option: value}}``, or the JSON of it."""
    if isinstance(value, Routes):
        return value
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as exc:
            raise BadValue(f"is not JSON: {exc.msg} at character {exc.pos + 1}") from None
    if not isinstance(value, Mapping):
        raise BadValue('must be a table of patterns, such as "MESSAGE_*" = "messages"')
    routes = [_route(pattern, options) for pattern, options in value.items()]
    routes.sort(key=lambda route: route.pattern or "")  # decides between equally specific ones
    return Routes(tuple(sorted(routes, key=lambda route: route.specificity, reverse=True)))


def _route(pattern: object, options: object) -> Route:
    if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
        raise BadValue(f"has the pattern {pattern!r}; it must be a dispatch name or a pattern such as 'MESSAGE_*'")
    if isinstance(options, str):
        options = {"queue": options}
    if not isinstance(options, Mapping):
        raise BadValue(f"{pattern!r}: must be the name of a queue or a table of options, not {options!r}")
    for name in options:
        if name not in _OPTIONS:
            raise BadValue(f"{pattern!r}: has an unknown option {name!r}{did_you_mean(str(name), _OPTIONS)}")
    for name, check in _CHECKS.items():
        if name in options:
            check(pattern, options[name])
    if options.get("drop") and len(options) > 1:
        others = ", ".join(sorted(options.keys() - {"drop"}))
        raise BadValue(f"{pattern!r}: drops what it matches, so {others} has no meaning beside it")
    return Route(pattern=pattern, **options)


def _check_drop(pattern: str, value: object) -> None:
    if not isinstance(value, bool):
        raise BadValue(f"{pattern!r}: drop must be true or false, not {value!r}")


def _check_sample(pattern: str, value: object) -> None:
    if not _is_number(value) or not 0 < value <= 1:  # type: ignore[operator]
        raise BadValue(f"{pattern!r}: sample must be a fraction above 0 and up to 1, not {value!r}; or set drop")


def _check_queue(pattern: str, value: object) -> None:
    if not isinstance(value, str) or not _QUEUE.fullmatch(value):
        raise BadValue(
            f"{pattern!r}: queue must be letters, digits, '_' and '-', not beginning with 'lane', not {value!r}"
        )


def _check_ttl(pattern: str, value: object) -> None:
    if not _is_number(value) or not value > 0:  # type: ignore[operator]
        raise BadValue(f"{pattern!r}: ttl_s must be seconds above 0, not {value!r}")


def _check_lanes(pattern: str, value: object) -> None:
    if value not in LANE_COUNTS or isinstance(value, bool):
        raise BadValue(f"{pattern!r}: lanes must be one of {', '.join(map(str, LANE_COUNTS))}, not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: Final = {
    "drop": _check_drop,
    "sample": _check_sample,
    "queue": _check_queue,
    "ttl_s": _check_ttl,
    "lanes": _check_lanes,
}


def lanes_of_group(routes: Routes, tokens: Iterable[str], default: int) -> int:
    """Return into how many lanes a group divides its ordered events.

    Args:
        routes: The table.
        tokens: Event tokens of the group that are handled in order.
        default: Where no route names a number.

    Raises:
        BadValue: Two routes name different numbers; order between event types needs one.
    """
    wanted = {route.lanes: route.pattern for token in sorted(tokens) if (route := routes.of(token)).lanes is not None}
    if len(wanted) > 1:
        named = " and ".join(f"{pattern!r} ({lanes})" for lanes, pattern in sorted(wanted.items()))
        raise BadValue(f"{named} have different lanes, and the ordered events of one group share theirs")
    return next(iter(wanted), None) or default
