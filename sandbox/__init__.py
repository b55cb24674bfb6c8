"""Stand-ins for outside systems, for the demo and for tests. They know nothing of Piyue."""
