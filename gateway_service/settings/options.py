"""The options of a gateway service as one typed, frozen object."""

import socket
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, PlainValidator, SecretStr, ValidationError, ValidationInfo

from gateway_service.errors import ConfigurationError
from gateway_service.protocol.constants import (
    DISCORD_API_URL,
    MAX_LARGE_THRESHOLD,
    MIN_LARGE_THRESHOLD,
    UNPRIVILEGED_INTENTS,
    Compression,
    Intents,
)
from gateway_service.settings import pods, urls, values
from gateway_service.settings.routes import Routes, parse_routes
from gateway_service.settings.table import BY_NAME
from gateway_service.settings.urls import Address, SecretUrl
from gateway_service.settings.values import Presence, PresenceSource
from gateway_service.telemetry import LogFormat, LogLevel, register_secret

__all__ = ["ControlOptions", "GatewayOptions", "Presence", "PresenceSource", "WorkerOptions"]

DEFAULT_TASKS: Final = ("tasks",)
DEFAULT_BROKER_URL: Final = "amqp://guest:guest@127.0.0.1:5672//"
DEFAULT_API_URL: Final = DISCORD_API_URL
DEFAULT_STATE_URL: Final = "sqlite:///.gateway/state.db"
DEFAULT_OUTBOX_BYTES: Final = 64 * 1024 * 1024
DEFAULT_SPOOL_BYTES: Final = 1024 * 1024 * 1024
# Less than this would be full after one large dispatch.
MIN_OUTBOX_BYTES: Final = 64 * 1024
DEFAULT_CONTROL_ADDRESS: Final = "127.0.0.1:9420"
DEFAULT_IDENTIFY_RESERVE: Final = 20


def _choice(name: str) -> PlainValidator:
    return PlainValidator(lambda value: values.choice(value, *BY_NAME[name].choices))


_percent = partial(values.whole_number, at_least=0, at_most=90)
_large_threshold = partial(values.whole_number, at_least=MIN_LARGE_THRESHOLD, at_most=MAX_LARGE_THRESHOLD)


def _shards_per_pod(value: object, info: ValidationInfo) -> int | None:
    return pods.parse_shards_per_pod(value, info.data.get("shard_count"))


def _ordinal(value: object, info: ValidationInfo) -> int | None:
    if not {"shard_count", "shards_per_pod"} <= info.data.keys():  # one was refused itself, which is enough
        return None
    per_pod = info.data["shards_per_pod"]
    ordinal = pods.parse_ordinal(value, is_pod=per_pod is not None, host_name=socket.gethostname())
    if ordinal is not None:
        pods.shards_of_pod(ordinal, per_pod, info.data["shard_count"])  # there are some
    return ordinal


def _shards(value: object, info: ValidationInfo) -> tuple[int, ...] | None:
    shard_ids = values.parse_shards(value, info.data.get("shard_count", "auto"))
    if info.data.get("ordinal") is None:
        return shard_ids
    if shard_ids is not None:
        raise values.BadValue("names the shards that run here, and shards_per_pod does too; keep one")
    return pods.shards_of_pod(info.data["ordinal"], info.data["shards_per_pod"], info.data["shard_count"])


