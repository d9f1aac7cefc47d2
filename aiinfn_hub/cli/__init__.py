"""The command ``aiinfn-hub`` of operators."""
