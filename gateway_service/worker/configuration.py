"""Celery settings for workers: what our settings say, and the defaults under which no dispatch is lost."""

import socket
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from gateway_service import amqps
from gateway_service.errors import ConfigurationError
from gateway_service.settings import WorkerOptions, load_worker_options
from gateway_service.tracing import check_tracing
from gateway_service.worker.callback import API_URL_KEY
from gateway_service.worker.consumer import CONSUMER_PATH
from gateway_service.worker.exposition import METRICS_ADDRESS_KEY
from gateway_service.worker.once import ONCE_URL_KEY
from gateway_service.worker.serialization import CONTENT_TYPE, PLAIN_JSON
from gateway_service.worker.spans import TRACING_KEY

# How long a message of a killed worker stays away on Redis. A handler must be done within that time, and a
# message that waits for a longer countdown runs more than once. See Celery: Using Redis, visibility timeout.
REDIS_VISIBILITY_TIMEOUT_S: Final = 60
# Celery's two minutes are long for a bot that answers people.
HEARTBEAT_S: Final = 10
# Two heartbeats are missing: who waits for an answer has waited in vain. The clients themselves would wait for ever.
BROKER_SILENCE_S: Final = 2 * HEARTBEAT_S
_TASK_PROTOCOL: Final = 2
_AMQP_SCHEMES: Final = frozenset({"amqp", "amqps", "pyamqp"})
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "sentinel"})


ROUTES_KEY: Final = "gateway_routes"
"""Setting of the Celery application: the table of ``[routes]``."""


def celery_settings(environment: MutableMapping[str, str]) -> dict[str, Any]:
    """Return the settings of our Celery application.

    Args:
        environment: Read, and given our broker: Celery prefers ``CELERY_BROKER_URL`` to every configuration.

    Raises:
        ConfigurationError: Some setting is wrong.
    """
    options = load_worker_options(environment)
    broker_url = options.broker_url.get_secret_value()
    if "CELERY_BROKER_URL" in environment:
        environment["CELERY_BROKER_URL"] = broker_url
    return {**_defaults(options), "broker_url": broker_url, "include": options.tasks}


def worker_defaults(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what any other Celery application needs to run handlers; what it sets itself comes before these.

    Raises:
        ConfigurationError: Some setting is wrong.
    """
    options = load_worker_options(environment)
    return {**_defaults(options), "broker_url": options.broker_url.get_secret_value()}


def check_configuration(conf: Any) -> None:
    """Refuse what an application has set itself and handlers cannot live with.

    Raises:
        ConfigurationError: With every fault.
    """
    faults = []
    if missing := [kind for kind in (CONTENT_TYPE, PLAIN_JSON) if kind not in _content_types(conf.accept_content)]:
        faults.append(f"accept_content must have {' and '.join(map(repr, missing))}: dispatches and retries come in it")
    if conf.task_protocol != _TASK_PROTOCOL:
        faults.append(f"task_protocol must be {_TASK_PROTOCOL}, not {conf.task_protocol!r}: handlers read headers")
    if not conf.worker_detect_quorum_queues:
        faults.append("worker_detect_quorum_queues must not be off: the queues of dispatches are quorum queues")
    if faults:
        raise ConfigurationError(*faults)


def _transport_options(scheme: str) -> dict[str, Any]:
    """Return what a broker's client is told, so that a broker which falls silent never silences the worker."""
    if scheme in _REDIS_SCHEMES:
        return {"visibility_timeout": REDIS_VISIBILITY_TIMEOUT_S, "socket_timeout": BROKER_SILENCE_S}
    if scheme not in _AMQP_SCHEMES:
        return {}
    options: dict[str, Any] = {"read_timeout": BROKER_SILENCE_S}
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # py-amqp's one second makes the kernel cut the connection whenever the broker lets us wait a little.
        options["socket_settings"] = {socket.TCP_USER_TIMEOUT: BROKER_SILENCE_S * 1000}
    return options


def _content_types(accepted: Iterable[str]) -> set[str]:
    return {PLAIN_JSON if kind == "json" else kind for kind in accepted}


def _defaults(options: WorkerOptions) -> dict[str, Any]:
    amqps.install()
    if options.tracing:
        check_tracing()
    return {
        "broker_connection_retry_on_startup": True,
        "broker_heartbeat": HEARTBEAT_S,
        "broker_transport_options": _transport_options(options.broker_url.scheme),
        ROUTES_KEY: options.routes.as_mapping(),
        ONCE_URL_KEY: url.get_secret_value() if (url := options.shared_once_url) else None,
        API_URL_KEY: options.api_url,
        TRACING_KEY: options.tracing,
        METRICS_ADDRESS_KEY: options.worker_metrics_address,
        "accept_content": [CONTENT_TYPE, PLAIN_JSON],
        "result_accept_content": [PLAIN_JSON],
        "task_ignore_result": True,
        # A message is gone when its handler is done, not when it begins.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_consumer": CONSUMER_PATH,
        # An exclusive queue belongs to a lost connection until the broker has noticed, and who comes back is refused.
        "control_queue_exclusive": False,
        "control_queue_durable": True,
        # Celery 5.7 with kombu 5.7 stalls a solo pool at a prefetch count below 4 (Hub.create_loop).
        "worker_prefetch_multiplier": 16,
        "worker_send_task_events": True,
        # Delayed delivery on quorum queues needs a topic exchange.
        "task_default_queue_type": "quorum",
        "task_default_exchange_type": "topic",
        "task_create_missing_queue_type": "quorum",
        "task_create_missing_queue_exchange_type": "topic",
    }
