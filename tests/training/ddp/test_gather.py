"""The gather of the outputs, on two processes: rows, gradients, and as few messages as there are types."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from msclnet.core.types import Outputs
from msclnet.training import gather as module
from msclnet.training.gather import gather

NAMES = ("visible", "infrared", "visible_neck", "infrared_neck")


def outputs(rank: int) -> Outputs:
    features = {name: torch.full((2, 3), float(10 * rank + n), requires_grad=True) for n, name in enumerate(NAMES)}
    whole = {"labels": torch.tensor([rank, rank]), "visible_cameras": torch.tensor([1, 2])}
    return Outputs(infrared_cameras=torch.tensor([3, 6]), **whole, **features)


def work(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    value = torch.ones(2, 1, requires_grad=True)
    once, twice = (module._Gather.apply(value) for _ in range(2))
    ((once + twice) * torch.ones(4, 1)).sum().backward()  # both are handed the same gradient
    with mock.patch.object(dist, "all_gather", side_effect=dist.all_gather) as messages:
        mine = outputs(rank)
        whole = gather(mine)
    (whole.visible.square().sum() + whole.infrared[:2].sum()).backward()
    torch.save(
        {
            "gradient": value.grad, "messages": messages.call_count, "labels": whole.labels,
            "infrared_neck": whole.infrared_neck.detach(), "visible": mine.visible.grad, "infrared": mine.infrared.grad,
            "unread": mine.visible_neck.grad,
        },
        f"{folder}/{rank}.pt",
    )  # fmt: skip
    dist.destroy_process_group()


def test_gathered_twice_a_gradient_is_twice_itself_and_types_travel_together(tmp_path: Path) -> None:
    mp.spawn(work, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        # Both processes hold the same loss, so a gradient arrives once from each: two for one use, four for two.
        assert found["gradient"].tolist() == [[4.0], [4.0]]
        assert found["messages"] == 2, "floats, and whole numbers"
        assert found["labels"].tolist() == [0, 0, 1, 1]
        assert found["infrared_neck"].tolist() == [[3.0] * 3] * 2 + [[13.0] * 3] * 2
        assert found["visible"].tolist() == [[2 * 2 * 10.0 * rank] * 3] * 2
        assert found["infrared"].tolist() == [[2.0 * (rank == 0)] * 3] * 2
        assert found["unread"] is None or not found["unread"].any()
