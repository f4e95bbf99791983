"""The checks themselves: each asks what a start would ask."""

import asyncio
import os
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway_service.doctor.findings import (
    Finding,
    NotMade,
    StateSeen,
    broker_finding,
    clock_finding,
    num_shards_of,
    processes_here,
    settings_read,
    settings_refused,
    shards_finding,
    shards_here,
    skip,
    spool_finding,
    state_finding,
    token_finding,
)
from gateway_service.errors import BrokerUnavailable, ConfigurationError, GatewayServiceError, StateUnavailable
from gateway_service.publisher import Origin, Room, SpoolFolder, make_link
from gateway_service.settings import GatewayOptions, load_options
from gateway_service.sqlite_file import obstacle_to
from gateway_service.state import Namespace, bot_id_of, file_of, open_state
from gateway_service.supervisor.gateway_info import GatewayInfo, Patience, fetch_gateway_info
from gateway_service.supervisor.presence import PresenceProvider
from gateway_service.supervisor.threads import call_in_thread

CHECK_TIMEOUT_S: Final = 15.0

_T = TypeVar("_T")


async def examine(flags: Mapping[str, Any], env: Mapping[str, str], config_file: Path | None) -> list[Finding]:
    """Make every check; one that needs what another did not get is skipped."""
    try:
        options = load_options(flags, env, config_file)
        PresenceProvider(options.presence)
    except ConfigurationError as exc:
        needy = [
            skip(check, "needs the settings") for check in ("token", "clock", "broker", "spool", "state", "shards")
        ]
        return [*settings_refused(exc), *needy]
    info, broker, spool = await asyncio.gather(
        _outcome(_ask_api(options)), _outcome(_try_broker(options)), _outcome(_try_spool(options))
    )
    state = await _outcome(_try_state(options, info))
    return [
        settings_read(options),
        token_finding(options, info),
        clock_finding(info),
        broker_finding(options, broker),
        spool_finding(options, spool, processes=processes_here(options, info)),
        state_finding(options, state),
        shards_finding(options, info, resumable=(state.sessions or 0) if isinstance(state, StateSeen) else 0),
    ]


async def _outcome(check: Awaitable[_T]) -> _T | GatewayServiceError | TimeoutError:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check
    except (GatewayServiceError, TimeoutError) as exc:
        return exc


async def _ask_api(options: GatewayOptions) -> GatewayInfo:
    return await fetch_gateway_info(options.api_url, options.token.get_secret_value(), Patience(tries=1))


async def _try_broker(options: GatewayOptions) -> str | None:
    """Connect and declare as the publisher does; return why the broker takes no messages now, if so.

    Raises:
        BrokerUnavailable: It cannot be reached or refused us.
        ConfigurationError: Its URL cannot be used.
    """

    def connect() -> str | None:
        origin = Origin(bot_id_of(options.token.get_secret_value()))
        link = make_link(options.broker_url.get_secret_value(), origin)
        try:
            link.connect()
            link.poll()
            return link.blocked_reason
        finally:
            link.close()

    try:
        return await call_in_thread(connect, name="doctor-broker", timeout_s=CHECK_TIMEOUT_S)
    except TimeoutError:
        raise BrokerUnavailable(str(options.broker_url), f"no answer within {CHECK_TIMEOUT_S:g} s") from None


async def _try_state(options: GatewayOptions, info: object) -> StateSeen | NotMade:
    """Open the store, write to it, and count the sessions that a start would resume.

    A file that is not there is not made: it would be this user's, who need not be the one that the service runs as.
    """
    url = options.state_url.get_secret_value()
    shard_ids = shards_here(options, info)
    num_shards = num_shards_of(options, info)

    def use() -> StateSeen | NotMade:
        if options.state_url.scheme == "sqlite" and not os.access(path := file_of(url).absolute(), os.F_OK):
            if obstacle := obstacle_to(path.parent):
                raise StateUnavailable(str(path), f"it cannot be made: {obstacle}")
            return NotMade()
        state = open_state(url, Namespace.of(options.token.get_secret_value(), num_shards or 1))
        try:
            state.save(())
            stored = None if shard_ids is None else sum(state.load(shard_id) is not None for shard_id in shard_ids)
            return StateSeen(stored, state.eviction_policy)
        finally:
            state.close()

    return await call_in_thread(use, name="doctor-state", timeout_s=CHECK_TIMEOUT_S)


async def _try_spool(options: GatewayOptions) -> Room | None:
    """Look whether a start can make or use the folder, and how much room its disk has; None: the spool is not used."""

    def use() -> Room:
        folder = SpoolFolder(options.spool_folder.absolute() / bot_id_of(options.token.get_secret_value()))
        folder.try_lock()
        return folder.room()

    return (
        await call_in_thread(use, name="doctor-spool", timeout_s=CHECK_TIMEOUT_S) if options.spool_max_bytes else None
    )
