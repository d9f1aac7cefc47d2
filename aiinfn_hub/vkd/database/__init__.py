"""vkd's database: the only place with SQL."""
