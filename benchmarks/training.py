"""Does a network learn from what `DCTLoader` yields: a small CNN on coefficients, and the same code on pixels, on the CPU.

python -m benchmarks.training --help
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import _data, _harness, _machine

MODULE = "benchmarks.training"
SIDE = 224  # pixels: 28 x 28 blocks
EPOCHS, SEEDS = 20, 3
BATCH = 32
OUTPUTS = ("dct", "rgb")
CHANNELS = "24s"
EXAMPLES = """examples:
  python -m benchmarks.training --data cats-dogs                 folders train/CLASS and val/CLASS in it
  python -m benchmarks.training --data cats-dogs --epochs 10 --seeds 1 --output dct
"""


@dataclass
class Course:
    """One training: accuracy on the held-out files and mean loss by epoch, and what it cost."""

    output: str
    seed: int
    parameters: int
    accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def final(self) -> float:
        """Mean accuracy of the last three epochs: one epoch by itself jumps by several files."""
        return statistics.fmean(self.accuracy[-3:])


def small_cnn(output: str, num_classes: int) -> Any:
    """Some 300,000 parameters; only the stem knows what it is fed: `[B, 24, 28, 28]`, or `[B, 3, 224, 224]`."""
    from torch import nn

    def convolution(before: int, after: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]

    if output == "rgb":  # to the blocks' grid: as many steps as a block has pixels
        stem = [*convolution(3, 24, 7, 4), nn.MaxPool2d(2), *convolution(24, 32)]
    else:
        stem = convolution(24, 32)
    body = [
        nn.MaxPool2d(2),
        *convolution(32, 64),
        *convolution(64, 96),
        nn.MaxPool2d(2),
        *convolution(96, 128),
        *convolution(128, 128),
    ]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, num_classes))


def loaders(folder: Path, output: str, seed: int) -> tuple[Any, Any]:
    """The loaders of the folder's training and held-out files; nothing but `output` differs."""
    from dctload import DCTLoader
    from dctload import transforms as T  # noqa: N812 - as users write it

    steps: list[Any] = [T.RandomResizedCrop(SIDE, scale=(0.35, 1.0)), T.RandomHorizontalFlip(), T.ColorJitter(0.3, 0.3, 0.3)]
    held_out = "val" if (folder / "val").is_dir() else "test"
    options: dict[str, Any] = {"channels": CHANNELS, "output": output, "seed": seed}
    normalize = T.Normalize("imagenet")
    train = DCTLoader(folder / "train", BATCH, shuffle=True, drop_last=True, transform=T.Compose([*steps, normalize]), **options)
    plain = T.Compose([T.Resize(256), T.CenterCrop(SIDE), normalize])
    return train, DCTLoader(folder / held_out, 50, transform=plain, **options)


def train(folder: Path, output: str, seed: int, epochs: int, each: Callable[[Course], None] = lambda course: None) -> Course:
    """Trains from nothing with SGD on a one-cycle schedule; the same seed gives the same course on the same machine.

    Args:
        folder: With `train/CLASS` and `val/CLASS` (or `test/CLASS`).
        output: `"dct"` or `"rgb"`.
        seed: Of the weights, the order, the crops and dropout.
        epochs: Passes over the training files.
        each: Called after every epoch.
    """
    import torch
    from torch.nn.functional import cross_entropy

    torch.manual_seed(seed)
    learning, held_out = loaders(folder, output, seed)
    with learning, held_out:
        if not len(learning):
            _harness.fail(f"--data {folder}: fewer than {BATCH} files in its folder train")
        model = small_cnn(output, len(learning.classes))
        course = Course(output, seed, sum(weights.numel() for weights in model.parameters()))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=epochs * len(learning))
        begin = time.perf_counter()
        for _ in range(epochs):
            model.train()
            losses = []
            for x, targets in learning:
                loss = cross_entropy(model(x), targets, label_smoothing=0.1)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                rates.step()
                losses.append(loss.item())
            course.loss.append(statistics.fmean(losses))
            course.accuracy.append(accuracy(model, held_out))
            course.seconds = time.perf_counter() - begin
            each(course)
    return course


