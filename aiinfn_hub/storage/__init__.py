"""Where the files of sessions and jobs are: one provider for each kind of storage."""
