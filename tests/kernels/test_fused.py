"""What holds for the fused passes alone: bits that depend on nothing, memory, and what happens in the C++ library."""

import gc
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels import build
from pipeline.kernels.unroll import passes, unroll
from tests.kernels.oracle import CELLS, Result, Weights, by_kernel, draw, make_cell, make_weights

pytestmark = pytest.mark.skipif(not build.available(), reason="no compiler")


def _equal(one: Result, other: Result) -> bool:
    pairs = [(one.outputs, other.outputs)]
    pairs += [(one.gradients[name], other.gradients[name]) for name in one.gradients]
    pairs += [(one.norms[name], other.norms[name]) for name in one.norms]
    return all(torch.equal(first, second) for first, second in pairs)


def _only(result: Result, rows: slice) -> Result:
    def pick(named: Weights) -> Weights:
        return {name: tensor[rows] for name, tensor in named.items()}

    return Result(result.outputs[rows], pick(result.gradients), pick(result.norms))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_do_not_depend_on_the_number_of_threads(name: str, dtype: torch.dtype) -> None:
    cell = make_cell(name, 19)
    weights = make_weights(cell, 5, 2, dtype=dtype)
    inputs, upstream = draw(5, 70, 7, 2, dtype=dtype), draw(5, 2, 7, 19, dtype=dtype)
    one = by_kernel("fused", cell, weights, inputs, upstream, threads=1)
    for threads in (2, 3, 8):
        assert _equal(by_kernel("fused", cell, weights, inputs, upstream, threads=threads), one)


def _outputs(threads: int) -> torch.Tensor:
    cell = make_cell("gru", 9)
    with torch.no_grad():
        return unroll(cell, make_weights(cell, 5, 2), draw(5, 12, 4, 2), 2, kernel="fused", threads=threads)


def test_a_forked_process_and_several_threads_at_once_share_no_helpers() -> None:
    """A child has none of its parent's threads, and one call at a time has the pool: none waits for ever."""
    one = _outputs(1)
    assert torch.equal(_outputs(3), one)
    if (child := os.fork()) == 0:
        os._exit(0 if torch.equal(_outputs(3), one) else 1)
    with ThreadPoolExecutor(3) as callers:
        found = list(callers.map(lambda _: _outputs(3), range(30)))
    assert all(torch.equal(each, one) for each in found)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=10, deadline=None)
@given(hidden=st.integers(1, 40), batch=st.integers(1, 40), time=st.integers(1, 30))
def test_a_replica_is_the_same_whoever_its_neighbours_are(name: str, hidden: int, batch: int, time: int) -> None:
    cell = make_cell(name, hidden)
    weights = make_weights(cell, 4, 3, dtype=torch.float32)
    inputs, upstream = draw(4, time, batch, 3, dtype=torch.float32), draw(4, 1, batch, hidden, dtype=torch.float32)
    together = by_kernel("fused", cell, weights, inputs, upstream)
    for rows in (slice(0, 1), slice(2, 4)):
        alone = {key: weight.detach()[rows].requires_grad_() for key, weight in weights.items()}
        assert _equal(by_kernel("fused", cell, alone, inputs[rows], upstream[rows]), _only(together, rows))


@pytest.mark.parametrize("name", CELLS)
def test_weights_are_read_and_gradients_written_where_they_lie(name: str) -> None:
    """All weights of a replica in a row, as in a training, against tensors of their own; nothing else is written."""
    cell = make_cell(name, 9)
    weights = make_weights(cell, 3, 2)
    inputs, upstream = draw(3, 12, 4, 2), draw(3, 2, 4, 9)
    truth = by_kernel("fused", cell, weights, inputs, upstream)
    sizes = [weight[0].numel() for weight in weights.values()]
    between = 7  # numbers of others behind each weight
    rows, gradient = (torch.full((3, sum(sizes) + between * len(sizes)), 0.5).double() for _ in range(2))
    views: list[Weights] = []
    for memory in (rows, gradient):
        parts = memory.split([size for each in sizes for size in (each, between)], dim=1)[::2]
        views.append({key: part.view(3, *w.shape[1:]) for part, (key, w) in zip(parts, weights.items(), strict=True)})
    for key, weight in weights.items():
        views[0][key].copy_(weight.detach())
    norms = {part: torch.empty(3, 12, dtype=torch.float64) for part in cell.states}
    run = passes(cell, views[0], inputs, 2, "fused", 2, norms, None)
    assert run is not None
    assert torch.equal(run.forward(keep=True), truth.outputs)
    run.backward(upstream, views[1], norms)
    assert all(torch.equal(views[1][key], truth.gradients[key]) for key in weights)
    assert all(torch.equal(norms[part], truth.norms[part]) for part in norms)
    assert int((gradient == 0.5).sum()) == 3 * between * len(sizes)


