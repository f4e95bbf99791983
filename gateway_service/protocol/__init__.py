"""The Discord gateway protocol, pure: bytes, time and randomness come in, intentions go out; no I/O."""
