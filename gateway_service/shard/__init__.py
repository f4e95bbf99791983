"""The shard process: holds 1..k shards and the publisher thread. Started as ``python -m gateway_service.shard``."""
