"""Models that are spread over processes, as two real processes have them: refused, or right."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import paramlock
from tests import ROOT


def refused(work):
    """What `work` is refused with."""
    try:
        work()
    except ValueError as error:
        return str(error)
    return "not at all"


def trained(model, optimizer):
    x, y = torch.randn(64, 8), torch.randint(0, 2, (64,))

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return (x, y), step


def sharded():
    """Each way in is refused in the same words, before anything is touched: steps go on."""
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    mesh = init_device_mesh("cpu", (2,))
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.Adam(model.parameters())
    data, step = trained(model, optimizer)
    ways = {
        "certificate": lambda: paramlock.certificate(model, data, F.cross_entropy),
        "fisher_diagonal": lambda: paramlock.fisher_diagonal(model, data),
        "watch": lambda: paramlock.watch(model, optimizer, live=False).start(),
        "assert_frozen": lambda: paramlock.assert_frozen(model, "0", step),
        "prune": lambda: paramlock.torch.prune(model, 0.5),
    }
    step()
    for name, work in ways.items():
        words = refused(work)
        assert "'0.weight' is sharded over processes (FSDP2)" in words, (name, words)
        step()


def parallel():
    """Copies on each process, which speak to each other in a backward pass."""
    model = DistributedDataParallel(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)))
    optimizer = torch.optim.Adam(model.parameters())
    data, step = trained(model, optimizer)
    if dist.get_rank() == 0:  # one alone may look: it waits for no other
        found = paramlock.certificate(model, data, F.cross_entropy, optimizer=optimizer)
        assert not found.locks
        assert [layer.name for layer in found.measurement.layers] == ["module.0", "module.2"]
        assert paramlock.fisher_diagonal(model, data)["module.0.weight"].any()
    step()
    with paramlock.watch(model, optimizer, every=1, live=False) as seen:
        step()
    assert not seen.history[0].unseen and seen.series("dead", "module.0")[0] < 1


def test_two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env={**common, "RANK": str(rank), "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], told


if __name__ == "__main__":
    assert Path(__file__).is_relative_to(ROOT)
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    parallel()
    sharded()
    dist.destroy_process_group()
