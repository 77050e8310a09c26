"""Passes made from a cell's own lines, replayed in torch and written as C++, against the cell step by step."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell, State, Weights
from pipeline.kernels import build, fused
from pipeline.kernels.compiler import replay
from pipeline.kernels.compiler.compile import compiled
from pipeline.kernels.unroll import Choice, choose, passes, unroll
from tests.base import draws
from tests.cells.hooked import Hooked
from tests.conftest import compose, options
from tests.kernels.drawn_cells import Drawn
from tests.kernels.oracle import NOISE, Result, assert_close, by_kernel, draw, make_cell, make_weights
from tests.kernels.small_cells import COMPILED, IRNN, LEM, REFUSED, SLSTM, Gamma, Normed, Small
from tests.kernels.test_fused import _equal, _only
from tests.kernels.together import compiled_together

NOT_COMPILED = {"s6": "makes tensors of three axes, which are not written in C"}  # replayed alone
GOLDEN = Path(__file__).with_name("golden")
KERNELS = ("torch", pytest.param("fused", marks=pytest.mark.skipif(not build.available(), reason="no compiler")))
needs_compiler = pytest.mark.skipif(not build.available(), reason="no compiler")
kinds = pytest.mark.parametrize("kind", COMPILED, ids=lambda kind: kind.__name__)
CONF = [name for name in options("cell") if name not in NOT_COMPILED]
DRAWN = [Drawn(5, "torch", 100 + seed, 1 + seed % 3, 1 + seed % 2) for seed in range(4)]
MORE_DRAWN = [Drawn(19, "torch", draws.SEED + seed, 1 + seed % 3, 1 + seed % 3) for seed in range(30)]


@pytest.fixture(scope="module", autouse=True)
def one_library() -> Iterator[None]:
    """For all cells here, whose text depends on their size in one case."""

    def cells(dtype: torch.dtype) -> list[Cell]:
        if dtype == torch.float32:
            return [kind(6, "torch") for kind in COMPILED]
        of_conf = [_of_conf(name) for name in CONF]
        return [
            *(kind(19, "torch") for kind in COMPILED),
            *of_conf,
            *DRAWN,
            Hooked(7, "torch").for_length(30),
            *(MORE_DRAWN if draws.OTHERS else ()),
        ]

    with compiled_together(cells):
        yield


def _of_conf(name: str) -> Cell:
    return compose(f"cell={name}", "cell.hidden=17").part("cell").for_length(30)


@kinds
@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=10 if draws.OTHERS else 3, deadline=None)
@given(
    hidden=st.sampled_from([2, 3, 7, 8, 16, 19, 33]),
    batch=st.integers(1, 40),
    time=st.integers(1, 20),
    channels=st.integers(2, 5),
    tokens=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_kind_of_cell_equals_itself_step_by_step(
    kind: type[Small], kernel: str, hidden: int, batch: int, time: int, channels: int, tokens: bool, seed: int
) -> None:
    hidden = 19 if kind is Normed and not draws.OTHERS else hidden  # its text holds the number of units
    cell = kind(hidden, "torch")
    weights = make_weights(cell, 3, channels, seed)
    inputs = draw(3, time, batch, channels, seed=seed)
    if tokens:
        inputs = torch.randint(0, channels, (3, time, batch), generator=torch.Generator().manual_seed(seed))
    upstream = draw(3, min(time, 2), batch, hidden, seed=seed + 1)
    truth = by_kernel("stepwise", cell, weights, inputs, upstream, channels=channels)
    result = by_kernel(kernel, cell, weights, inputs, upstream, threads=2, channels=channels)
    assert_close(result, truth, 1e-12)


@pytest.mark.parametrize("name", options("cell"))
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_cells_of_conf_are_made_from_their_lines(name: str, kernel: str) -> None:
    cell = _of_conf(name)
    drawn = cell.materialise(make_weights(cell, 2, 3))
    weights = {key: weight.detach().requires_grad_() for key, weight in drawn.items()}
    inputs, upstream = draw(2, 30, 5, 3), draw(2, 4, 5, cell.widths[0])
    found = compiled(cell, weights, 3)
    assert NOT_COMPILED.get(name, "None") in str(found.reason)
    if name in NOT_COMPILED and kernel == "fused":
        return
    truth = by_kernel("stepwise", cell, weights, inputs, upstream)
    norms = {part: torch.empty(2, 30, dtype=torch.float64) for part in cell.states}
    if kernel == "torch":
        outputs = replay.unroll(cell, *found.replayed(weights), inputs, 3, 4, norms, None, cell.start(weights, 5))
    else:
        assert found.native is not None
        outputs = fused.unroll(cell, found.native, weights, inputs, 3, 4, norms, 1)
    gradients = torch.autograd.grad((outputs * upstream).sum(), list(weights.values()), materialize_grads=True)
    for noise in NOISE.get(name, ()):
        del truth.norms[noise]
    result = Result(outputs.detach(), dict(zip(weights, gradients, strict=True)), norms)
    assert_close(result, truth, 1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_cell_that_starts_from_a_state_of_its_own(kernel: str) -> None:
    """The gradient by the first state, which far from the end is small, and by weights that serve it alone."""
    cell = Hooked(7, "torch").for_length(30)
    drawn = cell.materialise(make_weights(cell, 3, 2))
    weights = {key: weight.detach().requires_grad_() for key, weight in drawn.items()}
    inputs, upstream = draw(3, 30, 4, 2), 1e-9 * draw(3, 2, 4, 7)
    truth = by_kernel("stepwise", cell, weights, inputs, upstream)
    assert truth.gradients["start"].abs().max() > 0
    assert_close(by_kernel(kernel, cell, weights, inputs, upstream), truth, 1e-12)
    with torch.no_grad():
        shown = unroll(cell, weights, inputs, 2, kernel=kernel)
    torch.testing.assert_close(shown, truth.outputs)
    if kernel == "fused":
        norms = {part: torch.empty(3, 30, dtype=torch.float64) for part in cell.states}
        run = passes(cell, weights, inputs, 2, kernel, 1, norms, None)
        assert run is not None
        gradient = {name: torch.full_like(weight, torch.nan) for name, weight in weights.items()}
        run.forward(keep=True)
        run.backward(upstream, gradient, norms)
        for name, expected in truth.gradients.items():
            torch.testing.assert_close(gradient[name].detach(), expected, rtol=1e-11, atol=0)


@kinds
@pytest.mark.parametrize("kernel", KERNELS)
def test_norms_neither_underflow_nor_overflow(kind: type[Small], kernel: str) -> None:
    """Gradients of 2^-100 and of 2^110 in float32, whose squares it cannot hold."""
    cell = kind(6, "torch")
    weights = make_weights(cell, 2, 2)
    single = {name: weight.detach().float().requires_grad_() for name, weight in weights.items()}
    double = {name: weight.detach().double().requires_grad_() for name, weight in single.items()}
    inputs = draw(2, 25, 3, 2).float()
    for scale in (2.0**-100, 2.0**110):
        upstream = scale * draw(2, 2, 3, 6).float()
        truth = by_kernel("stepwise", cell, double, inputs.double(), upstream.double())
        slow = by_kernel("stepwise", cell, single, inputs, upstream)  # in float32: the SLSTM's m all but cancels
        result = by_kernel(kernel, cell, single, inputs, upstream)
        for part, norm in truth.norms.items():
            known = norm > -1000
            least = max(1e-3, 2 * float((slow.norms[part][known] - norm[known]).abs().max()))
            assert least < 5e-3
            assert (result.norms[part][known] - norm[known]).abs().max() < least
            assert torch.equal(result.norms[part] == -1e6, norm == -1e6)


@needs_compiler
@kinds
def test_bits_depend_neither_on_threads_nor_on_neighbours_nor_on_rescaling(kind: type[Small]) -> None:
    cell = kind(19, "torch")
    weights = make_weights(cell, 4, 3)
    inputs, upstream = draw(4, 40, 7, 3), 1e-30 * draw(4, 2, 7, 19)
    one = by_kernel("fused", cell, weights, inputs, upstream, threads=1)
    for threads in (2, 3):
        assert _equal(by_kernel("fused", cell, weights, inputs, upstream, threads=threads), one)
    alone = {name: weight.detach()[1:3].requires_grad_() for name, weight in weights.items()}
    assert _equal(by_kernel("fused", cell, alone, inputs[1:3], upstream[1:3]), _only(one, slice(1, 3)))
    outputs = unroll(cell, weights, inputs, 2, None, kernel="fused")
    plain = torch.autograd.grad((outputs * upstream).sum(), list(weights.values()), materialize_grads=True)
    for gradient, other in zip(plain, one.gradients.values(), strict=True):
        assert torch.equal(gradient, other)


@kinds
def test_the_way_back_of_a_graph_is_linear(kind: type[Small]) -> None:
    """Twice the gradient that comes in is exactly twice all that goes out: rescaling rests on it."""
    cell = kind(7, "torch")
    weights = make_weights(cell, 2, 3)
    program, leaves = compiled(cell, weights, 3).replayed({k: w.detach() for k, w in weights.items()})
    run = replay.Run(program, leaves)
    state = tuple(draw(2, 5, 7, seed=i) for i in range(len(cell.states)))
    input, upstream = draw(2, 5, 3), [draw(2, 5, 7, seed=10 + i) for i in range(len(state))]
    _, kept = run.step(state, input)
    one, two = (run.back(kept, state, input, [scale * part for part in upstream]) for scale in (1, 2))
    for node in [*program.graph.totals, *program.graph.before]:
        assert torch.equal(2 * one[id(node)], two[id(node)])


@settings(max_examples=80 if draws.OTHERS else 10, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 3), products=st.integers(1, 3))
def test_drawn_cells_are_replayed(seed: int, parts: int, products: int) -> None:
    _check_drawn(Drawn(5, "torch", seed, parts, products), "torch")


@needs_compiler
@pytest.mark.parametrize("cell", DRAWN, ids=lambda cell: str(cell.seed))
def test_drawn_cells_are_compiled(cell: Drawn) -> None:
    _check_drawn(cell, "fused")


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("cell", MORE_DRAWN, ids=lambda cell: str(cell.seed))
def test_more_drawn_cells_are_compiled(cell: Drawn) -> None:
    _check_drawn(cell, "fused")


def _check_drawn(cell: Drawn, kernel: str) -> None:
    weights = make_weights(cell, 2, 2)
    inputs, upstream = draw(2, 7, 3, 2), draw(2, 2, 3, cell.hidden)
    found = compiled(cell, weights, 2)
    assert found.reason is None
    truth = by_kernel("stepwise", cell, weights, inputs, upstream)
    assert_close(by_kernel(kernel, cell, weights, inputs, upstream), truth, 1e-12)


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_what_cannot_be_traced_is_refused_by_name_and_runs_step_by_step(kind: type[Small]) -> None:
    cell = kind(4, "torch")
    weights = make_weights(cell, 2, 2)
    inputs, upstream = draw(2, 5, 3, 2), draw(2, 1, 3, 4)
    with pytest.raises(UserError, match=f"training.kernel is fused, but cell {kind.__name__} .*{REFUSED[kind]}"):
        unroll(cell, weights, inputs, 1, kernel="fused")
    with pytest.warns(UserWarning, match=f"cell {kind.__name__} .*{REFUSED[kind]}.* kernel=stepwise") as warned:
        result = by_kernel("auto", cell, weights, inputs, upstream)
        by_kernel("auto", cell, weights, inputs, upstream)
    assert len(warned) == 1
    assert_close(result, by_kernel("stepwise", cell, weights, inputs, upstream), 0)


@dataclass(frozen=True)
class Cube(Small):
    """A state that is a matrix for each sequence: spread along either axis, summed along either, and their mean."""

    shapes = {"W": "HI", "U": "2H", "d": "H"}  # noqa: RUF012
    states = ("h", "s")

    @property
    def widths(self) -> tuple[int, ...]:
        return self.hidden, self.hidden * 2 * self.hidden

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, s = state
        u = torch.tanh(input @ weights["W"].mT + h * weights["d"].unsqueeze(-2)).unsqueeze(-1)
        v = torch.sigmoid(h @ weights["U"].mT).unsqueeze(-2)
        s = s.unflatten(-1, (self.hidden, 2 * self.hidden))
        s = torch.where(s > v, s * v, 0.5 * s - u) + torch.sin(u * v)
        inner, outer = (s * v).sum(-1), (s * u).mean(-2)
        return torch.tanh(inner + outer[..., : self.hidden]), s.flatten(-2)


def test_a_state_that_is_a_matrix_is_replayed() -> None:
    cell = Cube(4, "torch")
    weights = make_weights(cell, 3, 2)
    inputs, upstream = draw(3, 9, 5, 2), draw(3, 2, 5, 4)
    assert "three axes" in str(compiled(cell, weights, 2).reason)
    truth = by_kernel("stepwise", cell, weights, inputs, upstream)
    assert_close(by_kernel("torch", cell, weights, inputs, upstream), truth, 1e-12)


def test_what_has_no_c_plus_plus_is_replayed() -> None:
    cell = Gamma(4, "torch")
    weights = make_weights(cell, 2, 2)
    inputs, upstream = draw(2, 5, 3, 2), draw(2, 1, 3, 4)
    with pytest.warns(UserWarning, match="cell Gamma uses aten.lgamma, which is not written in C.*kernel=torch"):
        result = by_kernel("auto", cell, weights, inputs, upstream)
    assert choose("auto", cell, weights, 2, "cpu").kernel == "torch"
    assert_close(result, by_kernel("stepwise", cell, weights, inputs, upstream), 1e-13)


class Undecorated(IRNN):
    """No dataclass of its own, so that two with other settings are equal."""

    def with_gain(self, gain: float) -> "Undecorated":
        object.__setattr__(self, "gain", gain)
        return self

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0] * self.gain,)  # type: ignore[attr-defined]


def test_cells_that_are_equal_by_their_settings_are_not_taken_for_each_other() -> None:
    one, other = Undecorated(4, "torch").with_gain(0.5), Undecorated(4, "torch").with_gain(0.25)
    assert one == other
    weights = make_weights(one, 2, 2)
    inputs, upstream = draw(2, 5, 3, 2), draw(2, 1, 3, 4)
    for cell in (one, other):
        truth = by_kernel("stepwise", cell, weights, inputs, upstream)
        assert_close(by_kernel("torch", cell, weights, inputs, upstream), truth, 1e-13)


@dataclass(frozen=True)
class Numpy(Small):
    """Looks at numbers behind torch's back."""

    shapes = {"W": "HI", "U": "HH"}  # noqa: RUF012

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        largest = float(h.detach().numpy().max())
        return (torch.tanh(input @ weights["W"].mT + h @ weights["U"].mT) * largest,)


