"""The lab half of aiinfn: server extension, notebook inspection and the batch runner."""
