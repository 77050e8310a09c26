"""The settings of one training, with their ranges; conf/config.yaml has the values and the reasons."""

from dataclasses import dataclass

from pipeline.errors import require

KERNELS = ("auto", "fused", "torch", "stepwise")


@dataclass
class Training:
    """How replicas are trained. A field's comment in conf/config.yaml says what the value is for."""

    length: int
    updates: int
    replicas: int
    batch: int
    clip: float
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
        inspected = self.inspect_every is None or self.inspect_every >= 1
        rule = "must be at least 1, or null for the first and the last update only"
        require(inspected, "training.inspect_every", rule, self.inspect_every)
        threads = self.threads is None or self.threads >= 1
        require(threads, "training.threads", "must be at least 1, or null for all cores", self.threads)
        require(self.clip > 0, "training.clip", "is a gradient norm, above 0 (.inf for no clipping)", self.clip)
        require(0 <= self.seed < 2**63, "training.seed", "must be from 0 to 2^63 - 1", self.seed)
        require(self.device.split(":")[0] in ("cpu", "cuda"), "training.device", "must be cpu or cuda", self.device)
        require(self.kernel in KERNELS, "training.kernel", f"must be one of {', '.join(KERNELS)}", self.kernel)
