"""The equations of level 2, a cell at a time: one step forward into preallocated memory, one step back by hand.

All replicas go at once. One matrix product a step serves the state, the bias and the input together, for they lie in
one row [h, 1, x] of width F = H + 1 + I:

    a = [h, 1, x] P        P packs U', b + d and W', its columns one gate after the other

`kept` is what a step leaves for the way back. The way back turns the gradient g of the state after the step into the
gradient A of the columns, from which the driver (batched.py) gets  dL/dP += [h, 1, x]' A.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input

Weights = Mapping[str, Float[Tensor, "replica ..."]]
Part = Float[Tensor, "replica batch _"]


def tanh(x: Part, out: Part) -> Part:
    """Return tanh x into `out`, which may be x; x is spoilt.

    On a CPU torch.tanh takes nine times as long as the sigmoid, and tanh x = 2 sigmoid(2 x) - 1 is exact to 2e-7.
    """
    if x.is_cuda or x.dtype == torch.float64:
        return torch.tanh(x, out=out)
    return torch.sub(x.mul_(2).sigmoid_(), 0.5, out=out).mul_(2)


class Pass(ABC):
    """The packed weights of all replicas of one cell, and its two steps."""

    order: ClassVar[tuple[int, ...]]  # torch.nn's gates in the order of the columns of `packed`
    kept: ClassVar[int]  # columns of `kept`, in units of H
    columns: ClassVar[int]  # columns of A, in units of H; the first len(order) belong to `packed`

    def __init__(self, weights: Weights):
        self.hidden = weights["weight_hh"].shape[-1]
        bias = weights["bias_ih"] + weights["bias_hh"]
        columns = torch.cat([weights["weight_hh"], bias.unsqueeze(-1), weights["weight_ih"]], dim=-1)
        self.packed = self._ordered(columns).mT.contiguous()  # [replica, F, columns]
        self.recurrent = self.packed[:, : self.hidden].mT.contiguous()  # [replica, columns, H]

    @abstractmethod
    def forward(self, row: Part, kept: Part, before: tuple[Part, ...], after: tuple[Part, ...]) -> None:
        """Write the state after the step into `after`, and what the way back needs into `kept`."""

    @abstractmethod
    def backward(
        self, running: tuple[Part, ...], kept: Part, before: tuple[Part, ...], after: tuple[Part, ...], columns: Part
    ) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """Write A into `columns`; dL/d(state after) in full, and dL/d(state before) so far."""

    def unpack(self, gradient: Float[Tensor, "replica F columns"]) -> dict[str, Float[Tensor, "replica ..."]]:
        """Return dL/dP as the gradients of the weights."""
        rows = self._ordered(gradient.mT, back=True)
        bias = rows[..., self.hidden]
        return {
            "weight_ih": rows[..., self.hidden + 1 :],
            "weight_hh": rows[..., : self.hidden],
            "bias_ih": bias,
            "bias_hh": bias,
        }

    def _ordered(self, rows: Float[Tensor, "replica rows width"], back: bool = False) -> Tensor:
        """Return the gates, H rows each, in the order of the columns; or, with `back`, in torch.nn's."""
        order = [self.order.index(gate) for gate in range(len(self.order))] if back else list(self.order)
        return rows.reshape(len(rows), len(order), self.hidden, -1)[:, order].flatten(1, 2)

    def _gates(self, columns: Float[Tensor, "replica batch columns"], *gates: int) -> list[Float[Tensor, "_ _ hidden"]]:
        return [columns[..., gate * self.hidden : (gate + 1) * self.hidden] for gate in gates]


class RNNPass(Pass):
    """h' = tanh(a), so A = g (1 - h'^2) and dL/dh = A U."""

    order, kept, columns = (0,), 0, 1

    def forward(self, row: Part, kept: Part, before: tuple[Part, ...], after: tuple[Part, ...]) -> None:
        tanh(torch.bmm(row, self.packed), out=after[0])

    def backward(
        self, running: tuple[Part, ...], kept: Part, before: tuple[Part, ...], after: tuple[Part, ...], columns: Part
    ) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        tanh_backward(running[0], after[0], grad_input=columns)
        return running, (torch.bmm(columns, self.recurrent),)


