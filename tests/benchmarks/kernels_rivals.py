"""How one trains several seeds without this project: a module of torch.nn for each, one after the other."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MODULES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


class Rival(nn.Module):
    """One replica: a recurrent part, a readout of the last state, and an optimizer of its own."""

    def __init__(self, recurrent: nn.Module, hidden: int):
        super().__init__()
        self.recurrent, self.readout = recurrent, nn.Linear(hidden, 1)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=0.003)

    def last_state(self, inputs: Tensor) -> Tensor:
        """h_T [batch, hidden]; inputs [time, batch, channel]."""
        outputs: Tensor = self.recurrent(inputs)[0]
        return outputs[-1]

    def after_backward(self) -> None:
        """What is measured once the gradients are there."""

    def update(self, inputs: Tensor, targets: Tensor) -> None:
        """Forward, backward, clip, and step, as in any tutorial."""
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.readout(self.last_state(inputs)), targets)
        loss.backward()
        self.after_backward()
        nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        self.optimizer.step()

    def passes(self, inputs: Tensor, upstream: Tensor) -> None:
        """The recurrent passes alone, for the gradient `upstream` of the last state."""
        state = self.last_state(inputs)
        torch.autograd.grad((state * upstream).sum(), list(self.recurrent.parameters()))


class RetainedRival(Rival):
    """The same from an unrolled loop of torch.nn's cell, which alone can show the norm of dL/dh_t for every t."""

    def last_state(self, inputs: Tensor) -> Tensor:
        batch, hidden = inputs.shape[1], self.readout.in_features
        self.states = []
        state: Tensor | tuple[Tensor, ...] = inputs.new_zeros(batch, hidden)
        if isinstance(self.recurrent, nn.LSTMCell):
            state = (inputs.new_zeros(batch, hidden), inputs.new_zeros(batch, hidden))
        for input in inputs.unbind():
            state = self.recurrent(input, state)
            self.states.append(state[0] if isinstance(state, tuple) else state)
            self.states[-1].retain_grad()
        return self.states[-1]

    def after_backward(self) -> None:
        gradients = torch.stack([state.grad for state in self.states if state.grad is not None])
        self.norms = torch.linalg.vector_norm(gradients, dim=(1, 2)).log2()


def loop(name: str, replicas: int, channels: int, hidden: int) -> list[Rival]:
    """A fused module of torch.nn for each replica."""
    return [Rival(MODULES[name](channels, hidden), hidden) for _ in range(replicas)]


def retained(name: str, replicas: int, channels: int, hidden: int) -> list[Rival]:
    """A cell of torch.nn, unrolled, for each replica."""
    return [RetainedRival(CELLS[name](channels, hidden), hidden) for _ in range(replicas)]


def update_all(rivals: Sequence[Rival], inputs: Tensor, targets: Tensor) -> None:
    """One update of each; inputs [replica, time, batch, channel], targets [replica, 1, batch, 1]."""
    for rival, one, target in zip(rivals, inputs, targets, strict=True):
        rival.update(one, target[0])


def passes_all(rivals: Sequence[Rival], inputs: Tensor, upstream: Tensor) -> None:
    """The recurrent passes of each; upstream [replica, 1, batch, hidden]."""
    for rival, one, gradient in zip(rivals, inputs, upstream, strict=True):
        rival.passes(one, gradient[0])
