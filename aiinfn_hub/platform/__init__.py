"""What the platform has and who may use it: pure domain code, without I/O, Jupyter or Kubernetes."""
