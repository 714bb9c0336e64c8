"""Inference beside PyTorch eager, torch.compile and frozen TorchScript: speed, and equal scores.

    python3 bench/infer_peer.py [--bench build/release/bench/bench_infer] [--threads 1] [--rounds 3]
        [--seconds 2] [--networks resnet50 swin_t mobilenet_v2] [--compile resnet50 mobilenet_v2]

ResNet-50, Swin-T and MobileNetV2 on one image and on 32, in float32 and in bfloat16 (autocast),
with torchvision's networks, the same weights, images and number of threads, channels-last:
  eager    under inference_mode
  compile  the same under torch.compile
  frozen   traced, frozen and through torch.jit.optimize_for_inference (float32 alone: it knows no
           autocast)
Prints ratios and the best time of each; ends with 1 where a score differs.
"""
import sys
import tempfile
import warnings

import torch

import peer

COUNTS = (1, 32)


class Inference:
    """Bytes to scores, by a network that takes floats."""

    def __init__(self, net, images, precision):
        self.net, self.images, self.precision = net, images, precision

    @torch.inference_mode()
    def scores(self):
        with peer.autocast(self.precision):
            return self.net(self.images.float().div_(255)).float()


def frozen(net, images):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(net, images.float().div_(255))
        return torch.jit.optimize_for_inference(torch.jit.freeze(traced))


def run(name, precision, count, arguments, folder):
    what = f"{name}, {precision}, {count} image(s)"
    net = peer.network(name).eval()
    images = peer.images_of(count, peer.SIZE, peer.SIZE)
    nets = {"eager": net}
    if name in arguments.compile:
        nets["compile"] = torch.compile(net, dynamic=False)
    if precision == "float32":
        nets["frozen"] = frozen(net, images)
    peers = {key: Inference(each, images, precision).scores for key, each in nets.items()}
    if "compile" in peers and not peer.compiles(what, peers["compile"]):
        del peers["compile"]
    for each in [*peers.values()] * 2:
        each()  # frozen TorchScript changes in its first runs
    scores = peers["eager"]()
    best, found = peer.race(arguments, {"ours": f"{name}/{precision}/{count}"}, peers, folder)
    print(f"{what}: {peer.report(best, peers)}", flush=True)
    tolerance = (1e-4 if precision == "float32" else 5e-2) * scores.abs().max().item()
    return all([
        peer.agrees(f"{what}: the {key} score", found["ours"][key], score.item(), tolerance)
        for key, score in (("first", scores[0, 0]), ("last", scores[-1, -1]))])


def main():
    parser = peer.arguments_of(__doc__, "bench_infer", seconds=2)
    parser.add_argument("--networks", nargs="*", default=[*peer.BATCHES], choices=peer.BATCHES)
    parser.add_argument("--compile", nargs="*", default=[*peer.BATCHES], choices=peer.BATCHES,
                        help="those that torch.compile gets, too; it takes minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    good = True
    print(f"{arguments.threads} thread(s), ms a batch")
    if not peer.has_fast_bfloat16():
        print("this processor has no instructions for bfloat16 (AVX512-BF16, AMX)")
    with tempfile.TemporaryDirectory() as folder:
        peer.save_weights(arguments.networks, folder)
        for name in arguments.networks:
            for precision in peer.PRECISIONS:
                for count in COUNTS:
                    good &= run(name, precision, count, arguments, folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