def accuracy(model: Any, loader: Any) -> float:
    """Share of a loader's files whose class the model finds."""
    import torch

    model.eval()
    right = seen = 0
    with torch.inference_mode():
        for x, targets in loader:
            right += int((model(x).argmax(1) == targets).sum())
            seen += len(targets)
    return right / seen


def rows(courses: Sequence[Course]) -> list[_harness.Row]:
    """One row an output: the mean over the seeds, all courses beside it."""
    made = []
    for output in OUTPUTS:
        mine = [course for course in courses if course.output == output]
        if not mine:
            continue
        finals = [course.final for course in mine]
        extra = {
            "key": output,
            "mean": round(statistics.fmean(finals), 4),
            "least": round(min(finals), 4),
            "parameters": mine[0].parameters,
            "seconds_an_epoch": round(statistics.median(course.seconds / len(course.accuracy) for course in mine), 2),
            "accuracy": {str(course.seed): [round(value, 4) for value in course.accuracy] for course in mine},
            "loss": {str(course.seed): [round(value, 4) for value in course.loss] for course in mine},
        }
        spread = _harness.Spread.of(finals)
        note = f"held-out files, mean of the last three of {len(mine[0].accuracy)} epochs"
        threads = _machine.usable_cores()
        made.append(_harness.Row(f"small CNN, output={output!r}", "accuracy", *spread.rounded(4), threads, note, extra))
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    _harness.need_torch()
    folder = Path(options.data)
    for name in (("train",), ("val", "test")):
        if not any((folder / part).is_dir() for part in name):
            _harness.fail(f"--data {folder}: no folder {' or '.join(name)} in it")
    files = _data.folder_photos(folder)
    courses: list[Course] = []
    plan = [(output, seed) for seed in range(options.seeds) for output in options.output]
    with _harness.progress("training", len(plan) * options.epochs) as step:
        for output, seed in plan:

            def each(course: Course) -> None:
                step(1, f"{course.output}, seed {course.seed}, {course.accuracy[-1]:.0%}")

            courses.append(train(folder, output, seed, options.epochs, each))
    content = _harness.result(MODULE, arguments, files.as_json(), rows(courses))
    if options.json != _harness.STDOUT:
        _show(courses)
    _harness.keep(options, content, "training")


def _show(courses: Sequence[Course]) -> None:
    out = _harness.console()
    title = f"Held-out accuracy of a small CNN, trained on the CPU ({_machine.usable_cores()} cores)"
    count = len(courses[0].accuracy)
    marks = sorted({max(1, round(count * part / 5)) for part in range(1, 6)})
    columns = ("output, seed", "parameters", *(f"epoch\n{mark}" for mark in marks), "last\nthree", "s an\nepoch")
    made = _harness.table(title, columns)
    for course in sorted(courses, key=lambda course: (course.output, course.seed)):
        shown = [f"{course.accuracy[mark - 1]:.1%}" for mark in marks]
        figures = (f"{course.parameters:,}", *shown, f"{course.final:.1%}", f"{course.seconds / count:.1f}")
        made.add_row(f"{course.output}, {course.seed}", *figures)
    out.print(made)
    for row in rows(courses):
        out.print(
            f"{row.name}: mean of {row.n} seed{'s' * (row.n > 1)} {row.extra['mean']:.1%}, the lowest {row.extra['least']:.1%}"
        )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = "Trains a small CNN from DCTLoader on the CPU, on coefficients and on pixels, and says what it learns."
    parser = _harness.parser(MODULE, text, EXAMPLES, data="folder with train/CLASS and val/CLASS (or test/CLASS)")
    add = parser.add_argument
    add("--epochs", metavar="N", type=_harness.count, default=EPOCHS, help="(default: %(default)s)")
    help_seeds = "trainings from different beginnings (default: %(default)s)"
    add("--seeds", metavar="N", type=_harness.count, default=SEEDS, help=help_seeds)
    add("--output", nargs="+", choices=OUTPUTS, default=list(OUTPUTS), help="what the network is fed (default: both)")
    return _harness.parsed(parser, arguments)


if __name__ == "__main__":
    main()
