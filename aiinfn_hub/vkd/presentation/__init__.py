"""Jobs and their states as people read them."""
