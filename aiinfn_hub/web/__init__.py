"""What the hub does with every request and page, beside its own handlers."""
