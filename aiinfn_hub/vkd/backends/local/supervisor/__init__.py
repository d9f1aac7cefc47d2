"""The small process above a job: starts it, keeps its log, ends it, and writes down how it ended.

It is run as a file (``python -I -S supervisor/__main__.py FOLDER``) and needs the standard library only, so that it
starts fast and stays small. It is its own session and outlives vkd. Everything that it has to say is in its folder:

``spec.json``     what to run (written by vkd before it starts this)
``run.json``      who runs: written before the job's first instruction, completed when the job is up
``log``           what the job prints, up to a limit
``records.json``  the last progress and error that the job reported
``resources.json``  what the job used over time, see `resource_series`
``exit.json``     how it ended, with the last records; written last, into space set aside at the beginning
``abandoned``     vkd gave this attempt up before it began: it must not run any more

SIGTERM asks it to stop the job: SIGTERM to all of the job's processes, and SIGKILL to what is left after the grace
period. It is a *subreaper*: whatever the job starts and however it detaches, it stays a descendant and is ended too.
"""
