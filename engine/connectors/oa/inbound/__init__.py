"""What comes from an OA: its own items that wait for people, and what people have handled of ours there."""
