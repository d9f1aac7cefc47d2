"""What the databases of the suite share."""
