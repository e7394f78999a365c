"""Real applications behind the agent, with users who notice what a migration does."""
