"""What the supervisor and a shard process say to each other: JSON lines over an inherited socket."""
