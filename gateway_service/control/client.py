"""The HTTP API from the other side: what the command line asks a running service."""

from collections.abc import Mapping
from string import Formatter
from types import TracebackType
from typing import Any, Final, Self

import httpx

from gateway_service.control.operations import Operation, parsed
from gateway_service.control.tokens import strongest_token
from gateway_service.errors import ConfigurationError, ServiceUnavailable
from gateway_service.refusals import ControlError
from gateway_service.settings import ControlOptions

# What the way there and back adds to the time that an operation takes.
_ROAD_S: Final = 10.0


class NoServiceAnswers(ServiceUnavailable):
    """Nothing listens at the address of the control API, or what listens is no service of ours."""

    def __str__(self) -> str:
        return (
            f"no gateway service answers at {self.where}: {self.reason}; is `gateway-service start` running, and does "
            "it listen there (GATEWAY_CONTROL_ADDRESS)?"
        )


class ControlClient:
    """Performs operations of the registry over HTTP. Blocks."""

    def __init__(self, options: ControlOptions) -> None:
        """Make it; nothing is sent yet.

        Raises:
            ConfigurationError: There is no control API, or the tokens are wrong.
        """
        if options.control_address is None:
            raise ConfigurationError("control_address: is off, so no command can reach the service")
        token = strongest_token(options.control_tokens_file)
        self._where = str(options.control_address)
        self._client = httpx.Client(
            base_url=f"http://{self._where}",
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            trust_env=False,  # a proxy for the internet has nothing to do with this
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def perform(self, operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer, as JSON values.

        Raises:
            NoServiceAnswers: Nobody is there.
            ControlError: The arguments are wrong, the service refused, or the operation failed.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        checked = parsed(operation, given)
        in_path = {name for _, name, _, _ in Formatter().parse(operation.path) if name}
        rest = {name: value for name, value in given.items() if name not in in_path}
        takes_s = operation.takes_s + max(getattr(checked, name, 0.0) for name in ("timeout_s", "wait_s"))
        try:
            response = self._client.request(
                operation.method,
                operation.path.format(**{name: given[name] for name in in_path}),
                params=rest if operation.takes == "query" else None,
                json=rest if operation.takes == "body" else None,
                timeout=_ROAD_S + takes_s,
            )
            answer = response.json()
        except httpx.HTTPError as exc:
            raise NoServiceAnswers(self._where, str(exc) or type(exc).__name__) from exc
        except ValueError as exc:
            raise NoServiceAnswers(self._where, f"HTTP {response.status_code} that is not JSON") from exc
        if not isinstance(answer, dict) or ("result" if response.is_success else "code") not in answer:
            raise NoServiceAnswers(self._where, f"HTTP {response.status_code} that is no answer of this API")
        if not response.is_success:
            raise ControlError.from_json({**answer, "message": answer.get("detail", "no reason was given")})
        return dict(answer)
