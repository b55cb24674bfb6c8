"""What a user, an admin or the worker can do to an instance: one function per verb, first `(session, actor, …)`.

Each reads: lock, checks in a fixed order with typed refusals, the round decides, the engine advances, one write.
"""

from engine.bpm.commands.admin import dismiss, jump, retry
from engine.bpm.commands.attaching import sent_before
from engine.bpm.commands.case import ProcessFault
from engine.bpm.commands.complete import Done, complete
from engine.bpm.commands.ending import terminate, withdraw
from engine.bpm.commands.events import send_message
from engine.bpm.commands.handover import Handed, hand_over
from engine.bpm.commands.letters import requeue, requeue_all
from engine.bpm.commands.people import circulate, claim, reassign, unclaim
from engine.bpm.commands.reading import acknowledge
from engine.bpm.commands.returning import send_back, take_back
from engine.bpm.commands.start import Started, may_start, start
from engine.bpm.commands.talking import comment, copy, drop_draft, mark_opened, purge_drafts, save_draft, urge
from engine.bpm.commands.timers import fire_due

__all__ = [
    "Done",
    "Handed",
    "ProcessFault",
    "Started",
    "acknowledge",
    "circulate",
    "claim",
    "comment",
    "complete",
    "copy",
    "dismiss",
    "drop_draft",
    "fire_due",
    "hand_over",
    "jump",
    "mark_opened",
    "may_start",
    "purge_drafts",
    "reassign",
    "requeue",
    "requeue_all",
    "retry",
    "save_draft",
    "send_back",
    "send_message",
    "sent_before",
    "start",
    "take_back",
    "terminate",
    "unclaim",
    "urge",
    "withdraw",
]
