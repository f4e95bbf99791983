"""The Shards page inside Flower: what the gateways of a broker tell of their shards, and what operators do to them."""
