"""How the weights of a cell begin.

torch       every weight and bias ~ U(-1/sqrt(hidden), 1/sqrt(hidden)), as torch.nn.RNN, GRU and LSTM do
orthogonal  as torch, but each gate's recurrent matrix is orthogonal (Saxe et al. 2014, arXiv:1312.6120)
sigmoid     N(0, 0.01^2), biases zero                                    } Pascanu, Mikolov, Bengio 2013
basic_tanh  N(0, 0.1^2), biases zero                                     } (arXiv:1211.5063, section 4.1 and
smart_tanh  as sigmoid, but the recurrent matrix has 15 nonzeros a unit  } the authors' code)
            and spectral radius 0.95
"""

import torch
from jaxtyping import Float
from torch import Tensor

KINDS = ("torch", "orthogonal", "sigmoid", "basic_tanh", "smart_tanh")
STANDARD_DEVIATION = {"sigmoid": 0.01, "basic_tanh": 0.1, "smart_tanh": 0.01}
NONZEROS = 15  # of each unit's incoming recurrent weights, smart_tanh
SPECTRAL_RADIUS = 0.95  # smart_tanh


def dense(
    kind: str, outputs: int, inputs: int, hidden: int, random: torch.Generator
) -> Float[Tensor, "{outputs} {inputs}"]:
    """Return a matrix that is not recurrent: from the input into the cell, or from the cell to the readout."""
    if kind in STANDARD_DEVIATION:
        return torch.randn(outputs, inputs, generator=random) * STANDARD_DEVIATION[kind]
    return _uniform((outputs, inputs), hidden, random)


def bias(kind: str, outputs: int, hidden: int, random: torch.Generator) -> Float[Tensor, " {outputs}"]:
    """Return the bias of `outputs` units."""
    if kind in STANDARD_DEVIATION:
        return torch.zeros(outputs)
    return _uniform((outputs,), hidden, random)


def recurrent(
    kind: str, gates: int, hidden: int, random: torch.Generator
) -> Float[Tensor, "{gates}*{hidden} {hidden}"]:
    """Return the recurrent matrices of all gates, one below the other, each drawn on its own."""
    return torch.cat([_recurrent(kind, hidden, random) for _ in range(gates)])


def chrono(longest: int | float, hidden: int, random: torch.Generator) -> Float[Tensor, " {hidden}"]:
    """Return log U(1, T_max - 1): biases that make `hidden` gates keep their unit for some 1 to T_max steps.

    sigmoid(b) = 1 - 1/(1 + e^b), so a gate that keeps with bias b forgets after 1 + e^b steps; T_max is `longest`.
    Tallec & Ollivier 2018 (arXiv:1804.11188), equation 16.
    """
    return torch.log(1 + (longest - 2) * torch.rand(hidden, generator=random))


def _recurrent(kind: str, hidden: int, random: torch.Generator) -> Tensor:
    if kind == "orthogonal":
        return torch.nn.init.orthogonal_(torch.empty(hidden, hidden), generator=random)
    if kind == "smart_tanh":
        return _sparse(hidden, random)
    return dense(kind, hidden, hidden, hidden, random)


def _sparse(hidden: int, random: torch.Generator) -> Tensor:
    """Gaussian, `NONZEROS` a row, scaled to `SPECTRAL_RADIUS`."""
    chosen = torch.rand(hidden, hidden, generator=random).argsort(dim=1)[:, :NONZEROS]
    matrix = torch.randn(hidden, hidden, generator=random) * torch.zeros(hidden, hidden).scatter(1, chosen, 1.0)
    radius: Tensor = torch.linalg.eigvals(matrix).abs().max()
    return matrix * (SPECTRAL_RADIUS / radius)


def uniform(shape: tuple[int, ...], bound: float, random: torch.Generator) -> Tensor:
    """Return U(-bound, bound)."""
    return torch.rand(shape, generator=random) * 2 * bound - bound


def gaussian(shape: tuple[int, ...], deviation: float, random: torch.Generator) -> Tensor:
    """Return N(0, deviation^2)."""
    return torch.randn(shape, generator=random) * deviation


def glorot(outputs: int, inputs: int, random: torch.Generator) -> Float[Tensor, "{outputs} {inputs}"]:
    """Return U(-b, b) with b = sqrt(6 / (inputs + outputs)), Glorot & Bengio 2010."""
    return uniform((outputs, inputs), (6 / (inputs + outputs)) ** 0.5, random)


def glorot_gaussian(outputs: int, inputs: int, random: torch.Generator) -> Float[Tensor, "{outputs} {inputs}"]:
    """Return N(0, 2 / (inputs + outputs)), Glorot & Bengio 2010."""
    return gaussian((outputs, inputs), (2 / (inputs + outputs)) ** 0.5, random)


def _uniform(shape: tuple[int, ...], hidden: int, random: torch.Generator) -> Tensor:
    return uniform(shape, hidden**-0.5, random)
