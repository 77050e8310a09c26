import subprocess
import sys

CODE = """
import sys
import torch
from pipeline.learning.optimizer import require_rowwise

require_rowwise(torch.optim.Adam)
assert not any(name.startswith("torch._dynamo.") for name in sys.modules), "an optimizer imported the compiler"

twice = torch.compile(lambda x: 2 * x, backend="eager")
assert twice(torch.ones(3)).tolist() == [2, 2, 2]
import torch._dynamo.utils
assert "torch._dynamo.utils" in sys.modules
assert torch._dynamo.graph_break.__module__.startswith("torch._dynamo"), "the real module did not come"
require_rowwise(torch.optim.Adam)
"""


def test_optimizers_do_not_import_torchs_compiler_and_who_wants_it_still_gets_it() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
