"""From a file or folder to a request to vkd."""
