"""A step of training beside PyTorch eager and torch.compile: speed, and equal losses.

    python3 bench/step_peer.py [--bench build/release/bench/bench_step] [--threads 1] [--rounds 3]
        [--seconds 3] [--networks resnet20_28 resnet18_32 resnet50 swin_t mobilenet_v2 fcn_r50
        uper_swin_t] [--compile resnet50 mobilenet_v2] [--device cuda] [--batch 256]
        [--classes 1000]

Runs bench_step and, between its rounds, PyTorch with the same weights, images, recipe and number of
threads, both channels-last:
  resnet20_28, ...  networks for CIFAR in batches of 128, and what the DNC head costs there
  resnet50, ...     at 224, in float32 and in bfloat16 (autocast), also under torch.compile; on a GPU
                    in bfloat16 alone, with the DNC head too
  fcn_r50, ...      segmentation at 480 x 360 with an auxiliary head, and what the DNC head with 10
                    sub-centroids, ppc and ppd costs there
Prints ratios and the best time of each; ends with 1 where a loss differs.
"""
import math
import sys
import tempfile

import torch
import torch.nn.functional as F
from torch import nn

import peer
import segmenters

sys.path.insert(0, str(peer.ROOT / "tests/golden"))
import backbones  # noqa: E402

CIFAR = {"resnet20_28": 28, "resnet18_32": 32}  # sizes of the images
CIFAR_BATCH = 128
PIXELS = ("fcn_r50", "uper_swin_t")


class Classifier(nn.Module):
    def __init__(self, net, channels):
        super().__init__()
        self.net = net
        self.fc = nn.Linear(channels, 10)
        nn.init.zeros_(self.fc.bias)

    def forward(self, images):
        return self.fc(backbones.stage_maps(self.net, images)[-1].mean((2, 3)))


def cifar_network(name):
    """With the weights that bench_step fills in by itself."""
    if name == "resnet20_28":
        net = Classifier(backbones.ResNetCifar(20, "identity"), 64)
    else:
        net = Classifier(backbones.torchvision_net(18, "cifar"), 512)
    with torch.no_grad():
        for seed, parameter in enumerate(net.parameters(), start=1):
            if parameter.dim() > 1:
                fan_in = parameter.numel() // parameter.shape[0]
                parameter.copy_(peer.values(seed, parameter.shape) * math.sqrt(6 / fan_in))
    return net.to(memory_format=torch.channels_last)


class Training:
    def __init__(self, net, images, labels, loss=F.cross_entropy, precision="float32",
                 compiled=False, device="cpu"):
        self.parameters = list(net.to(device).train().parameters())
        self.net = torch.compile(net) if compiled else net
        self.images, self.labels = images.to(device), labels.to(device)
        self.loss, self.precision, self.device = loss, precision, device
        self.optimizer = torch.optim.SGD(self.parameters, 0.01, 0.9, weight_decay=1e-4, fused=True)

    def step(self):
        self.optimizer.zero_grad()
        images = self.images.float().div_(255)
        with peer.autocast(self.precision, self.device):
            scores = self.net(images)
        if self.precision != "float32":
            scores = scores.float()
        loss = self.loss(scores, self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item() if self.device == "cpu" else loss.detach()

    def losses(self):
        """Of the first and the third step."""
        losses = [float(self.step()) for _ in range(3)]
        return {"loss_0": losses[0], "loss_2": losses[2]}


def check(name, found, losses, tolerances):
    """Two steps of a network with batch norms amplify the rounding of the first."""
    return all([peer.agrees(f"{name}: {key}", found[key], value, tolerance * abs(value))
                for (key, value), tolerance in zip(losses.items(), tolerances)])


def run_with_dnc(name, training, tolerances, arguments, folder):
    """A network with the linear head beside eager, and with the DNC head beside that."""
    losses = training.losses()
    rows = {"ours": f"{name}/Linear", "DNC": f"{name}/DNC"}
    best, found = peer.race(arguments, rows, {"eager": training.step}, folder)
    more = (best["DNC"] / best["ours"] - 1) * 100
    print(f"{name}, batch {len(training.images)}: DNC head {more:+.1f} % of linear; "
          f"{peer.report(best, ['eager'])}", flush=True)
    return check(name, found["ours"], losses, tolerances)


def run_image_network(name, precision, arguments, folder):
    batch, device = arguments.batch or peer.BATCHES[name], arguments.device

    def training(compiled):
        return Training(peer.network(name, arguments.classes),
                        peer.images_of(batch, peer.SIZE, peer.SIZE),
                        torch.arange(batch) % arguments.classes, precision=precision,
                        compiled=compiled, device=device)

    eager = training(compiled=False)
    losses = eager.losses()
    peers, rows = {"eager": eager.step}, {"ours": f"{name}/{precision}"}
    if device == "cuda":
        rows["DNC"] = f"{name}/DNC"
    if name in arguments.compile:
        compiled = training(compiled=True)
        if peer.compiles(f"{name}, {precision}", compiled.losses):
            peers["compile"] = compiled.step
    best, found = peer.race(arguments, rows, peers, folder)
    print(f"{name}, {precision}, batch {batch}: {peer.report(best, peers)}", flush=True)
    if device == "cuda":
        more = (best["DNC"] / best["ours"] - 1) * 100
        print(f"{name}: ours {batch / best['ours'] * 1e3:.0f} images/s, DNC head with "
              f"{arguments.classes} classes {more:+.1f} % of linear", flush=True)
    return check(name, found["ours"], losses, (1e-4 if precision == "float32" else 1e-2, 2e-2))


def run(name, arguments, folder):
    if name in CIFAR:
        images = peer.images_of(CIFAR_BATCH, CIFAR[name], CIFAR[name])
        training = Training(cifar_network(name), images, torch.arange(CIFAR_BATCH) % 10,
                            device=arguments.device)
        return run_with_dnc(name, training, (1e-3, 1e-3), arguments, folder)
    if name in PIXELS:
        segmenters.save_weights([name], folder)
        shape = (segmenters.BATCH, segmenters.HEIGHT, segmenters.WIDTH)
        labels = peer.pixel_labels(7, shape, segmenters.CLASSES)
        training = Training(segmenters.network(name), peer.images_of(*shape), labels,
                            segmenters.loss, device=arguments.device)
        return run_with_dnc(name, training, (1e-4, 2e-2), arguments, folder)
    peer.save_weights([name], folder, arguments.classes)
    precisions = peer.PRECISIONS if arguments.device == "cpu" else ("bfloat16",)
    return all([run_image_network(name, precision, arguments, folder)
                for precision in precisions])


def main():
    names = [*CIFAR, *peer.BATCHES, *PIXELS]
    parser = peer.arguments_of(__doc__, "bench_step", seconds=3)
    parser.add_argument("--networks", nargs="*", default=names, choices=names)
    parser.add_argument("--compile", nargs="*", default=[*peer.BATCHES], choices=peer.BATCHES,
                        help="those that torch.compile gets, too; it takes minutes")
    peer.add_device(parser)
    parser.add_argument("--batch", type=int, help="of resnet50, swin_t and mobilenet_v2")
    parser.add_argument("--classes", type=int, default=10, help="of the same")
    arguments = parser.parse_args()

    print(f"{peer.start(arguments)}, ms a step")
    if arguments.device == "cpu" and not peer.has_fast_bfloat16():
        print("this processor has no instructions for bfloat16 (AVX512-BF16, AMX)")
    with tempfile.TemporaryDirectory() as folder:
        good = all([run(name, arguments, folder) for name in arguments.networks])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
