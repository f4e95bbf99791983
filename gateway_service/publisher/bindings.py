"""Which queues a routing key leads to, on brokers where the publisher has to find out by itself."""

from collections.abc import Iterable, Sequence
from typing import Final

# Between binding key, regular expression and queue in a member of kombu's binding set.
# See kombu: transport/redis.py, Channel.sep.
_SEPARATOR: Final = "\x06\x16"


def is_match(binding_key: str, routing_key: str) -> bool:
    """Tell whether a topic binding wants a key: ``*`` is one word, ``#`` any number of words, none included.

    See AMQP 0-9-1: 3.1.3.3 (the topic exchange type).
    """
    return _is_match(binding_key.split("."), routing_key.split("."))


def _is_match(pattern: Sequence[str], words: Sequence[str]) -> bool:
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(_is_match(rest, words[taken:]) for taken in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and _is_match(rest, words[1:])


class Bindings:
    """The bindings of one topic exchange, as read from the broker at one moment."""

    def __init__(self, queues_by_key: Iterable[tuple[str, str]] = ()) -> None:
        """Take pairs of binding key and queue."""
        self._bindings = tuple(queues_by_key)

    @classmethod
    def from_kombu(cls, members: Iterable[bytes]) -> "Bindings":
        """Read the members of kombu's ``_kombu.binding.<exchange>`` set on Redis."""
        rows = (member.decode(errors="replace").split(_SEPARATOR) for member in members)
        return cls((row[0], row[-1]) for row in rows if row[-1])

    def queues_for(self, routing_key: str) -> tuple[str, ...]:
        """Return each queue that gets a message with this key, once."""
        wanting = {queue for binding_key, queue in self._bindings if is_match(binding_key, routing_key)}
        return tuple(sorted(wanting))
