"""``python -m gateway_service.simulator.conformance``: the faults against our own shard.

The run itself is the part ``conformance``, because the simulator knows nothing of the client.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("gateway_service.conformance", run_name="__main__", alter_sys=True)
