"""Who sends what to whom: the registry, and the project's synchronous receivers, as a table or a graph."""

from events.flow.collecting import Flow, Route, collect
from events.flow.showing import FORMATS, show

__all__ = ["FORMATS", "Flow", "Route", "collect", "show"]
