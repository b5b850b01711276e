"""The loop that one would write by hand. With a third word, `mallopt`, glibc keeps freed memory."""

import ctypes
import sys

import torch
from net import Net
from torch import nn
from work import BATCH, MAX_NORM, RATE, Epochs, asked, make_windows

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def main() -> None:
    if "mallopt" in sys.argv:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
    series, epochs = asked()
    x, y = (torch.from_numpy(array) for array in make_windows(series))
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    clock = Epochs()
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x[chosen]), y[chosen]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), MAX_NORM)
            optimizer.step()
        clock.end(len(x))
    clock.print()


if __name__ == "__main__":
    main()
