"""Official documents (公文): the ledger of document numbers; the processes themselves are diagrams."""

import engine.documents.process  # noqa: F401  (registers its operations)
