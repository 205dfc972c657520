"""The engine: asks, remembers, pays, and runs items; knows no flow and no skill."""
