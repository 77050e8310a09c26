"""The steps of every cell written a second time, in NumPy and one sequence at a time; and those of torchrecurrent."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.special
import torch
import torchrecurrent
from numpy import ndarray
from torch import Tensor

from pipeline.cells.antisymmetric import AntisymmetricRNN
from pipeline.cells.cell import Cell
from pipeline.cells.cornn import CoRNN
from pipeline.cells.indrnn import IndRNN
from pipeline.cells.janet import JANET
from pipeline.cells.lem import LEM
from pipeline.cells.lipschitz import LipschitzRNN
from pipeline.cells.lmu import legendre
from pipeline.cells.mgu import MGU
from pipeline.cells.nbrc import NBRC
from tests.cells.reached import noise
from tests.conftest import compose, options

HIDDEN, INPUTS, TIME = 5, 3, 30
Named = Mapping[str, ndarray]
Outputs = list[ndarray]


def sigmoid(x: ndarray) -> ndarray:
    return 1 / (1 + np.exp(-x))


def rnn(w: Named, xs: ndarray) -> Outputs:
    h, found = np.zeros(HIDDEN), []
    for x in xs:
        h = np.tanh(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"])
        found.append(h)
    return found


def irnn(w: Named, xs: ndarray) -> Outputs:
    h, found = np.zeros(HIDDEN), []
    for x in xs:
        h = np.maximum(0, w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"])
        found.append(h)
    return found


def gru(w: Named, xs: ndarray) -> Outputs:
    h, found = np.zeros(HIDDEN), []
    for x in xs:
        a, b = (np.split(w[f"weight_{s}"] @ v + w[f"bias_{s}"], 3) for s, v in (("ih", x), ("hh", h)))
        r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        h = z * h + (1 - z) * np.tanh(a[2] + r * b[2])
        found.append(h)
    return found


def lstm(w: Named, xs: ndarray) -> Outputs:
    h, c, found = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in xs:
        i, f, g, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return found


def janet(w: Named, xs: ndarray) -> Outputs:
    c, found = np.zeros(HIDDEN), []
    for x in xs:
        s, n = np.split(w["weight_ih"] @ x + w["weight_hh"] @ c + w["bias"], 2)
        c = sigmoid(s) * c + (1 - sigmoid(s - 1)) * np.tanh(n)
        found.append(c)
    return found


def indrnn(w: Named, xs: ndarray) -> Outputs:
    for layer in (1, 2):
        h, found = np.zeros(HIDDEN), []
        for x in xs:
            h = np.maximum(0, w[f"weight_ih_{layer}"] @ x + w[f"weight_hh_{layer}"] * h + w[f"bias_{layer}"])
            found.append(h)
        xs = np.array(found)
    return found


def lem(w: Named, xs: ndarray) -> Outputs:
    y, z, found = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in xs:
        a1, a2, a3, a4 = np.split(w["weight_ih"] @ x + w["bias_ih"], 4)
        b1, b2, b3 = np.split(w["weight_hh"] @ y + w["bias_hh"], 3)
        bar, delta = w["dt"] * sigmoid(a1 + b1), w["dt"] * sigmoid(a2 + b2)
        z = (1 - delta) * z + delta * np.tanh(a3 + b3)
        y = (1 - bar) * y + bar * np.tanh(w["weight_zh"] @ z + w["bias_zh"] + a4)
        found.append(y)
    return found


def cornn(w: Named, xs: ndarray) -> Outputs:
    y, z, found = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    joint = np.concatenate([w["weight_ih"], w["weight_zh"], w["weight_hh"]], axis=1)
    for x in xs:
        force = np.tanh(joint @ np.concatenate([x, z, y]) + w["bias"])
        z = z + w["dt"] * (force - w["gamma"] * y - w["epsilon"] * z)
        y = y + w["dt"] * z
        found.append(y)
    return found


def positive(a: ndarray) -> ndarray:
    return np.where(a >= 0, a + 0.5, sigmoid(a))


def mingru(w: Named, xs: ndarray) -> Outputs:
    for layer in (1, 2, 3):
        h, found = np.zeros(HIDDEN), []
        for x in xs:
            n, z = np.split(w[f"weight_ih_{layer}"] @ x + w[f"bias_{layer}"], 2)
            h = (1 - sigmoid(z)) * h + sigmoid(z) * positive(n)
            found.append(h)
        xs = np.array(found)
    return found


def minlstm(w: Named, xs: ndarray) -> Outputs:
    for layer in (1, 2, 3):
        h, found = np.zeros(HIDDEN), []
        for x in xs:
            n, f, i = np.split(w[f"weight_ih_{layer}"] @ x + w[f"bias_{layer}"], 3)
            h = sigmoid(f) * h + sigmoid(i) * positive(n)
            found.append(h)
        xs = np.array(found)
    return found


def orthogonal(w: Named, xs: ndarray) -> Outputs:
    upper = np.triu(w["skew"], 1)
    return _modrelu(w, scipy.linalg.expm(upper - upper.T), xs)


def orthogonal_init(w: Named, xs: ndarray) -> Outputs:
    return _modrelu(w, w["weight_hh"], xs)


def _modrelu(w: Named, matrix: ndarray, xs: ndarray) -> Outputs:
    h, found = np.zeros(HIDDEN), []
    for x in xs:
        a = w["weight_ih"] @ x + matrix @ h
        h = np.sign(a) * np.maximum(0, np.abs(a) + w["bias"])
        found.append(h)
    return found


def lru(w: Named, xs: ndarray) -> Outputs:
    """In complex numbers."""
    turn = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    read = w["weight_ih"][:HIDDEN] + 1j * w["weight_ih"][HIDDEN:]
    s, found = np.zeros(HIDDEN, dtype=complex), []
    for x in xs:
        s = turn * s + np.exp(w["gamma"]) * (read @ x)
        found.append(np.concatenate([s.real, s.imag]))
    return found


def urlstm(w: Named, xs: ndarray) -> Outputs:
    h, c, found = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in xs:
        f, r, n, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"], 4)
        f, r = sigmoid(f + w["beta"]), sigmoid(r - w["beta"])
        kept = r * (1 - (1 - f) ** 2) + (1 - r) * f**2  # the refined gate, between its two ends
        c = kept * c + (1 - kept) * np.tanh(n)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return found


def s6(w: Named, xs: ndarray) -> Outputs:
    """A channel and a mode at a time."""
    modes, rank = w["log_decay"].shape[1], w["weight_dt"].shape[1]
    s, found = np.zeros((HIDDEN, modes)), []
    for x in xs:
        u = w["weight_ih"] @ x + w["bias_ih"]
        low, b, c = np.split(w["weight_uu"] @ u, [rank, rank + modes])
        h = np.zeros(HIDDEN)
        for channel in range(HIDDEN):
            step = np.log1p(np.exp(w["weight_dt"][channel] @ low + w["bias_dt"][channel]))
            for mode in range(modes):
                decay = np.exp(-step * np.exp(w["log_decay"][channel, mode]))
                s[channel, mode] = decay * s[channel, mode] + step * b[mode] * u[channel]
                h[channel] += c[mode] * s[channel, mode]
            h[channel] += w["direct"][channel] * u[channel]
        found.append(h)
    return found


def slstm(w: Named, xs: ndarray) -> Outputs:
    """Without the stabiliser: exponentials as they are, which float64 holds for some steps."""
    h, c, n, found = np.zeros(HIDDEN), np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in xs:
        i, f, z, o = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 4)
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        found.append(h)
    return found


def nbrc(w: Named, xs: ndarray) -> Outputs:
    h, found = np.zeros(HIDDEN), []
    for x in xs:
        (a, c, n), (u, q) = np.split(w["weight_ih"] @ x + w["bias"], 3), np.split(w["weight_hh"] @ h, 2)
        keep = sigmoid(c + q)
        h = keep * h + (1 - keep) * np.tanh(n + (1 + np.tanh(a + u)) * h)
        found.append(h)
    return found


def antisymmetric(w: Named, xs: ndarray) -> Outputs:
    upper = np.triu(w["skew"], 1)
    h, found = np.zeros(HIDDEN), []
    for x in xs:
        inside = w["weight_ih"] @ x + w["bias"] + upper @ h - upper.T @ h - w["gamma"] * h
        h = h + w["epsilon"] * np.tanh(inside)
        found.append(h)
    return found


def lipschitz(w: Named, xs: ndarray) -> Outputs:
    def bounded(m: ndarray) -> ndarray:
        return (m - m.T) * w["beta"][:, None] + (m + m.T) * (1 - w["beta"])[:, None] - np.diag(w["gamma"])

    h, found = np.zeros(HIDDEN), []
    for x in xs:
        change = bounded(w["linear_free"]) @ h
        change += np.tanh(bounded(w["free"]) @ h + w["weight_ih"] @ x + w["bias"])
        h = h + w["epsilon"] * change
        found.append(h)
    return found


def lmu(w: Named, xs: ndarray) -> Outputs:
    h, m, found = np.zeros(HIDDEN), np.zeros(w["memory_mm"].shape[0]), []
    for x in xs:
        u = w["read_ih"][0] @ x + w["read_hh"][0] @ h + w["read_mh"][0] @ m
        m = w["memory_mm"] @ m + w["memory_um"][:, 0] * u
        h = np.tanh(w["weight_ih"] @ x + w["weight_hh"] @ h + w["weight_mh"] @ m)
        found.append(h)
    return found


def mgu(w: Named, xs: ndarray) -> Outputs:
    h, found = np.zeros(HIDDEN), []
    for x in xs:
        gate, proposal = np.split(w["weight_ih"] @ x + w["bias"], 2)
        f = sigmoid(gate + w["weight_hh"] @ h)
        h = h + f * (np.tanh(proposal + w["weight_nh"] @ (f * h)) - h)
        found.append(h)
    return found


def module(w: Named, xs: ndarray) -> Outputs:
    return lstm(w, xs)


WRITTEN: Mapping[str, Callable[[Named, ndarray], Outputs]] = {
    each.__name__: each
    for each in (
        *(cornn, gru, indrnn, irnn, janet, lem, lru, lstm, mingru, minlstm, module),
        *(antisymmetric, lipschitz, lmu, mgu, nbrc, orthogonal, orthogonal_init, rnn, s6, slstm, urlstm),
    )
}


def run(cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor) -> list[Tensor]:
    """What the readout sees after each step, for inputs [time, batch, input]."""
    ready = cell.materialise({name: weight.unsqueeze(0) for name, weight in weights.items()})
    state, found = cell.start(ready, inputs.shape[1]), []
    for input in inputs:
        state = cell.forward(ready, state, input.unsqueeze(0))
        found.append(state[0][0])
    return found


def begun(cell: Cell, seed: int = 0) -> dict[str, Tensor]:
    """Float64 weights somewhat away from where they begin, so that none is zero."""
    drawn = cell.weights(INPUTS, torch.Generator().manual_seed(seed))
    return {name: w.double() + 0.2 * noise(*w.shape, seed=n) for n, (name, w) in enumerate(drawn.items())}


@pytest.mark.parametrize("name", options("cell"))
def test_every_cell_takes_the_steps_of_its_second_writing(name: str) -> None:
    if name not in WRITTEN:
        pytest.skip(f"{name} has not been written a second time here")
    assert set(WRITTEN) <= set(options("cell"))
    cell = replace(compose(f"cell={name}").cell.for_length(TIME), hidden=HIDDEN)
    weights, inputs = begun(cell), noise(TIME, 4, INPUTS, seed=9)
    found = torch.stack(run(cell, weights, inputs)).numpy()
    for sequence in range(4):
        expected = WRITTEN[name]({n: w.numpy() for n, w in weights.items()}, inputs[:, sequence].numpy())
        np.testing.assert_allclose(found[:, sequence], np.array(expected), rtol=1e-11, atol=1e-13)


def theirs(module: torch.nn.Module, inputs: Tensor, steps: Callable[..., tuple[Tensor, ...]], parts: int) -> Tensor:
    state, found = tuple(torch.zeros(inputs.shape[1], HIDDEN).double() for _ in range(parts)), []
    for input in inputs:
        state = steps(module, input, state)
        found.append(state[0])
    return torch.stack(found).detach()


def test_janet_is_that_of_torchrecurrent() -> None:
    cell, inputs = JANET(HIDDEN, "published", longest=TIME), noise(TIME, 4, INPUTS, seed=9)
    weights = begun(cell)
    module = torchrecurrent.JANETCell(INPUTS, HIDDEN).double()
    zero = torch.zeros(2 * HIDDEN).double()
    named = {"bias_ih": weights["bias"], "bias_hh": zero, "beta": torch.ones(()).double()}
    module.load_state_dict({**named, **{name: weights[name] for name in ("weight_ih", "weight_hh")}})
    expected = theirs(module, inputs, lambda m, x, state: m(x, state), 2)
    torch.testing.assert_close(torch.stack(run(cell, weights, inputs)), expected, rtol=1e-12, atol=1e-13)


def test_cornn_is_that_of_torchrecurrent() -> None:
    cell, inputs = CoRNN(HIDDEN, "published", dt=0.1, gamma=2.0, epsilon=3.0), noise(TIME, 4, INPUTS, seed=9)
    weights = {
        **begun(cell),
        **{n: w.double() for n, w in cell.weights(INPUTS, torch.Generator()).items() if n in cell.groups},
    }
    module = torchrecurrent.coRNNCell(INPUTS, HIDDEN, dt=0.1, gamma=2.0, epsilon=3.0).double()
    zero = torch.zeros(HIDDEN).double()
    named = {"bias_ih": weights["bias"], "bias_hh": zero, "bias_ch": zero, "weight_ch": weights["weight_zh"]}
    module.load_state_dict({**named, **{name: weights[name] for name in ("weight_ih", "weight_hh")}})
    expected = theirs(module, inputs, lambda m, x, state: m(x, state), 2)
    torch.testing.assert_close(torch.stack(run(cell, weights, inputs)), expected, rtol=1e-6, atol=1e-7)


def test_lem_is_that_of_torchrecurrent_but_for_the_new_z() -> None:
    """Theirs reads the old z for h, the authors' code the new one: so theirs is asked twice, for z and then for h."""
    cell, inputs = LEM(HIDDEN, "published", dt=0.5), noise(TIME, 4, INPUTS, seed=9)
    weights = {**begun(cell), "dt": torch.full((HIDDEN,), 0.5).double()}
    module = torchrecurrent.LEMCell(INPUTS, HIDDEN, dt=0.5).double()
    named = {"weight_ch": weights["weight_zh"], "bias_ch": weights["bias_zh"]}
    module.load_state_dict({**named, **{n: weights[n] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}})

    def step(m: torch.nn.Module, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, z = state
        after = m(x, (h, z))[1]
        return m(x, (h, after))[0], after

    expected = theirs(module, inputs, step, 2)
    torch.testing.assert_close(torch.stack(run(cell, weights, inputs)), expected, rtol=1e-12, atol=1e-13)


def test_a_layer_of_indrnn_is_that_of_torchrecurrent_with_a_rectifier() -> None:
    cell, inputs = IndRNN(HIDDEN, "published", layers=1, length=TIME), noise(TIME, 4, INPUTS, seed=9)
    weights = begun(cell)
    module = torchrecurrent.IndRNNCell(INPUTS, HIDDEN, nonlinearity="relu").double()
    zero = torch.zeros(HIDDEN).double()
    named = {"weight_ih": weights["weight_ih_1"], "vector_u": weights["weight_hh_1"], "bias_ih": weights["bias_1"]}
    module.load_state_dict({**named, "bias_hh": zero})
    expected = theirs(module, inputs, lambda m, x, state: (m(x, state[0]),), 1)
    torch.testing.assert_close(torch.stack(run(cell, weights, inputs)), expected, rtol=1e-12, atol=1e-13)


def test_nbrc_is_that_of_torchrecurrent() -> None:
    cell, inputs = NBRC(HIDDEN, "torch"), noise(TIME, 4, INPUTS, seed=9)
    weights = begun(cell)
    module = torchrecurrent.NBRCell(INPUTS, HIDDEN).double()
    named = {"bias_ih": weights["bias"], "bias_hh": torch.zeros(2 * HIDDEN).double()}
    module.load_state_dict({**named, **{name: weights[name] for name in ("weight_ih", "weight_hh")}})
    expected = theirs(module, inputs, lambda m, x, state: (m(x, state[0]),), 1)
    torch.testing.assert_close(torch.stack(run(cell, weights, inputs)), expected, rtol=1e-12, atol=1e-13)


def test_mgu_is_that_of_torchrecurrent() -> None:
    cell, inputs = MGU(HIDDEN, "torch"), noise(TIME, 4, INPUTS, seed=9)
    weights = begun(cell)
    module = torchrecurrent.MGUCell(INPUTS, HIDDEN).double()
    both = torch.cat([weights["weight_hh"], weights["weight_nh"]])
    named = {"weight_ih": weights["weight_ih"], "weight_hh": both, "bias_ih": weights["bias"]}
    module.load_state_dict({**named, "bias_hh": torch.zeros(2 * HIDDEN).double()})
    expected = theirs(module, inputs, lambda m, x, state: (m(x, state[0]),), 1)
    torch.testing.assert_close(torch.stack(run(cell, weights, inputs)), expected, rtol=1e-12, atol=1e-13)


def test_a_lipschitz_rnn_without_its_linear_and_symmetric_parts_is_the_antisymmetric_one() -> None:
    inputs = noise(TIME, 4, INPUTS, seed=9)
    cell = LipschitzRNN(HIDDEN, "torch", epsilon=0.3, beta=1.0, gamma=0.2)
    other = AntisymmetricRNN(HIDDEN, "torch", epsilon=0.3, gamma=0.2)
    weights = {name: w.double() for name, w in cell.weights(INPUTS, torch.Generator().manual_seed(0)).items()}
    ready = cell.materialise(weights)
    assert torch.equal(ready["linear_hh"].diagonal(), -weights["gamma"])
    skew = (weights["free"] - weights["free"].mT).triu(1)
    shared = {name: weights[name] for name in ("weight_ih", "bias", "epsilon", "gamma")}
    expected, h = run(other, {**shared, "skew": skew}, inputs), torch.zeros(4, HIDDEN).double()
    unmoved = {**ready, "linear_hh": 0 * ready["linear_hh"]}
    for input, theirs in zip(inputs, expected, strict=True):
        (h,) = cell.forward(unmoved, (h,), input)
        torch.testing.assert_close(h, theirs, rtol=1e-12, atol=1e-13)


def test_the_memory_of_an_lmu_is_that_of_scipy_and_holds_the_last_steps() -> None:
    """Of a slow sine, Legendre polynomials of the memory give back what was written up to theta steps ago."""
    order, theta = 9, 50
    step, write = (each.double().numpy() for each in legendre(order, theta))
    degree = np.arange(order)
    signs = np.array([[-1 if i < j else (-1) ** (i - j + 1) for j in degree] for i in degree])
    rate = (2 * degree[:, None] + 1) * signs
    begin = ((2 * degree + 1) * (-1.0) ** degree)[:, None]
    expected = scipy.signal.cont2discrete((rate / theta, begin / theta, np.eye(order), 0 * begin), 1.0, "zoh")
    np.testing.assert_allclose(step, expected[0], atol=1e-6)
    np.testing.assert_allclose(write, expected[1], atol=1e-6)
    written, m = np.sin(2 * np.pi * np.arange(200) / 100), np.zeros(order)
    for u in written:
        m = step @ m + write[:, 0] * u
    for ago in (10, 25, 40):
        read = sum(scipy.special.eval_legendre(i, 2 * ago / theta - 1) * m[i] for i in degree)
        assert read == pytest.approx(written[-1 - ago], abs=0.05)


def test_the_antisymmetric_rnn_is_that_of_torchrecurrent() -> None:
    cell, inputs = AntisymmetricRNN(HIDDEN, "published", epsilon=0.3, gamma=0.2), noise(TIME, 4, INPUTS, seed=9)
    fixed = {name: torch.full((HIDDEN,), getattr(cell, name), dtype=torch.float64) for name in cell.groups}
    weights = {**begun(cell), **fixed}
    module = torchrecurrent.AntisymmetricRNNCell(INPUTS, HIDDEN, epsilon=0.3, gamma=0.2).double()
    named = {"bias_ih": weights["bias"], "bias_hh": torch.zeros(HIDDEN).double(), "weight_hh": weights["skew"].triu(1)}
    module.load_state_dict({**module.state_dict(), **named, "weight_ih": weights["weight_ih"]})
    expected = theirs(module, inputs, lambda m, x, state: (m(x, state[0]),), 1)
    torch.testing.assert_close(torch.stack(run(cell, weights, inputs)), expected, rtol=1e-12, atol=1e-13)
