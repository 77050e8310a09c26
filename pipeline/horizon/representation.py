"""What a cell can't represent, however it is trained: a short horizon then says nothing about its gradients.

Only what is known stands here, by what a layer is (`Cell.kind`), how many there are, and the task. Each sentence says
whether it is proved or argued.
"""

from dataclasses import dataclass

ANY = 64  # layers: as many as there can be
SEVERAL = 8  # symbols: as many exponentials can't be told apart in float32, even after 10 blanks


@dataclass(frozen=True)
class Limit:
    """Why layers of one kind can't represent some tasks."""

    kind: str
    layers: int  # at most so many
    tasks: tuple[str, ...]  # words of conf/task
    because: str
    message: int = 0  # only where so many symbols are recalled one after another


AFFINE = "its answer is an affine function of the inputs, and "
LIMITS = (
    Limit("linear", ANY, ("adding",), AFFINE + "the least error of such an answer to adding is (1 - 2/T)/6 (proved)"),
    Limit(
        "linear",
        ANY,
        ("adding_pascanu", "multiplication", "parity", "selective_copy"),
        AFFINE + "{task} depends on products of inputs (argued)",
    ),
    Limit(
        "independent",
        1,
        ("adding", "adding_pascanu", "multiplication"),
        "no unit sees another one, and a unit that its rectifier closes to an unmarked value forgets its sum (argued)",
    ),
    Limit(
        "input-gated",
        1,
        ("copy", "memorization"),
        "all inputs are alike while it recalls, so its answers are sums of fading exponentials, of which float32 tells "
        "about 4 apart after 100 blanks and 3 after 1000 (computed: singular values of a_j^(T + k))",
        SEVERAL,
    ),
)
"""Of bare layers: published blocks have nonlinear maps between them (Orvieto et al. 2023, Gu & Dao 2023)."""


def cannot_represent(kind: str, layers: int, task: str, message: int = 0) -> str | None:
    """Return in one sentence why so many layers of a kind can't represent a task; None where nothing is known.

    `message` is the number of symbols that the task has recalled one after another.
    """
    for limit in LIMITS:
        alike = limit.kind == kind and task in limit.tasks
        if alike and layers <= limit.layers and message >= limit.message:
            depth = "1 layer" if layers == 1 else f"{layers} layers"
            words = task.replace("_", " ")
            return f"cannot represent {words} with {depth}, because {limit.because.format(task=words)}"
    return None
