"""Each guarantee's mechanism switched off, one at a time, in a copy: the test named beside it has to fail."""
