import subprocess
import sys

import pytest
import torch

from pipeline.learning import lazy_dynamo

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


def test_another_release_of_torch_gets_its_own_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, lazy_dynamo.COMPILER, raising=False)
    monkeypatch.setattr(torch, "__version__", "2.14.0")
    lazy_dynamo.postpone()
    assert lazy_dynamo.COMPILER not in sys.modules
