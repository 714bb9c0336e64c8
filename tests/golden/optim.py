"""Fixtures for optimizers, schedules, losses, averages and the gradient scaler: optim.txt and
schedules.txt. Run with the packages of requirements.txt.
"""
import timm.data.mixup
import timm.loss
import timm.optim
import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from golden import Golden, values

# Long enough for whole vector registers and what is left over; a 1x1 convolution; a scalar.
SHAPES = {"a": (37, 5), "b": (19,), "c": (6, 4, 1, 1), "d": (), "e": (3, 5, 3, 3)}
GROUPS = [
    {"names": ["a", "b", "d"], "lr_scale": 1.0, "weight_decay": None},
    {"names": ["c", "e"], "lr_scale": 0.1, "weight_decay": 0.2},
]
STEPS = 10

OPTIMIZERS = {
    "sgd/plain": (torch.optim.SGD, {"lr": 0.1}),
    "sgd/momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "sgd/nesterov": (
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    "sgd/dampening": (
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
    ),
    "adam/default": (torch.optim.Adam, {"lr": 1e-2}),
    "adam/decay": (
        torch.optim.Adam,
        {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05},
    ),
    "adamw/default": (torch.optim.AdamW, {"lr": 1e-2}),
    "adamw/decay": (
        torch.optim.AdamW,
        {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05},
    ),
    "lamb/default": (timm.optim.Lamb, {"lr": 1e-2}),
    "lamb/clip": (
        timm.optim.Lamb,
        {"lr": 1e-2, "betas": (0.8, 0.95), "weight_decay": 0, "trust_clip": True,
         "always_adapt": True, "max_grad_norm": None},
    ),
    "lamb/sum": (
        timm.optim.Lamb,
        {"lr": 5e-3, "weight_decay": 0.05, "grad_averaging": False, "max_grad_norm": 2.5},
    ),
}


def has_gradient(name, step):
    """`b` has none at every third step, `c` none before the fourth, the others always one."""
    if name == "b":
        return step % 3 != 1
    return name != "c" or step >= 3


def optimizers(golden):
    for case, (make, options) in OPTIMIZERS.items():
        parameters = {
            name: torch.nn.Parameter(torch.from_numpy(values(f"parameter/{name}", shape)))
            for name, shape in SHAPES.items()
        }
        groups, scales = [], []
        for group in GROUPS:
            # A group each: timm counts steps by group.
            for name in group["names"]:
                settings = {"params": [parameters[name]]}
                if group["weight_decay"] is not None:
                    settings["weight_decay"] = group["weight_decay"]
                groups.append(settings)
                scales.append(group["lr_scale"])
        optimizer = make(groups, **options)
        for step in range(STEPS):
            for settings, scale in zip(optimizer.param_groups, scales):
                settings["lr"] = options["lr"] * (1 - 0.05 * step) * scale
            for name, shape in SHAPES.items():
                gradient = torch.from_numpy(values(f"gradient/{step}/{name}", shape))
                parameters[name].grad = gradient if has_gradient(name, step) else None
            optimizer.step()
            for settings in optimizer.param_groups:
                if "step" in settings and settings["params"][0].grad is None:
                    settings["step"] -= 1  # nor does timm leave out those without a gradient
            if step in (0, 3, STEPS - 1):
                for name, parameter in parameters.items():
                    golden.add(f"{case}/{step}/{name}", parameter)
        for name, parameter in parameters.items():
            for key, tensor in optimizer.state[parameter].items():
                if tensor is not None:
                    kind = "momentum" if key == "momentum_buffer" else key
                    golden.add(f"{case}/state/{kind}.{name}", tensor)


def losses(golden):
    """Cross entropy with its gradient; labels -1 are ignored."""
    for task, shape in {"images": (6, 5), "pixels": (2, 5, 3, 4)}.items():
        label_shape = shape[:1] + shape[2:]
        labels = torch.from_numpy(values(f"{task}/labels", label_shape))
        labels = ((labels + 1) / 2 * 6).long() - 1  # -1 ... 4
        soft = torch.from_numpy(values(f"{task}/soft", shape)).mul(3).softmax(1)
        for name, smoothing, weighted in [
            ("plain", 0.0, False), ("smooth", 0.1, False), ("weights", 0.0, True), ("both", 0.2, True),
        ]:
            weight = torch.tensor([0.5, 1.0, 2.0, 0.0, 3.0]) if weighted else None
            for kind, targets in {"labels": labels, "soft": soft}.items():
                scores = torch.from_numpy(values(f"{task}/scores", shape)).mul(4).requires_grad_()
                extra = {"ignore_index": -1} if kind == "labels" else {}
                loss = torch.nn.functional.cross_entropy(
                    scores, targets, weight=weight, label_smoothing=smoothing, **extra)
                loss.backward()
                golden.add(f"loss/{task}/{name}/{kind}", loss)
                golden.add(f"loss/{task}/{name}/{kind}/gradient", scores.grad)
        golden.add(f"loss/{task}/labels", labels)
        golden.add(f"loss/{task}/soft", soft)


