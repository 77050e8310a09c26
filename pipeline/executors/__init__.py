"""Where trials run, one kind a file: each is a `concurrent.futures.Executor` that says how many run at once.

The plainest, one trial at a time in this process, is `horizon.driver.Inline`. An executor starts nothing before it is
entered, so that settings are checked first.
"""
