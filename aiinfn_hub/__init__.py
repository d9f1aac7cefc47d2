"""The hub half of aiinfn: who may use what, sessions, and the delegation service vkd."""