def test_a_pass_that_nobody_holds_gives_its_memory_up_at_once() -> None:
    """Not when garbage is collected: the next pass may be about to take as much."""
    cell = make_cell("lstm", 9)
    norms = {part: torch.empty(3, 12, dtype=torch.float64) for part in cell.states}
    run = passes(cell, make_weights(cell, 3, 2), draw(3, 12, 4, 2), 1, "fused", 1, norms, None)
    assert run is not None
    run.forward(keep=True)
    seen = weakref.ref(run)
    gc.disable()
    try:
        del run
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", CELLS)
def test_rescaling_changes_no_bit_of_the_weights_gradients(name: str) -> None:
    """Without norms nothing is rescaled; with them it is, for the gradient falls far below 2^-40."""
    cell = make_cell(name, 16)
    weights = make_weights(cell, 3, 2, dtype=torch.float32)
    inputs, upstream = draw(3, 300, 5, 2, dtype=torch.float32), draw(3, 1, 5, 16, dtype=torch.float32)
    result = by_kernel("fused", cell, weights, inputs, upstream)
    assert result.norms["h"].min() < -90
    outputs = unroll(cell, weights, inputs, 1, None, kernel="fused")
    plain = torch.autograd.grad((outputs * upstream).sum(), list(weights.values()))
    for one, other in zip(plain, result.gradients.values(), strict=True):
        assert torch.equal(one, other)


def test_norms_are_exact_where_one_part_of_the_state_is_far_smaller_than_the_other() -> None:
    """Recurrent weights of 1e-30 make dL/dh some 2^-100 of dL/dc, so that its squares vanish in float32."""
    cell = make_cell("lstm", 6)
    weights = make_weights(cell, 2, 2)
    with torch.no_grad():
        weights["weight_hh"].mul_(1e-30)
    inputs, upstream = draw(2, 12, 3, 2), draw(2, 1, 3, 6)
    truth = by_kernel("stepwise", cell, weights, inputs, upstream)
    single = {key: weight.detach().float().requires_grad_() for key, weight in weights.items()}
    result = by_kernel("fused", cell, single, inputs.float(), upstream.float())
    assert truth.norms["h"][:, :-1].max() < -90
    for part in ("h", "c"):
        torch.testing.assert_close(result.norms[part].double(), truth.norms[part], rtol=0, atol=1e-3)


def test_the_activations_are_exact_to_a_few_units_in_the_last_place() -> None:
    """The RNN with one weight of 1 is tanh; the LSTM's gates are sigmoids."""
    for dtype in (torch.float32, torch.float64):
        cell = make_cell("rnn", 1)
        weights = {key: torch.zeros_like(w) for key, w in make_weights(cell, 1, 1, dtype=dtype).items()}
        weights["weight_ih"] += 1
        x = torch.cat([torch.logspace(-30, 2, 5000), torch.linspace(-12, 12, 5000)]).to(dtype)
        result = unroll(cell, weights, x.view(1, 1, -1, 1), 1, kernel="fused").flatten()
        truth = torch.tanh(x.double())
        error = (result.double() - truth).abs() / truth.abs().clamp(min=1e-35)
        assert error.max() < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("name", CELLS)
def test_denormal_numbers_do_not_slow_the_backward_pass_and_stay_out_of_the_callers_way(name: str) -> None:
    cell = make_cell(name, 8)
    weights = make_weights(cell, 2, 2, dtype=torch.float32)
    upstream = torch.full((2, 1, 3, 8), 1e-37)
    result = by_kernel("fused", cell, weights, draw(2, 40, 3, 2, dtype=torch.float32), upstream, threads=2)
    assert result.norms["h"].isfinite().all()
    assert float(torch.tensor(1e-40) * 1) > 0  # this thread still computes with denormals


def _compiler_with(flags: str, tmp_path: Path) -> str:
    compiler = tmp_path / "compiler"
    compiler.write_text(f'#!/bin/sh\nexec g++ "$@" {flags}\n')
    compiler.chmod(0o755)
    return str(compiler)


@pytest.mark.slow
def test_an_older_processor_computes_the_same(tmp_path: Path) -> None:
    """Without vectors wider than 128 bits; the sanitizer below has those of 256."""
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": _compiler_with("-march=x86-64", tmp_path)}
    command = [sys.executable, "-W", "error", "-m", "tests.kernels.older"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr[-5000:]


@pytest.mark.long
@pytest.mark.parametrize("flags", ["-mno-avx512f", "-march=x86-64"])
def test_all_of_it_holds_on_older_processors(flags: str, tmp_path: Path) -> None:
    """The tests of the fused kernel once more, without the newer vector instructions."""
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": _compiler_with(flags, tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).parent)]
    command += ["-m", "not slow and not long", "-k", "fused and not compiler and not build and not cache"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["few", pytest.param("all", marks=pytest.mark.long)])
def test_the_address_sanitizer_finds_nothing(scope: str, tmp_path: Path) -> None:
    """Passes of many shapes, with a library that ends the process at the first access outside an array.

    Masked loads and stores are not checked, so they are compiled away.
    """
    found = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True)
    runtime = found.stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("no address sanitizer")
    lines = "-g" if scope == "all" else ""  # of the source, in what it says
    flags = f"-mno-avx512f -fsanitize=address,undefined -fno-sanitize-recover -O1 {lines}"
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": _compiler_with(flags, tmp_path)}
    variables |= {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-W", "error", "-m", "tests.kernels.sanitized", scope]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "nothing found\n"), done.stderr[-5000:]