def test_what_the_trace_does_not_see_is_found_by_comparing() -> None:
    cell = Numpy(4, "torch")
    reason = compiled(cell, make_weights(cell, 2, 2), 2).reason
    assert reason is not None
    assert "does more than its graph tells" in reason


@pytest.mark.parametrize("kind", [IRNN, LEM, Normed], ids=lambda kind: kind.__name__)
def test_the_text_of_a_cell_is_as_it_was(kind: type[Small]) -> None:
    """SAVE_GOLDEN=1 writes it anew."""
    cell = kind(8, "torch")
    native = compiled(cell, make_weights(cell, 1, 2), 2).native
    assert native is not None
    path = GOLDEN / f"{kind.__name__}.h"
    if os.environ.get("SAVE_GOLDEN"):
        path.write_text(native.source + "\n")
    assert native.source + "\n" == path.read_text()


def test_the_text_depends_on_no_size_that_it_need_not() -> None:
    """So that one library serves every number of units and channels, and searches over them compile once."""

    def text(kind: type[Small], hidden: int, channels: int) -> str:
        cell = kind(hidden, "torch")
        native = compiled(cell, make_weights(cell, 1, channels), channels).native
        assert native is not None
        return native.source

    for kind in (IRNN, LEM, SLSTM):
        assert text(kind, 8, 2) == text(kind, 33, 5)
    assert text(Normed, 8, 2) != text(Normed, 33, 2)  # divides by the number of units


