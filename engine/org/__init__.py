"""People, departments, posts and roles of the hospital."""
