"""The Kubernetes objects of the platform, built from the platform file."""
