"""Pages (页面): GET only; each reads in one read-only transaction."""
