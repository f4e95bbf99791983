"""Where the arguments of a request belong: in the path, the query or the body."""

from collections import Counter
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, Final

from gateway_service.control.operations import Operation
from gateway_service.refusals import InvalidArgument

# Some clients send an empty object where they have nothing to say.
_NO_BODY: Final = frozenset({b"", b"{}"})


class Misplaced(InvalidArgument):
    """An argument came where the operation takes none."""


def check_places(operation: Operation, query: Sequence[tuple[str, str]], body: bytes, given: Mapping[str, Any]) -> None:
    """Refuse what would be passed over: ``POST /v1/drain?host=other`` must not drain this host.

    Args:
        operation: Asked for.
        query: As it came.
        body: As it came.
        given: What was read of both.

    Raises:
        Misplaced: The query or the body has what the operation does not look for there, or the query has one twice.
    """
    in_query = set(operation.arguments.model_fields) - in_path(operation) if operation.takes == "query" else set()
    times = Counter(name for name, _ in query)
    if stray := sorted(times.keys() - in_query):
        raise Misplaced(f"{', '.join(stray)}: {operation.name} takes no such argument in the query")
    if repeated := sorted(name for name in times if times[name] > 1 and not isinstance(given.get(name), list)):
        raise Misplaced(f"{', '.join(repeated)}: {operation.name} takes it once, and the query has it more often")
    if operation.takes == "query" and body not in _NO_BODY:
        raise Misplaced(f"body: {operation.name} takes its arguments from the query and has no body")


def in_path(operation: Operation) -> set[str]:
    """Return the names of the arguments that the path has."""
    return {name for _, name, _, _ in Formatter().parse(operation.path) if name}
