"""At which sequence length does a recurrent cell stop learning, and why?

Stages are modules to run (`python -m pipeline.search`): prepare, train, search, report, ui. What they share lies beside
them; what they do lies in the folders: tasks, cells, kernels (a cell through time), learning, horizon (the search).
"""

import gc
import sys

if sys.argv[0] == "-m":  # a command is being started: its imports make much and drop little
    gc.disable()  # a fifth less time to import torch and MLflow; settings.stage ends it