def binary_losses(golden):
    """timm's BinaryCrossEntropy with its gradient; `soft` was mixed by timm."""
    labels = torch.tensor([0, 4, 2, 1, 3, 3])
    for name, options in {
        "plain": {"smoothing": 0.0},
        "smooth": {"smoothing": 0.1},
        "threshold": {"smoothing": 0.1, "target_threshold": 0.2},
        "sum": {"smoothing": 0.1, "sum_classes": True},
    }.items():
        # timm smooths soft targets as it mixes them.
        soft = timm.data.mixup.mixup_target(labels, 5, lam=0.7, smoothing=options["smoothing"])
        for kind, targets in {"labels": labels, "soft": soft}.items():
            scores = torch.from_numpy(values("images/scores", (6, 5))).mul(4).requires_grad_()
            loss = timm.loss.BinaryCrossEntropy(**options)(scores, targets)
            loss.backward()
            golden.add(f"binary/{name}/{kind}", loss)
            golden.add(f"binary/{name}/{kind}/gradient", scores.grad)
    golden.add("binary/labels", labels)
    golden.add("binary/soft", timm.data.mixup.mixup_target(labels, 5, lam=0.7))


def average(golden):
    model = torch.nn.Linear(7, 3)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(values(f"ema/0/{name}", parameter.shape)))
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    ema.update_parameters(model)  # the first call copies
    for step in range(1, 6):
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(torch.from_numpy(values(f"ema/{step}/{name}", parameter.shape)))
        ema.update_parameters(model)
    for name, parameter in ema.module.named_parameters():
        golden.add(f"ema/{name}", parameter)


def scaler(golden):
    """The scale after each step; `i` marks a step with an infinite gradient, `n` one with NaN."""
    scale = torch.amp.GradScaler(
        "cpu", init_scale=1024.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=3)
    parameter = torch.nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    for step, mark in enumerate("gggginggggggi"):
        gradient = torch.from_numpy(values(f"scaler/{step}", (4,))) * 100
        if mark != "g":
            gradient[2] = float("inf") if mark == "i" else float("nan")
        scale.scale(torch.zeros(()))  # makes its tensors
        parameter.grad = gradient
        scale.unscale_(optimizer)
        scale.step(optimizer)
        scale.update()
        golden.add(f"scaler/{step}/scale", scale.get_scale())
        golden.add(f"scaler/{step}/parameter", parameter)


def schedule(golden, name, make, count):
    """Factors at 0, 1, ..., count - 1 of what the scheduler counts."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(count):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    golden.add(name, factors)


def schedules(golden):
    """A run of 60 steps; where epochs are meant, they have 7 steps, so there are 9."""
    run, epochs = 60, 9
    for name, make, count in [
        ("step", lambda o: lr_scheduler.StepLR(o, 3, gamma=0.3), epochs),
        ("step/steps", lambda o: lr_scheduler.StepLR(o, 11, gamma=0.5), run),
        ("multistep", lambda o: lr_scheduler.MultiStepLR(o, [2, 5, 6], gamma=0.2), epochs),
        ("multistep/steps", lambda o: lr_scheduler.MultiStepLR(o, [1, 30, 45], gamma=0.1), run),
        ("cosine", lambda o: lr_scheduler.CosineAnnealingLR(o, run, eta_min=0), run),
        ("cosine/min", lambda o: lr_scheduler.CosineAnnealingLR(o, run, eta_min=0.05), run),
        ("cosine/epoch", lambda o: lr_scheduler.CosineAnnealingLR(o, epochs, eta_min=0.05), epochs),
        ("poly", lambda o: lr_scheduler.PolynomialLR(o, run, power=0.9), run),
        ("poly/epoch", lambda o: lr_scheduler.PolynomialLR(o, epochs, power=2.0), epochs),
        ("exponential/epoch", lambda o: lr_scheduler.ExponentialLR(o, 0.9), epochs),
        ("warmup/linear", lambda o: lr_scheduler.LinearLR(o, 0.2, total_iters=14), run),
        ("warmup/constant", lambda o: lr_scheduler.ConstantLR(o, 0.2, total_iters=14), run),
    ]:
        schedule(golden, name, make, count)
    for name, options in {
        "cosine": {},
        "linear": {"anneal_strategy": "linear", "pct_start": 0.4, "div_factor": 10.0,
                   "final_div_factor": 100.0},
    }.items():
        schedule(golden, f"onecycle/{name}", lambda o: lr_scheduler.OneCycleLR(
            o, 1.0, total_steps=run, cycle_momentum=False, **options), run)


def main():
    golden = Golden("optim.txt", "optim.py")
    optimizers(golden)
    losses(golden)
    binary_losses(golden)
    average(golden)
    scaler(golden)
    golden.save()
    golden = Golden("schedules.txt", "optim.py", digits=17)
    schedules(golden)
    golden.save()


if __name__ == "__main__":
    main()
