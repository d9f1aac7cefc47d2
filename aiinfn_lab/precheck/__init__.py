"""What can be told of a file before it is submitted."""
