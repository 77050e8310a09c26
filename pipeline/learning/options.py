"""The settings of one training, with their ranges; conf/config.yaml has the values and the reasons."""

from dataclasses import dataclass
from math import inf
from typing import Any

from pipeline.base.errors import require

KERNELS = ("auto", "fused", "torch", "stepwise")


@dataclass
class TrainingOptions:
    """How replicas are trained. A field's comment in conf/config.yaml says what the value is for."""

    length: int
    shortest: int | None
    test_lengths: Any  # a list of lengths
    updates: int
    replicas: int
    batch: int
    clip: float
    regularizer: float
    probe_every: int
    record_every: int
    inspect_every: int | None
    seed: int
    device: str
    kernel: str
    threads: int | None

    def check(self) -> None:
        """Raise `UserError` where a value is out of its range."""
        for name in ("length", "updates", "replicas", "batch", "probe_every", "record_every"):
            require(getattr(self, name) >= 1, f"training.{name}", "must be at least 1", getattr(self, name))
        shortest = self.shortest is None or 1 <= self.shortest <= self.length
        require(
            shortest, "training.shortest", f"must be from 1 to training.length {self.length}, or null", self.shortest
        )
        wanted = isinstance(self.test_lengths, list) and all(type(each) is int for each in self.test_lengths)
        wanted = wanted and min(self.test_lengths, default=1) >= 1
        require(wanted, "training.test_lengths", "must be a list of lengths, each at least 1", self.test_lengths)
        require(
            0 <= self.regularizer < inf, "training.regularizer", "is the weight of Omega, at least 0", self.regularizer
        )
        inspected = self.inspect_every is None or self.inspect_every >= 1
        rule = "must be at least 1, or null for the first and the last update only"
        require(inspected, "training.inspect_every", rule, self.inspect_every)
        threads = self.threads is None or self.threads >= 1
        require(threads, "training.threads", "must be at least 1, or null for all cores", self.threads)
        require(self.clip > 0, "training.clip", "is a gradient norm, above 0 (.inf for no clipping)", self.clip)
        require(0 <= self.seed < 2**63, "training.seed", "must be from 0 to 2^63 - 1", self.seed)
        require(self.device.split(":")[0] in ("cpu", "cuda"), "training.device", "must be cpu or cuda", self.device)
        require(self.kernel in KERNELS, "training.kernel", f"must be one of {', '.join(KERNELS)}", self.kernel)
