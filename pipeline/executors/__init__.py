"""Executors, one a file: where trials run.

Each is a `concurrent.futures.Executor` with two attributes: `workers` is how many calls run at once; `remote` is True
if calls run in other processes, so that their arguments are pickled and they can't show progress here. An executor
starts nothing before it is entered, so that settings are checked first.
"""