def test_without_a_compiler_a_cell_is_replayed_after_one_warning(tmp_path: Path) -> None:
    code = """
from tests.kernels.oracle import by_kernel, draw, make_weights
from tests.kernels.small_cells import LEM
from pipeline.kernels.unroll import choose
cell = LEM(4, "torch")
weights = make_weights(cell, 2, 2)
for _ in range(2):
    by_kernel("auto", cell, weights, draw(2, 6, 3, 2), draw(2, 1, 3, 4))
print(choose("auto", cell, weights, 2, "cpu").kernel)
"""
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": "no-such-compiler"}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "torch\n"
    assert done.stderr.count("UserWarning") == 1


@needs_compiler
def test_a_trace_and_a_training_without_autograd_serve_cells_that_compute_with_their_weights() -> None:
    from tests.kernels.small_cells import Antisymmetric

    cell: Cell = Antisymmetric(6, "torch")
    weights = make_weights(cell, 2, 3)
    inputs, upstream = draw(2, 9, 4, 3), draw(2, 2, 4, 6)
    truth = by_kernel("stepwise", cell, weights, inputs, upstream)
    norms = {part: torch.empty(2, 9, dtype=torch.float64) for part in cell.states}
    run = passes(cell, weights, inputs, 2, "fused", 1, norms, None)
    assert run is not None
    gradient = {name: torch.full_like(weight, torch.nan) for name, weight in weights.items()}
    torch.testing.assert_close(run.forward(keep=True), truth.outputs)
    run.backward(upstream, gradient, norms)
    for name, expected in truth.gradients.items():
        torch.testing.assert_close(gradient[name].detach(), expected, rtol=1e-12, atol=1e-12)


def test_only_the_torch_kernel_knows_cells_by_their_class() -> None:
    """RNN, GRU and LSTM, of which level 2 is by hand; their fused passes are made as those of any cell."""
    for name in ("rnn", "gru", "lstm"):
        cell = make_cell(name, 4)
        weights = make_weights(cell, 1, 2)
        assert choose("torch", cell, weights, 2, "cpu") == choose("auto", cell, weights, 2, "cuda") == Choice("torch")
        if build.available():
            assert choose("auto", cell, weights, 2, "cpu").program is compiled(cell, weights, 2).native
