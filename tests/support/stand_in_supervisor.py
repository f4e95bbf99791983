"""A real supervisor of stand-ins as a program of its own: for tests that signal or kill it.

Arguments: state file, "ready" or "blocked" (the broker never answers), then the command of a shard process.
"""

import sys
import threading

from gateway_service.settings import GatewayOptions
from gateway_service.supervisor import Policy, Supervisor

state_path, broker, *command = sys.argv[1:]


def connect_broker(_url):
    if broker == "blocked":
        sys.stdout.write("blocked\n")
        sys.stdout.flush()
        threading.Event().wait()


options = GatewayOptions(
    token="token", url="ws://127.0.0.1:9", shard_count=2, processes=2, state_url=f"sqlite:///{state_path}"
)
policy = Policy(drain_timeout_s=1.0, kill_after_s=60.0)
sys.exit(Supervisor(options, policy=policy, command=command, connect_broker=connect_broker).run())
