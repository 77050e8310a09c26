"""How the cells of the field begin, against closed forms; and that constraints hold through training."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import kstest, loguniform, norm, uniform
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.cells.antisymmetric import AntisymmetricRNN
from pipeline.cells.cell import Cell
from pipeline.cells.cornn import CoRNN
from pipeline.cells.gru import GRU
from pipeline.cells.indrnn import IndRNN
from pipeline.cells.irnn import IRNN
from pipeline.cells.janet import JANET
from pipeline.cells.lem import LEM
from pipeline.cells.lipschitz import LipschitzRNN
from pipeline.cells.lmu import LMU
from pipeline.cells.lru import LRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.mgu import MGU
from pipeline.cells.mingru import MinGRU
from pipeline.cells.minlstm import MinLSTM
from pipeline.cells.orthogonal import OrthogonalRNN
from pipeline.cells.s6 import S6
from pipeline.cells.slstm import SLSTM
from pipeline.cells.urlstm import URLSTM
from pipeline.learning import model as models
from pipeline.learning.batches import Sequences
from pipeline.learning.fit import Problem, one_update
from pipeline.learning.groups import grouped
from pipeline.learning.model import Model
from pipeline.learning.objective import objective
from pipeline.records.horizon import about_cell
from tests.conftest import compose, options

HIDDEN, INPUTS, LENGTH = 400, 6, 200


def drawn(cell: Cell, seed: int = 0) -> dict[str, Tensor]:
    return cell.for_length(LENGTH).weights(INPUTS, torch.Generator().manual_seed(seed))


def readout(cell: Cell) -> tuple[Tensor, Tensor]:
    return cell.readout(8, torch.Generator().manual_seed(0))


def follows(values: Tensor, law: object) -> bool:
    return bool(kstest(values.double().flatten().numpy(), law.cdf).pvalue > 1e-3)  # type: ignore[attr-defined]


def within(bound: float) -> object:
    return uniform(-bound, 2 * bound)


def test_irnn_begins_as_the_identity() -> None:
    weights = drawn(IRNN(HIDDEN, "published", gain=0.5))
    assert torch.equal(weights["weight_hh"], 0.5 * torch.eye(HIDDEN)) and not weights["bias"].any()
    assert follows(weights["weight_ih"], norm(0, 0.001))


def test_janet_keeps_units_for_one_to_the_longest_time() -> None:
    weights = drawn(JANET(HIDDEN, "published"))
    assert follows(torch.exp(weights["bias"][:HIDDEN].double()), uniform(1, LENGTH - 1))
    assert not weights["bias"][HIDDEN:].any()
    assert follows(weights["weight_ih"], within(math.sqrt(6 / (INPUTS + 2 * HIDDEN))))
    assert follows(weights["weight_hh"], within(math.sqrt(6 / (3 * HIDDEN))))
    fixed = drawn(JANET(HIDDEN, "torch", longest=50))["bias"]
    assert follows(torch.exp(fixed[:HIDDEN].double()), uniform(1, 49)) and fixed[HIDDEN:].any()


def test_indrnn_begins_inside_its_clamp_and_its_last_layer_at_its_edge() -> None:
    weights, bound = drawn(IndRNN(HIDDEN, "published", layers=3)), 2 ** (1 / LENGTH)
    assert all(follows(weights[f"weight_hh_{layer}"], uniform(0, bound)) for layer in (1, 2))
    assert follows(weights["weight_hh_3"], uniform(1 / bound, bound - 1 / bound))
    assert all(follows(weights[f"weight_ih_{layer}"], norm(0, 0.001)) for layer in (1, 2, 3))
    weight, bias = readout(IndRNN(HIDDEN, "published", layers=3))
    assert follows(weight, within(math.sqrt(6 / (HIDDEN + 8)))) and not bias.any()


def test_lem_begins_as_its_authors_have_it() -> None:
    weights = drawn(LEM(HIDDEN, "published", dt=0.3))
    assert (weights.pop("dt") == 0.3).all()
    assert all(follows(weight, within(HIDDEN**-0.5)) for weight in weights.values())
    weight, bias = readout(LEM(HIDDEN, "published"))
    assert follows(weight, norm(0, math.sqrt(2 / HIDDEN))) and float(bias.abs().max()) <= HIDDEN**-0.5


def test_cornn_begins_as_one_linear_map_of_torch() -> None:
    weights = drawn(CoRNN(HIDDEN, "published"))
    constants = {name: weights.pop(name) for name in ("dt", "gamma", "epsilon")}
    assert [float(constant[0]) for constant in constants.values()] == [pytest.approx(0.06), 66.0, 15.0]
    assert all(follows(weight, within((INPUTS + 2 * HIDDEN) ** -0.5)) for weight in weights.values())


@pytest.mark.parametrize(
    ("cell", "added"), [(MinGRU(HIDDEN, "published", 2), 0.0), (MinLSTM(HIDDEN, "published", 2), 3.0)]
)
def test_minimal_cells_begin_as_linear_maps_of_torch(cell: Cell, added: float) -> None:
    weights = drawn(cell)
    for layer, width in ((1, INPUTS), (2, HIDDEN)):
        bias = weights[f"bias_{layer}"].clone()
        bias[HIDDEN : 2 * HIDDEN] -= added
        assert follows(weights[f"weight_ih_{layer}"], within(width**-0.5)) and follows(bias, within(width**-0.5))


@pytest.mark.parametrize("init", ["henaff", "cayley"])
@pytest.mark.parametrize("constrained", [True, False])
def test_an_orthogonal_matrix_turns_pairs_of_units_by_the_published_angles(init: str, constrained: bool) -> None:
    cell = OrthogonalRNN(HIDDEN, init, constrained=constrained)
    weights = drawn(cell)
    matrix = cell.materialise(weights)["weight_hh"].double()
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(HIDDEN).double(), rtol=0, atol=1e-5)
    angles = torch.linalg.eigvals(matrix).angle()
    if init == "henaff":
        assert follows(angles, uniform(-math.pi, 2 * math.pi))
    else:
        turned = angles[angles >= 0]
        cosine = (1 - turned**2) / (1 + turned**2)  # tan(s / 2) is the angle
        assert follows(torch.arccos(cosine), uniform(0, math.pi / 2))
    assert follows(weights["weight_ih"], norm(0, math.sqrt(2 / INPUTS)))
    assert follows(weights["bias"], within(0.01))
    weight, bias = readout(cell)
    assert follows(weight, norm(0, math.sqrt(2 / HIDDEN))) and not bias.any()


def test_the_modes_of_an_lru_fill_their_ring_evenly_and_keep_the_variance_of_the_input() -> None:
    weights = {name: weight.double() for name, weight in drawn(LRU(HIDDEN, "published", r_min=0.5, r_max=0.9)).items()}
    r = torch.exp(-torch.exp(weights["nu"]))
    assert follows(r**2, uniform(0.25, 0.81 - 0.25))
    assert follows(torch.exp(weights["theta"]), uniform(0, 6.28))
    torch.testing.assert_close(torch.exp(weights["gamma"]), torch.sqrt(1 - r**2), rtol=1e-5, atol=0)
    assert follows(weights["weight_ih"], norm(0, math.sqrt(1 / (2 * INPUTS))))


def test_the_gates_of_an_urlstm_begin_uniform() -> None:
    weights = drawn(URLSTM(HIDDEN, "torch"))
    assert follows(torch.sigmoid(weights.pop("beta")), uniform(1 / HIDDEN, 1 - 2 / HIDDEN))
    assert all(follows(weight, within(HIDDEN**-0.5)) for weight in weights.values())
    assert (drawn(URLSTM(2, "torch"))["beta"] == 0).all() and drawn(URLSTM(1, "torch"))["beta"].isfinite().all()


@pytest.mark.parametrize(("kind", "matrices"), [(AntisymmetricRNN, ()), (LipschitzRNN, ("free", "linear_free"))])
def test_cells_with_antisymmetric_matrices_begin_as_in_the_code_of_erichson(
    kind: Callable[..., Cell], matrices: tuple[str, ...]
) -> None:
    weights = drawn(kind(HIDDEN, "published"))
    assert all(follows(weights[name], norm(0, 1 / HIDDEN)) for name in matrices)
    if not matrices:
        entries = weights["skew"][tuple(np.triu_indices(HIDDEN, 1))]
        assert follows(entries, norm(0, math.sqrt(2) / HIDDEN)) and not weights["skew"].tril().any()
    assert follows(weights["weight_ih"], norm(0, math.sqrt(2 / (INPUTS + HIDDEN)))) and not weights["bias"].any()
    weight, bias = readout(kind(HIDDEN, "published"))
    assert follows(weight, norm(0, math.sqrt(2 / (8 + HIDDEN)))) and not bias.any()


def test_an_lmu_begins_as_its_authors_have_it_and_its_memory_spans_the_length() -> None:
    weights = drawn(LMU(HIDDEN, "published", order=9))
    assert follows(weights["read_hh"], within(math.sqrt(3 / HIDDEN))) and not weights["read_mh"].any()
    for name, width in (("weight_ih", INPUTS), ("weight_hh", HIDDEN), ("weight_mh", 9)):
        assert follows(weights[name], norm(0, math.sqrt(2 / (width + HIDDEN))))
    other = LMU(HIDDEN, "published", order=9, theta=LENGTH).weights(INPUTS, torch.Generator())
    assert torch.equal(weights["memory_mm"], other["memory_mm"])


def test_mgu_keeps_units_for_one_to_the_longest_time() -> None:
    bias = drawn(MGU(HIDDEN, "torch", chrono="tied"))["bias"]
    assert follows(torch.exp(-bias[:HIDDEN].double()), uniform(1, LENGTH - 2))
    plain = drawn(MGU(HIDDEN, "torch"))["bias"]
    assert all(follows(each, within(HIDDEN**-0.5)) for each in (bias[HIDDEN:], plain))


@pytest.mark.parametrize(("slowest", "longest"), [(1000, 1000), ("tied", LENGTH)])
def test_the_time_scales_of_s6_begin_log_uniform(slowest: int | str, longest: int) -> None:
    weights = drawn(S6(HIDDEN, "published", slowest=slowest))
    assert follows(torch.nn.functional.softplus(weights["bias_dt"].double()), loguniform(1 / longest, 1 / 10))
    assert torch.equal(weights["log_decay"][3], torch.arange(1.0, 17.0).log()) and (weights["direct"] == 1).all()
    assert follows(weights["weight_dt"], within(math.ceil(HIDDEN / 16) ** -0.5))
    assert follows(weights["bias_ih"], within(0.5))


def test_slstm_begins_without_recurrence_and_with_the_authors_forget_biases() -> None:
    weights = drawn(SLSTM(HIDDEN, "published"))
    i, f, z, o = weights["bias"].chunk(4)
    assert not any(part.any() for part in (weights["weight_hh"], i, z, o))
    assert follows(weights["weight_ih"], norm(0, math.sqrt(2 / (5 * INPUTS))))
    assert [round(float(each), 4) for each in (f[0], f[-1])] == [5.0, -7.0]
    assert float((f > 0).float().mean()) == pytest.approx((5 / 12) ** (1 / 0.3), abs=0.01)
    linspace = drawn(SLSTM(HIDDEN, "torch", forget="linspace"))
    torch.testing.assert_close(linspace["bias"][HIDDEN : 2 * HIDDEN], torch.linspace(3, 6, HIDDEN))
    assert linspace["weight_hh"].any()
    chrono = drawn(SLSTM(HIDDEN, "published", chrono="tied"))["bias"][HIDDEN : 2 * HIDDEN]
    assert follows(torch.exp(chrono.double()), uniform(1, LENGTH - 2))


@pytest.mark.parametrize("cell", [LSTM(HIDDEN, "torch", 0.0, "tied"), GRU(HIDDEN, "torch", 0.0, "tied")])
def test_chrono_follows_the_length_where_it_is_tied(cell: Cell) -> None:
    kept = drawn(cell)["bias_ih"][HIDDEN : 2 * HIDDEN]
    assert cell.tied == ("chrono",) and cell.for_length(LENGTH).tied == ()
    assert follows(torch.exp(kept.double()), uniform(1, LENGTH - 2))
    with pytest.raises(UserError, match=r"is tied to the length of a training: call cell\.for_length first"):
        cell.weights(INPUTS, torch.Generator())


@pytest.mark.parametrize(
    ("cell", "name", "length", "expected"),
    [
        (LEM(HIDDEN, "published", dt="tied"), "dt", LENGTH, 2 / LENGTH),
        (LEM(HIDDEN, "published", dt="tied"), "dt", 1, 1.0),
        (CoRNN(HIDDEN, "published", dt="tied"), "dt", 400, 0.015),
        (CoRNN(HIDDEN, "published", dt="tied"), "dt", 10, 0.06),
        (LRU(HIDDEN, "published", r_max="tied"), "r_max", LENGTH, math.exp(-1 / LENGTH)),
        (LRU(HIDDEN, "published", r_min=0.9, r_max="tied"), "r_max", 5, 0.9),
    ],
)
def test_constants_follow_the_length_where_they_are_tied(cell: Cell, name: str, length: int, expected: float) -> None:
    filled = cell.for_length(length)
    assert cell.tied == (name,) and filled.tied == () and filled.for_length(3 * length) == filled
    assert getattr(filled, name) == pytest.approx(expected)
    weights = filled.weights(INPUTS, torch.Generator().manual_seed(0))
    if name == "dt":
        assert weights["dt"].tolist() == pytest.approx([expected] * HIDDEN)
    else:
        assert float(torch.exp(-torch.exp(weights["nu"])).max()) == pytest.approx(expected, rel=0.01)
    with pytest.raises(UserError, match=r"is tied to the length of a training: call cell\.for_length first"):
        cell.weights(INPUTS, torch.Generator())


def train(cell: Cell, updates: int, rate: float) -> tuple[Model, dict[str, Tensor]]:
    """A model after some updates on random targets, which pull its weights far, and the weights that its steps read."""

    def draw(running: np.ndarray, update: int) -> Sequences:
        random = torch.Generator().manual_seed(update)
        inputs, targets = torch.randn(2, 4, 3, 2, generator=random), torch.randn(2, 1, 3, 1, generator=random)
        return Sequences(inputs, 10 * targets)

    rows, layout = models.begin(cell, 2, 1, 0, [0, 1])
    model = Model(cell, layout, rows.requires_grad_(), "auto", 1)
    optimizer = grouped(partial(torch.optim.Adam, lr=rate), layout.shapes, [cell])([model.rows])
    posed = Problem(draw, lambda count: draw(np.arange(count), 0), objective("regression"), 1)
    for update in range(updates):
        one_update(model, optimizer, posed, draw(np.arange(2), update), math.inf)
    weights = layout.views(model.rows.detach())
    return model, dict(cell.materialise({n: w for n, w in weights.items() if n not in models.READOUT}))


def test_a_matrix_is_orthogonal_after_a_thousand_updates() -> None:
    """In float32, pulled to one matrix after the other."""
    cell, random = OrthogonalRNN(16, "henaff"), torch.Generator().manual_seed(1)
    weights = drawn(cell)
    begun = weights["skew"].clone()
    optimizer = torch.optim.Adam([weights["skew"].requires_grad_()], lr=0.01)
    for _ in range(1000):
        optimizer.zero_grad()
        (cell.materialise(weights)["weight_hh"] * torch.randn(16, 16, generator=random)).sum().backward()
        optimizer.step()
    matrix = cell.materialise(weights)["weight_hh"].detach()
    assert float((weights["skew"].detach() - begun).abs().max()) > 0.3
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(16), rtol=0, atol=1e-5)


def test_a_matrix_that_only_begins_orthogonal_leaves() -> None:
    matrix = train(OrthogonalRNN(10, "orthogonal", constrained=False), 50, 0.01)[1]["weight_hh"]
    assert float((matrix @ matrix.mT - torch.eye(10)).abs().max()) > 0.1


def test_the_weights_of_an_indrnn_stay_inside_their_clamp() -> None:
    cell = IndRNN(10, "torch", layers=2, length=20)
    weights = train(cell, 40, 0.5)[1]
    bound = 2 ** (1 / 20)
    reached = [float(weights[f"weight_hh_{layer}"].abs().max()) for layer in (1, 2)]
    assert max(reached) == pytest.approx(bound, rel=1e-6) and all(each <= bound * (1 + 1e-6) for each in reached)


@pytest.mark.parametrize("name", options("cell"))
def test_every_cell_says_what_it_is_and_keeps_what_is_not_trained(name: str) -> None:
    cell = compose(f"cell={name}").cell
    assert cell.kind or name == "module"
    cell = cell.for_length(4)
    fixed = [each for each, group in cell.groups.items() if group.rate == 0]
    model, _ = train(cell, 3, 0.01)
    before, after = model.layout.views(models.begin(cell, 2, 1, 0, [0, 1])[0]), model.layout.views(model.rows.detach())
    assert all(torch.equal(before[each], after[each]) for each in fixed)
    assert not torch.equal(before["readout.weight"], after["readout.weight"])


@pytest.mark.parametrize(
    ("cell", "name", "value"),
    [
        ("irnn", "gain", 0.0),
        ("janet", "longest", 0),
        ("janet", "longest", "long"),
        ("indrnn", "gamma", 0.5),
        ("indrnn", "length", "null"),
        ("indrnn", "layers", 0),
        ("lem", "dt", 1.5),
        ("lem", "dt", "long"),
        ("cornn", "dt", "null"),
        ("cornn", "epsilon", 0),
        ("orthogonal", "rate", 0.0),
        ("orthogonal", "init", "orthogonal"),
        ("lru", "r_min", 1.0),
        ("lru", "r_max", 1.5),
        ("lru", "phase", 7.0),
        ("s6", "modes", 0),
        ("s6", "slowest", 0),
        ("s6", "fastest", 0),
        ("slstm", "forget", "never"),
        ("slstm", "chrono", 2),
        ("mgu", "chrono", 1),
        ("lipschitz", "beta", 1.5),
        ("lmu", "order", 0),
        ("lmu", "theta", "null"),
        ("lstm", "chrono", "always"),
        ("lem", "init", "henaff"),
    ],
)
def test_settings_out_of_range_are_refused(cell: str, name: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"^cell\.{name} (must be|is) .*; got"):
        _ = compose(f"cell={cell}", f"cell.{name}={value}").cell


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("cell=gru",), ()),
        (("cell=gru", "cell.chrono=40"), ()),
        (("cell=gru", "cell.chrono=tied"), ("chrono",)),
        (("cell=indrnn",), ("length",)),
        (("cell=lem", "cell.dt=tied"), ("dt",)),
        (("cell=lem",), ()),
        (("cell=indrnn", "cell.length=500"), ()),
    ],
)
def test_a_horizon_says_which_settings_followed_the_length(
    overrides: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    settings = compose(*overrides)
    assert about_cell(settings.cell, "adding", settings.task)["tied"] == expected
