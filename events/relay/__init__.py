"""Publishes what the fast path left or the broker lost. It looks; it never infers. docs/decisions/0001-relay.md."""
