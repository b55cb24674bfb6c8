"""Processes: definitions, the runtime on SpiffWorkflow, rounds of work items, commands and queries."""
