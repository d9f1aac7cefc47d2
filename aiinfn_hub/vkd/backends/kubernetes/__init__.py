"""The back end of the platform: jobs are batch/v1 Jobs that Kueue admits, sessions are pods. See `backend`."""
