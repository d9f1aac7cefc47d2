"""Read the platform file: YAML, overlays, checks across sections, reload."""
