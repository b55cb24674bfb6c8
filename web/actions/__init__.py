"""Actions (操作): POST only; each runs one command of the engine, as the API does, and sends the browser on."""
