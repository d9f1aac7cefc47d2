"""What vkd does, between its API and database, presentation and back ends."""
