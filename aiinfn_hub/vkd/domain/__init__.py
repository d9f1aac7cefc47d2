"""The types that the layers of vkd share."""
