"""What a worker does beside running receivers: it beats, says what it holds, and runs a relay."""
