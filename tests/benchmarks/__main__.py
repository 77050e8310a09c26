"""`make bench`: the speed of the training core against its rivals, then the searches simulated.

    python -m tests.benchmarks.kernels
    python -m tests.benchmarks.search

run them one by one, and write a JSON file each; `proof` and `futility` beside them measure on real training and take
their time.
"""

import subprocess
import sys

for name in ("kernels", "search"):
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)
