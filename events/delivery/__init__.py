"""The worker's side: what becomes of one event for one receiver."""
