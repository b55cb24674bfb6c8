"""Importing this module registers everything: every table, every operation of diagrams, every outbox handler.

Alembic, the API, the worker and the command line import it; nothing inside the engine does.
"""

import engine.attachments
import engine.bpm.handlers
import engine.bpm.models
import engine.bpm.reminding
import engine.connectors.oa.models
import engine.connectors.wecom.clicks
import engine.connectors.wecom.contacts.events
import engine.connectors.wecom.digest
import engine.connectors.wecom.entry.codes
import engine.connectors.wecom.groups
import engine.connectors.wecom.inbox
import engine.connectors.wecom.messages
import engine.connectors.wecom.models
import engine.connectors.wecom.workbench
import engine.documents
import engine.notices
import engine.org.models
import engine.outbox
import engine.sealing  # noqa: F401
