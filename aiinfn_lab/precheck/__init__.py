"""What can be said of a file before it is submitted."""
