"""Kubernetes and Kueue: what is granted as objects of a cluster, and how the cluster is asked and watched."""