class GRUPass(Pass):
    """The GRU keeps q = Q h + e, r, z and n in this order; its columns are those of q, r, z and of v = V x + c.

    h' = n + z (h - n)           A_z = g (h - n) z (1 - z)
    n  = tanh(v + r q)           A_v = g (1 - z) (1 - n^2)
                                 A_q = A_v r;  A_r = A_v q r (1 - r)
    dL/dh = g z + [A_q, A_r, A_z] [Q, U]

    The columns of q see no input: those rows of `packed` are zero; `proposal` maps [1, x] to v.
    """

    order, kept, columns = (2, 0, 1), 4, 4

    def __init__(self, weights: Weights):
        super().__init__(weights)
        h = self.hidden
        bias = weights["bias_ih"][:, 2 * h :].unsqueeze(1)
        self.proposal = torch.cat([bias, weights["weight_ih"][:, 2 * h :].mT], dim=1)  # [replica, 1 + I, H]
        self.packed[:, h:, :h] = 0
        self.packed[:, h, :h] = weights["bias_hh"][:, 2 * h :]

    def forward(self, row: Part, kept: Part, before: tuple[Part, ...], after: tuple[Part, ...]) -> None:
        q, r, _, n = self._gates(kept, 0, 1, 2, 3)
        h = self.hidden
        torch.bmm(row, self.packed, out=kept[..., : 3 * h])
        kept[..., h : 3 * h].sigmoid_()
        torch.bmm(row[..., h:], self.proposal, out=n)
        tanh(n.addcmul_(r, q), out=n)
        torch.lerp(n, before[0], kept[..., 2 * h : 3 * h], out=after[0])

    def backward(
        self, running: tuple[Part, ...], kept: Part, before: tuple[Part, ...], after: tuple[Part, ...], columns: Part
    ) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        h = self.hidden
        q, r, z, n = self._gates(kept, 0, 1, 2, 3)
        of_q, of_r, of_z, of_v = self._gates(columns, 0, 1, 2, 3)
        (g,) = running
        through = g * z
        tanh_backward(g - through, n, grad_input=of_v)
        torch.mul(of_v, r, out=of_q)
        torch.mul(of_v, q, out=of_r)
        torch.mul(torch.sub(before[0], n), g, out=of_z)
        of_gates = columns[..., h : 3 * h]
        sigmoid_backward(of_gates, kept[..., h : 3 * h], grad_input=of_gates)
        return running, (through.baddbmm_(columns[..., : 3 * h], self.recurrent),)

    def unpack(self, gradient: Float[Tensor, "replica F columns"]) -> dict[str, Float[Tensor, "replica ..."]]:
        h = self.hidden
        found = super().unpack(gradient[..., : 3 * h])
        of_proposal = gradient[:, h:, 3 * h :]
        found["bias_ih"] = torch.cat([found["bias_hh"][:, : 2 * h], of_proposal[:, 0]], dim=1)
        found["weight_ih"] = torch.cat([found["weight_ih"][:, : 2 * h], of_proposal[:, 1:].mT], dim=1)
        return found


class LSTMPass(Pass):
    """The LSTM keeps i, f, o and g in this order. With G the gradient of c' in full, k that of h':

    h' = o tanh(c')              A_o = k tanh(c') o (1 - o);  G = (that from the next step) + k o (1 - tanh^2(c'))
    c' = f c + i g               A_f = G c f (1 - f);  A_i = G g i (1 - i);  A_g = G i (1 - g^2);  dL/dc = G f
    dL/dh = A U
    """

    order, kept, columns = (0, 1, 3, 2), 4, 4

    def forward(self, row: Part, kept: Part, before: tuple[Part, ...], after: tuple[Part, ...]) -> None:
        torch.bmm(row, self.packed, out=kept)
        kept[..., : 3 * self.hidden].sigmoid_()
        i, f, o, g = self._gates(kept, 0, 1, 2, 3)
        torch.mul(f, before[1], out=after[1]).addcmul_(i, tanh(g, out=g))
        torch.mul(o, tanh(after[1].clone(), out=torch.empty_like(after[1])), out=after[0])

    def backward(
        self, running: tuple[Part, ...], kept: Part, before: tuple[Part, ...], after: tuple[Part, ...], columns: Part
    ) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        i, f, o, g = self._gates(kept, 0, 1, 2, 3)
        of_i, of_f, of_o, of_g = self._gates(columns, 0, 1, 2, 3)
        tanh_c = tanh(after[1].clone(), out=torch.empty_like(after[1]))
        torch.mul(running[0], tanh_c, out=of_o)
        of_c = running[1] + tanh_backward(running[0] * o, tanh_c, grad_input=torch.empty_like(tanh_c))
        torch.mul(of_c, before[1], out=of_f)
        torch.mul(of_c, g, out=of_i)
        of_gates = columns[..., : 3 * self.hidden]
        sigmoid_backward(of_gates, kept[..., : 3 * self.hidden], grad_input=of_gates)
        tanh_backward(of_c * i, g, grad_input=of_g)
        return (running[0], of_c), (torch.bmm(columns, self.recurrent), of_c * f)
