"""`make bench`: the training core against its rivals, what is around it, then the searches simulated.

    python -m tests.benchmarks.kernels
    python -m tests.benchmarks.kernels_compiled
    python -m tests.benchmarks.overhead
    python -m tests.benchmarks.search

run them one by one, and write a JSON file each; `peak_share` runs the searches of the default grid and says how much of
the machine's arithmetic they use, in minutes on an idle one; `proof` and `futility` beside them measure on real
training and take their time, `load` measures the stores of a team and what the published grid would cost, `retuning`
chooses settings with fresh seeds, and `faults` does harm to searches and says what came of it.
"""

import subprocess
import sys

for name in ("kernels", "kernels_compiled", "overhead", "search"):
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)
