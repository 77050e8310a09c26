"""At which sequence length does a recurrent cell stop learning, and why?

Commands are modules to run (`python -m pipeline.search`): prepare, train, search, sweep, tune, retune, report, papers
and ui. What they do lies in the folders beside them.
"""
