"""The HTTP API under /api/v1: routes and schemas by feature, each route one call to the engine."""
