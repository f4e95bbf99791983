"""A shard process without shards: would what is installed and set now start at all?"""

import asyncio
from collections.abc import Sequence

from gateway_service.errors import EX_OK, TrialFailed
from gateway_service.ipc.channel import ChannelBroken
from gateway_service.ipc.messages import Configure, Drain, Hello, Report
from gateway_service.supervisor.child import Child
from gateway_service.supervisor.policy import Policy, exit_meaning


async def try_start(command: Sequence[str], configure: Configure, policy: Policy) -> None:
    """Start a process, wait for its first report and end it.

    Args:
        command: Program and arguments of a shard process.
        configure: What it works by, without shards.
        policy: How long it may take.

    Raises:
        TrialFailed: It did not start, or does not speak as this supervisor does.
    """
    try:
        child = await Child.spawn(command)
    except OSError as exc:
        raise TrialFailed(str(exc)) from None
    try:
        async with asyncio.timeout(policy.start_timeout_s):
            while (message := await child.channel.receive()) is not None:
                if isinstance(message, Hello):
                    child.channel.send(configure)
                elif isinstance(message, Report):
                    child.channel.send(Drain(timeout_s=policy.drain_timeout_s))
            exit_code = await child.wait()
    except TimeoutError:
        raise TrialFailed(f"it did not start within {policy.start_timeout_s:g} s") from None
    except ChannelBroken as exc:
        raise TrialFailed(str(exc)) from None
    finally:
        await child.release()
    if exit_code != EX_OK:
        raise TrialFailed(f"{exit_meaning(exit_code)}; the log has its last words")
