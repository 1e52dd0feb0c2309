"""Lightning and Accelerate take the loader as it is: every sample once, also over ranks, and a run resumes in mid-epoch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the loader needs torch")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

from dctload import DCTLoader
from dctload import transforms as T

COUNT, BATCH, CLASSES = 14, 4, 2
STEPS = T.Compose([T.RandomResizedCrop(32), T.RandomHorizontalFlip(), T.Normalize("imagenet")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of small pictures."""
    root: Path = tmp_path_factory.mktemp("pictures")
    y, x = np.mgrid[:40, :48]
    for number in range(COUNT):
        place = root / "ab"[number % CLASSES] / f"{number:02}.jpg"
        place.parent.mkdir(exist_ok=True)
        pixels = 127 + 100 * np.sin((number + 3) * np.stack([x + 2 * y, 2 * x + y, x + y], axis=2) / 300)
        Image.fromarray(pixels.astype(np.uint8)).save(place, quality=90)
    return root


def make(folder: Path, **options: Any) -> DCTLoader:
    options = {"batch_size": BATCH, "shuffle": True, "transform": STEPS, "fields": ("index",), "num_workers": 2, **options}
    return DCTLoader(folder, **options)


def order(folder: Path, epochs: int) -> list[list[int]]:
    """The batches of a plain loop, epoch after epoch."""
    with make(folder) as loader:
        return [index.tolist() for _ in range(epochs) for _, _, index in loader]


def network() -> Any:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(24, 8, 1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 2)
    return torch.nn.Sequential(*layers)


def on_ranks(code: str, world_size: int, *arguments: str) -> list[Any]:
    """What the processes of a run write, each as JSON in its last line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = []
    for rank in range(world_size):
        facts = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size, "GROUP_RANK": 0}
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test", "ACCELERATE_USE_CPU": "true"}
        environment = {**os.environ, **where, **{name: str(value) for name, value in facts.items()}}
        ranks.append(
            subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, *arguments], stdout=subprocess.PIPE, env=environment)
        )
    outs = [process.communicate(timeout=180)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0] * world_size
    return [json.loads(out.decode().splitlines()[-1]) for out in outs]


def assert_shared(seen: list[list[list[int]]]) -> None:
    """Each rank has as many batches, and each sample comes once in all but for those that fill the last step."""
    assert len({len(batches) for batches in seen}) == 1
    every = [i for batches in seen for batch in batches for i in batch]
    assert set(every) == set(range(COUNT)) and len(every) - COUNT < len(seen)


class TestLightning:
    """`Trainer.fit` over a module whose `train_dataloader` gives the loader."""

    @pytest.fixture(autouse=True)
    def lightning(self) -> Any:
        return pytest.importorskip("lightning.pytorch", reason="lightning is not installed (extra frameworks)")

    def module(self, lightning: Any, folder: Path, stop_after: int | None = None) -> Any:
        class Interrupted(Exception):
            """As if the machine went away."""

        class Module(lightning.LightningModule):  # type: ignore[misc]
            interrupted = Interrupted

            def __init__(self) -> None:
                super().__init__()
                self.net = network()
                self.seen: list[list[int]] = []
                self.checked = 0

            def train_dataloader(self) -> DCTLoader:
                return make(folder, device=self.device)

            def val_dataloader(self) -> DCTLoader:
                return make(folder, shuffle=False)

            def training_step(self, batch: Any) -> Any:
                x, target, index = batch
                self.seen.append(index.tolist())
                return torch.nn.functional.cross_entropy(self.net(x), target)

            def on_train_batch_end(self, *_: Any) -> None:
                if len(self.seen) == stop_after:
                    raise Interrupted

            def validation_step(self, batch: Any) -> None:
                self.checked += len(batch[2])

            def configure_optimizers(self) -> Any:
                return torch.optim.SGD(self.parameters(), 0.1)

        return Module()

    def trainer(self, lightning: Any, root: Path, epochs: int = 2, **options: Any) -> Any:
        return lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            default_root_dir=root,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )

    def test_every_batch_arrives_once_in_the_order_of_a_plain_loop(self, lightning: Any, folder: Path, tmp_path: Path) -> None:
        module = self.module(lightning, folder)
        before = [p.detach().clone() for p in module.parameters()]
        self.trainer(lightning, tmp_path, enable_checkpointing=False, num_sanity_val_steps=0).fit(module)
        assert module.seen == order(folder, 2)
        assert module.checked == 2 * COUNT
        assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))

    @pytest.mark.parametrize(("when", "steps"), [("train_steps", 1), ("train_steps", 4), ("train_steps", 5), ("epochs", 4)])
    def test_a_checkpoint_goes_on_with_the_next_batch(
        self, lightning: Any, folder: Path, tmp_path: Path, when: str, steps: int
    ) -> None:
        """Four batches are an epoch: in the first, behind its last batch, and in the second."""
        keep: Any = {f"every_n_{when}": 1}
        kept = lightning.callbacks.ModelCheckpoint(tmp_path, "at-{step}", save_top_k=-1, **keep)
        first = self.module(lightning, folder, stop_after=6)
        with pytest.raises(first.interrupted):
            self.trainer(lightning, tmp_path, callbacks=[kept]).fit(first)
        second = self.module(lightning, folder)
        self.trainer(lightning, tmp_path).fit(second, ckpt_path=tmp_path / f"at-step={steps}.ckpt")
        assert first.seen[:steps] + second.seen == order(folder, 2)

    RANK = """
