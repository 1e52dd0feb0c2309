"""A training step of ResNet-50, as something that wants data: on RGB pixels, or on coefficients without the stem's striding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first block
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, and the way around (He et al., 2016, table 1)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * EXPANSION
        self.body = nn.Sequential(
            *(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
            *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
            *(nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)),
        )
        self.around: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.around = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.around(x))


def resnet50(channels: int, num_classes: int = 1000) -> nn.Sequential:
    """ResNet-50 for pixels (3 channels), or for coefficients `[B, channels, 56, 56]`: blocks are the stem's 8 x 8 already."""
    if channels == 3:
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    else:
        stem = [nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    body: list[nn.Module] = []
    before = 64
    for width, count, stride in STAGES:
        for number in range(count):
            body.append(Bottleneck(before, width, stride if number == 0 else 1))
            before = width * EXPANSION
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, num_classes))


class TrainingStep:
    """Forward, backward and SGD in bfloat16, with targets made up: only the time counts."""

    def __init__(self, channels: int, device: str) -> None:
        self._model = resnet50(channels).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=1e-3, momentum=0.9)
        self._device = torch.device(device)

    def __call__(self, x: Tensor) -> None:
        targets = torch.zeros(len(x), dtype=torch.int64, device=self._device)
        with torch.autocast(self._device.type, torch.bfloat16):
            loss = nn.functional.cross_entropy(self._model(x.contiguous(memory_format=torch.channels_last)), targets)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
