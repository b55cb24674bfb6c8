"""Stand-ins for outside systems, for the demo and for tests. They know nothing of Piyue: only what those systems show."""
