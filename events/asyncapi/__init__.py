"""The events that can happen here as an AsyncAPI 3 document (https://www.asyncapi.com)."""

from events.asyncapi.document import document

__all__ = ["document"]
