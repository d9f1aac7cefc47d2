"""Why a pod does not start or has ended, in words."""
