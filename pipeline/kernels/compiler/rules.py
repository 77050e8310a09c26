"""How each ATen operator is written in nodes."""

from pipeline.kernels.compiler import across, elementwise
from pipeline.kernels.compiler.calls import Rule

RULES: dict[str, Rule] = elementwise.RULES | across.RULES
