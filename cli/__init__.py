"""The command line's groups (piyue db, process, staff, audit): each a module of commands that call the engine."""
