"""The server API: one module for each subject; importing them fills `endpoints.ENDPOINTS`."""

from sandbox.wecom.api import agents, chats, contacts, identity, media, messages, tags

__all__ = ["agents", "chats", "contacts", "identity", "media", "messages", "tags"]
