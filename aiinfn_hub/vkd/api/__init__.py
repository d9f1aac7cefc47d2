"""The HTTP face of vkd: each route reads a request, asks the service, and writes the answer."""
