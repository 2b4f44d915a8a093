"""Fault injection with real processes: `make chaos`. See docs/chaos.md."""
