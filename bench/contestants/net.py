"""The network of the contestants that take a module of PyTorch."""

import torch
from torch import Tensor, nn
from work import HIDDEN, LAYERS


class Net(nn.Module):
    """Two LSTM layers; the forecast is linear in the last state. (B, T, 1) -> (B, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, HIDDEN, LAYERS, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


torch.set_num_threads(1)
torch.manual_seed(0)
