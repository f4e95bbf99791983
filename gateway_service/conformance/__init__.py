"""The conformance run: every fault of the simulator against our own shard.

``python -m gateway_service.simulator.conformance``
"""
