"""An app in two versions, for processes of either: `old/depot` and `new/depot`, one of which is on PYTHONPATH."""
