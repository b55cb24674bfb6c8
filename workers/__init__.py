"""Work behind the requests: the outbox's handlers, due timers, purges."""