import json, sys, torch, lightning.pytorch as lightning
from dctload import DCTLoader, transforms as T

class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net, self.seen = torch.nn.Linear(24 * 16, 2), []
    def train_dataloader(self):
        return DCTLoader(sys.argv[1], 2, shuffle=True, transform=T.CenterCrop(32), fields=("index",), num_workers=1)
    def training_step(self, batch):
        self.seen.append(batch[2].tolist())
        return torch.nn.functional.cross_entropy(self.net(batch[0].flatten(1)), batch[1])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

module = Module()
lightning.Trainer(max_epochs=1, accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False,
                  enable_progress_bar=False, enable_model_summary=False, default_root_dir=sys.argv[2]).fit(module)
print(json.dumps(module.seen))
"""

    @pytest.mark.no_sanitizer
    def test_ranks_share_an_epoch(self, folder: Path, tmp_path: Path) -> None:
        assert_shared(on_ranks(self.RANK, 2, str(folder), str(tmp_path)))


class TestAccelerate:
    """`Accelerator.prepare` hands the loader back as it is; its state goes with the accelerator's."""

    @pytest.fixture(autouse=True)
    def accelerate(self) -> Any:
        accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed (extra frameworks)")
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        return accelerate

    def prepared(self, accelerate: Any, folder: Path) -> tuple[Any, Any, Any, Any]:
        accelerator = accelerate.Accelerator(cpu=True)
        net = network()
        loader = make(folder, device=accelerator.device)
        given = accelerator.prepare(net, torch.optim.SGD(net.parameters(), 0.1), loader)
        assert given[2] is loader
        accelerator.register_for_checkpointing(loader)
        return accelerator, *given

    def train(self, accelerator: Any, net: Any, optimizer: Any, loader: Any, most: int = COUNT) -> list[list[int]]:
        """The batches of an epoch, or the first of them."""
        seen: list[list[int]] = []
        for x, target, index in loader:
            seen.append(index.tolist())
            optimizer.zero_grad()
            accelerator.backward(torch.nn.functional.cross_entropy(net(x), target))
            optimizer.step()
            if len(seen) == most:
                break
        return seen

    def test_every_batch_arrives_once_in_the_order_of_a_plain_loop(self, accelerate: Any, folder: Path) -> None:
        accelerator, net, optimizer, loader = self.prepared(accelerate, folder)
        before = [p.detach().clone() for p in net.parameters()]
        seen = []
        for epoch in range(2):
            loader.set_epoch(epoch)
            seen += self.train(accelerator, net, optimizer, loader)
        assert seen == order(folder, 2)
        assert any(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))

    def test_a_state_in_mid_epoch_goes_on_with_the_next_batch(self, accelerate: Any, folder: Path, tmp_path: Path) -> None:
        accelerator, net, optimizer, loader = self.prepared(accelerate, folder)
        first = self.train(accelerator, net, optimizer, loader) + self.train(accelerator, net, optimizer, loader, 2)
        accelerator.save_state(str(tmp_path / "state"))
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        accelerator, net, optimizer, loader = self.prepared(accelerate, folder)
        accelerator.load_state(str(tmp_path / "state"))
        assert first + self.train(accelerator, net, optimizer, loader) == order(folder, 2)

    RANK = """
import json, sys, torch, accelerate
from dctload import DCTLoader, transforms as T

accelerator = accelerate.Accelerator()
loader = DCTLoader(sys.argv[1], 2, shuffle=True, transform=T.CenterCrop(32), fields=("index",), num_workers=1)
net = torch.nn.Linear(24 * 16, 2)
net, optimizer, loader = accelerator.prepare(net, torch.optim.SGD(net.parameters(), 0.1), loader)
seen = []
for x, target, index in loader:
    seen.append(index.tolist())
    accelerator.backward(torch.nn.functional.cross_entropy(net(x.flatten(1)), target))
    optimizer.step()
total = accelerator.gather(torch.tensor([len(seen)])).tolist()
assert total == [len(seen)] * accelerator.num_processes == [len(seen)] * 2, total
print(json.dumps(seen))
accelerator.end_training()
"""

    @pytest.mark.no_sanitizer
    def test_ranks_share_an_epoch(self, folder: Path) -> None:
        assert_shared(on_ranks(self.RANK, 2, str(folder)))