class _Options(BaseModel):
    """Validated when built, frozen after; every fault is in one error and no secret in any log line."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as exc:
            raise ConfigurationError(*_faults_of(exc)) from None
        for _, value in self:
            if isinstance(value, SecretUrl):
                for password in value.passwords:
                    register_secret(password)
            elif isinstance(value, SecretStr):
                register_secret(value.get_secret_value())


Tasks = Annotated[tuple[str, ...], PlainValidator(values.parse_tasks)]
BrokerUrl = Annotated[SecretUrl, PlainValidator(urls.parse_broker_url)]
OnceUrl = Annotated[SecretUrl | None, PlainValidator(urls.parse_once_url)]
StateUrl = Annotated[SecretUrl, PlainValidator(urls.parse_state_url)]
ApiUrl = Annotated[str, PlainValidator(lambda value: urls.parse_url(value, "https", "http"))]
RoutesOption = Annotated[Routes, PlainValidator(parse_routes)]
RoutesGiven = Routes | Mapping[str, Any] | str
NO_ROUTES: Final = Routes()


ControlAddress = Annotated[Address | None, PlainValidator(urls.parse_address)]
Tracing = Annotated[bool, PlainValidator(values.parse_yes_or_no)]
MetricsAddress = Annotated[Address | None, PlainValidator(urls.parse_address)]


class WorkerOptions(_Options):
    """What a Celery worker needs to know; it has no token and no shards."""

    tasks: Tasks
    broker_url: BrokerUrl
    state_url: StateUrl
    once_url: OnceUrl
    api_url: ApiUrl
    tracing: Tracing
    worker_metrics_address: MetricsAddress
    routes: RoutesOption

    def __init__(
        self,
        *,
        tasks: str | Iterable[str] = DEFAULT_TASKS,
        broker_url: str | SecretStr = DEFAULT_BROKER_URL,
        state_url: str | SecretStr = DEFAULT_STATE_URL,
        once_url: str | SecretStr | None = None,
        api_url: str = DEFAULT_API_URL,
        tracing: bool | str = False,
        worker_metrics_address: str | Address | None = None,
        routes: RoutesGiven = NO_ROUTES,
    ) -> None:
        super().__init__(**{name: value for name, value in locals().items() if name in type(self).model_fields})

    @property
    def shared_once_url(self) -> SecretUrl | None:
        """Where runs are noted if that is set, or if the state is shared by many hosts."""
        if self.once_url is not None or self.state_url.scheme == "sqlite":
            return self.once_url
        return self.state_url


class ControlOptions(_Options):
    """What a command needs to reach a running service."""

    control_address: ControlAddress
    control_tokens_file: Annotated[Path | None, PlainValidator(values.parse_path)]

    def __init__(
        self,
        *,
        control_address: str | Address | None = DEFAULT_CONTROL_ADDRESS,
        control_tokens_file: str | Path | None = None,
    ) -> None:
        super().__init__(control_address=control_address, control_tokens_file=control_tokens_file)


class GatewayOptions(_Options):
    """What a :class:`Supervisor` runs by. docs/settings.md tells the meaning of each.

    Example:
        ``GatewayOptions(token="…", shard_count=32, shards=[range(0, 4), 8, 9], presence=lambda shard_id: {...})``

    Raises:
        ConfigurationError: With every fault of every option.
    """

    token: Annotated[SecretStr, PlainValidator(values.parse_token)]
    shard_count: Annotated[int | Literal["auto"], PlainValidator(values.parse_shard_count)]
    shards_per_pod: Annotated[int | None, PlainValidator(_shards_per_pod)]
    ordinal: Annotated[int | None, PlainValidator(_ordinal)]
    """None without ``shards_per_pod``; with it, which pod this is."""
    shards: Annotated[tuple[int, ...] | None, PlainValidator(_shards)]
    """Sorted shard ids, those of the pod where it is one; None means all of ``shard_count``."""
    processes: Annotated[int | None, PlainValidator(values.parse_processes)]
    """None means one per CPU core."""
    intents: Annotated[Intents, PlainValidator(values.parse_intents)]
    presence: Annotated[PresenceSource | None, PlainValidator(values.parse_presence)]
    """A presence, a function of the shard id, or the import path of one (``"pkg.mod:function"``)."""
    tasks: Tasks
    broker_url: BrokerUrl
    routes: RoutesOption
    state_url: StateUrl
    once_url: OnceUrl
    """None means the state store or else the broker when that is Redis, else a file of this host."""
    outbox_max_bytes: Annotated[int, PlainValidator(partial(values.byte_count, at_least=MIN_OUTBOX_BYTES))]
    spool_max_bytes: Annotated[int, PlainValidator(values.byte_count)]
    spool_dir: Annotated[Path | None, PlainValidator(lambda value: None if value is None else Path(value))]
    """None means beside the state file."""
    api_url: ApiUrl
    """Without a slash at its end."""
    url: Annotated[str | None, PlainValidator(lambda value: value and urls.parse_url(value, "wss", "ws"))]
    """None means the URL that ``GET /gateway/bot`` answers."""
    compression: Annotated[Compression, _choice("compression")]
    large_threshold: Annotated[int, PlainValidator(_large_threshold)]
    control_address: ControlAddress
    """None means no control API."""
    control_tokens_file: Annotated[Path | None, PlainValidator(values.parse_path)]
    identify_reserve: Annotated[int, PlainValidator(_percent)]
    """Percent of the IDENTIFYs of a day."""
    force_identify: Annotated[bool, PlainValidator(values.parse_yes_or_no)]
    worker_metrics_address: MetricsAddress
    """None means that workers serve no metrics."""
    tracing: Tracing
    log_level: Annotated[LogLevel, _choice("log_level")]
    log_format: Annotated[LogFormat, _choice("log_format")]

    def __init__(
        self,
        *,
        token: str | SecretStr | None,
        shard_count: int | str = "auto",
        shards: str | int | range | Iterable[int | range | str] | None = None,
        shards_per_pod: int | str | None = None,
        ordinal: int | str | None = None,
        processes: int | str | None = None,
        intents: int | str | Iterable[str] = UNPRIVILEGED_INTENTS,
        presence: PresenceSource | None = None,
        tasks: str | Iterable[str] = DEFAULT_TASKS,
        broker_url: str | SecretStr = DEFAULT_BROKER_URL,
        routes: RoutesGiven = NO_ROUTES,
        state_url: str | SecretStr = DEFAULT_STATE_URL,
        once_url: str | SecretStr | None = None,
        outbox_max_bytes: int | str = DEFAULT_OUTBOX_BYTES,
        spool_max_bytes: int | str = DEFAULT_SPOOL_BYTES,
        spool_dir: str | Path | None = None,
        api_url: str = DEFAULT_API_URL,
        url: str | None = None,
        compression: str = "zstd-stream",
        large_threshold: int | str = MIN_LARGE_THRESHOLD,
        control_address: str | Address | None = DEFAULT_CONTROL_ADDRESS,
        control_tokens_file: str | Path | None = None,
        identify_reserve: int | str = DEFAULT_IDENTIFY_RESERVE,
        force_identify: bool | str = False,
        worker_metrics_address: str | Address | None = None,
        tracing: bool | str = False,
        log_level: str = "info",
        log_format: str = "text",
    ) -> None:
        super().__init__(**{name: value for name, value in locals().items() if name in type(self).model_fields})

    @property
    def spool_folder(self) -> Path:
        """Where shard processes put dispatches that the broker does not take."""
        if self.spool_dir is not None:
            return self.spool_dir
        url = self.state_url if self.state_url.scheme == "sqlite" else SecretUrl(DEFAULT_STATE_URL)
        return Path(url.get_secret_value().removeprefix("sqlite:///")).parent / "spool"


def _faults_of(error: ValidationError) -> list[str]:
    """Return one sentence for each fault, each beginning with the name of its field and a colon."""
    sentences = []
    for fault in error.errors(include_url=False, include_input=False):
        sentence = str(fault.get("ctx", {}).get("error", fault["msg"]))
        sentences.append(": ".join([*map(str, fault["loc"]), sentence]))
    return sentences
