"""A stand-in for a shard process: it speaks the ipc protocol, and misbehaves as it is told.

It has no import of the package: the wire format is pinned by it, and it starts in an instant.
"""

import argparse
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

REPORT_S = 0.05
SLOW_START_S = 0.3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ipc-fd", type=int, required=True)
    parser.add_argument("--journal", required=True, help="file to which every happening is appended as a JSON line")
    parser.add_argument("--exit-with", type=int, help="end with this code as soon as configured")
    parser.add_argument("--only-shard", type=int, help="misbehave only when this shard is ours")
    parser.add_argument("--slow-shard", type=int, help="take a while to start when this shard is ours")
    parser.add_argument("--state", default="live", help="of every shard that is not refused")
    parser.add_argument("--fatal", type=int, help="tell of this close code for the first shard")
    parser.add_argument("--lose-gateway", action="store_true", help="say that the gateway URL does not work")
    parser.add_argument("--identify", action="store_true", help="ask for permits and use them")
    parser.add_argument("--exit-after-identify", action="store_true", help="end with 1 when a permit was used")
    parser.add_argument("--ignore-drain", action="store_true")
    parser.add_argument("--ignore-eof", action="store_true")
    parser.add_argument("--ignore-pings", action="store_true")
    parser.add_argument("--say-nothing", action="store_true", help="never report")
    parser.add_argument("--say-garbage", action="store_true")
    child = Child(parser.parse_args())
    sys.exit(child.run())


class Child:
    def __init__(self, options):
        self.options = options
        self.socket = socket.socket(fileno=options.ipc_fd)
        self.socket.settimeout(REPORT_S)
        self.shard_ids = []
        self.received = 0

    def run(self):
        self.note("started", argv=sys.argv, env=sorted(os.environ), session=os.getsid(0))
        self.send("hello", pid=os.getpid())
        unread = b""
        while True:
            self.report()
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            if not data:
                self.note("eof")
                if not self.options.ignore_eof:
                    return 0
                signal.pause()
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                code = getattr(self, f"on_{message.pop('type')}")(**message)
                if code is not None:
                    return code

    def on_configure(self, token, gateway_url, shard_ids, **_rest):
        self.note("configured", token=token, gateway_url=gateway_url, shard_ids=shard_ids)
        if self.options.slow_shard in shard_ids:
            time.sleep(SLOW_START_S)
        self.shard_ids = shard_ids
        if self.options.only_shard not in (None, *shard_ids):
            return None
        if self.options.exit_with is not None:
            return self.options.exit_with
        if self.options.fatal:
            self.report()  # what a refusal leads to depends on the other shards
            self.send("fatal", shard_id=shard_ids[0], code=self.options.fatal, reason="told to")
        if self.options.lose_gateway:
            self.send("gateway_url_request")
        if self.options.say_garbage:
            self.socket.sendall(b"what?\n")
        if self.options.identify:
            for shard_id in shard_ids:
                self.send("permit_request", shard_id=shard_id)
        return None

    def on_ping(self, nonce):
        if not self.options.ignore_pings:
            self.send("pong", nonce=nonce)

    def on_permit(self, shard_id, presence, **_rest):
        self.note("permit", shard_id=shard_id, presence=presence)
        self.send("identify_sent", shard_id=shard_id)
        self.send("identify_answered", shard_id=shard_id)
        return 1 if self.options.exit_after_identify else None

    def on_gateway_url(self, url):
        self.note("gateway_url", url=url)

    def on_drain(self, timeout_s):
        self.note("drain", timeout_s=timeout_s)
        if self.options.ignore_drain:
            return None
        self.send("drained")
        return 0

    def report(self):
        if not self.shard_ids or self.options.say_nothing:
            return
        self.received += 1
        shards = [
            {"shard_id": shard_id, "state": self.options.state, "since": time.time(), "received": self.received}
            for shard_id in self.shard_ids
        ]
        self.send("report", shards=shards, process={"broker": "up", "reconnects": [("zombied", "none", self.received)]})

    def send(self, kind, **fields):
        self.socket.sendall(json.dumps({"type": kind, **fields}).encode() + b"\n")

    def note(self, happening, **fields):
        line = json.dumps({"happening": happening, "pid": os.getpid(), "at": time.time(), **fields})
        with Path(self.options.journal).open("a") as journal:
            journal.write(line + "\n")


if __name__ == "__main__":
    main()
