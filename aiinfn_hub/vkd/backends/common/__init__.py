"""What the back ends share: the files of an attempt, its log, its outcome."""
