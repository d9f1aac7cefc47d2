"""How a session is chosen, granted and started."""
