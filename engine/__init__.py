"""All rules and all SQL of Piyue (批阅): no HTTP, no task queue."""
