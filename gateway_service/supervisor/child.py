"""One shard process, from spawning to reaping."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from gateway_service.ipc.channel import SupervisorChannel, open_supervisor_channel
from gateway_service.lifeline import tied_to_us
from gateway_service.settings import SETTINGS

SHARD_COMMAND: Final = (sys.executable, "-m", "gateway_service.shard")

# A child gets these over its channel. An environment can be read by every process of the same user.
_SECRET_VARIABLES: Final = frozenset(
    name
    for setting in SETTINGS
    if setting.name in {"token", "broker_url", "state_url"}
    for name in (setting.env, *setting.fallback_envs)
)


class Child:
    """A running process and our end of its channel."""

    def __init__(self, process: asyncio.subprocess.Process, channel: SupervisorChannel) -> None:
        self._process = process
        self.channel = channel

    @classmethod
    async def spawn(cls, command: Sequence[str]) -> "Child":
        """Start ``command --ipc-fd N``.

        It has a session of its own: Ctrl-C in a terminal signals a whole process group, and the children of this one
        are drained by their supervisor, in order, instead. Its output goes where ours goes.

        Raises:
            OSError: The machine has no room for another process, or the program is not there.
        """
        ours, theirs = socket.socketpair()
        # A child whose supervisor dies sees the end of its channel; the signal ends one that does not read it yet.
        argv = tied_to_us([*command, "--ipc-fd", str(theirs.fileno())])
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=subprocess.DEVNULL,
                    env={name: value for name, value in os.environ.items() if name not in _SECRET_VARIABLES},
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            return cls(process, await open_supervisor_channel(ours))
        except BaseException:
            ours.close()  # a process that was spawned sees that and ends
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait until it ends; return its exit code, negative for a signal."""
        return await self._process.wait()

    def kill(self) -> None:
        """End it at once. Also a stopped process dies of this; its sessions stay resumable."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def release(self) -> None:
        """Kill it if it still runs, reap it, close the channel."""
        if self.is_running:
            self.kill()
        await self._process.wait()
        await self.channel.close()
