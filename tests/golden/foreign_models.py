"""Small networks under the parameter names of programs that are not installed here.

mmcls (mmpretrain), mmseg and the official code of Swin and ConvNeXt are written down again in plain
PyTorch, as their modules compute and name things: MmSwin merges patches with nn.Unfold, as mmcls
does, MicrosoftSwin by putting four slices behind each other, and so on. They are written from the
description of those modules, not from dnc-host's tables, so that a value in a wrong place shows.
"""
import torch
from torch import nn
from torch.nn import functional


def windows_of(maps, side):
    """[B, H, W, C] to [B * windows, side * side, C]."""
    b, h, w, c = maps.shape
    maps = maps.view(b, h // side, side, w // side, side, c)
    return maps.transpose(2, 3).reshape(-1, side * side, c)


def maps_of(windows, side, h, w):
    """The other way round."""
    maps = windows.view(-1, h // side, w // side, side, side, windows.shape[-1])
    return maps.transpose(2, 3).reshape(-1, h, w, windows.shape[-1])


def position_index(side):
    """Which row of the table [(2 side - 1)^2, heads] a pair of positions takes, [side^2, side^2]."""
    places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    offsets = places.flatten(1)[:, :, None] - places.flatten(1)[:, None, :] + side - 1
    return offsets[0] * (2 * side - 1) + offsets[1]


def shift_mask(size, side, shift):
    """0 where two positions of a shifted window were neighbours in the image, else -100."""
    parts = torch.zeros(1, size, size, 1)
    edges = (slice(0, -side), slice(-side, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate((r, c) for r in edges for c in edges):
        parts[:, rows, columns] = number
    parts = windows_of(parts, side).squeeze(2)
    return (parts[:, None, :] != parts[:, :, None]).float() * -100


class Attention(nn.Module):
    def __init__(self, channels, heads, side):
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        self.register_buffer("relative_position_index", position_index(side))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x, mask):
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        scores = scores + bias.view(n, n, -1).permute(2, 0, 1)
        if mask is not None:
            scores = (scores.view(-1, len(mask), self.heads, n, n) + mask[None, :, None]).view_as(scores)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))


class SwinBlock(nn.Module):
    """`mm`: names of mmcls, else those of microsoft, which keeps its mask."""

    def __init__(self, mm, channels, heads, size, side, shift):
        super().__init__()
        self.mm, self.size, self.side = mm, size, side
        self.shift = shift if size > side else 0
        mask = shift_mask(size, side, self.shift) if self.shift else None
        self.norm1 = nn.LayerNorm(channels)
        attention = Attention(channels, heads, side)
        if mm:
            self.mask = mask
            self.attn = nn.Module()
            self.attn.w_msa = attention
            self.ffn = nn.Module()
            self.ffn.layers = nn.Sequential(
                nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU()),
                nn.Linear(4 * channels, channels))
        else:
            self.register_buffer("attn_mask", mask)
            self.attn = attention
            self.mlp = nn.Module()
            self.mlp.fc1 = nn.Linear(channels, 4 * channels)
            self.mlp.fc2 = nn.Linear(4 * channels, channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x):
        attention, mask = (self.attn.w_msa, self.mask) if self.mm else (self.attn, self.attn_mask)
        y = self.norm1(x).roll((-self.shift, -self.shift), (1, 2))
        y = maps_of(attention(windows_of(y, self.side), mask), self.side, self.size, self.size)
        x = x + y.roll((self.shift, self.shift), (1, 2))
        y = self.norm2(x)
        return x + (self.ffn.layers(y) if self.mm
                    else self.mlp.fc2(functional.gelu(self.mlp.fc1(y))))


class Merging(nn.Module):
    def __init__(self, mm, channels):
        super().__init__()
        self.mm = mm
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x):
        b, h, w, _ = x.shape
        if self.mm:
            x = nn.Unfold(2, stride=2)(x.permute(0, 3, 1, 2)).transpose(1, 2).view(b, h // 2, w // 2, -1)
        else:
            x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.reduction(self.norm(x))


def swin_body(mm, image, embed_dim, depths, num_heads, window):
    """The patch embedding and the stages, each with the merging at its end."""
    embed = nn.Module()
    setattr(embed, "projection" if mm else "proj", nn.Conv2d(3, embed_dim, 4, 4))
    embed.norm = nn.LayerNorm(embed_dim)
    stages = nn.ModuleList()
    for i, depth in enumerate(depths):
        channels, size = embed_dim << i, image // 4 >> i
        stage = nn.Module()
        stage.blocks = nn.ModuleList(
            SwinBlock(mm, channels, num_heads[i], size, window, window // 2 * (b % 2))
            for b in range(depth))
        stage.downsample = Merging(mm, channels) if i + 1 < len(depths) else None
        stages.append(stage)
    return embed, stages


def run_swin(projection, norm, stages, x):
    x = norm(projection(x).permute(0, 2, 3, 1))
    for stage in stages:
        for block in stage.blocks:
            x = block(x)
        if stage.downsample is not None:
            x = stage.downsample(x)
    return x


class MmSwin(nn.Module):
    def __init__(self, classes, **options):
        super().__init__()
        body = self.backbone = nn.Module()
        body.patch_embed, body.stages = swin_body(True, **options)
        body.norm3 = nn.LayerNorm(options["embed_dim"] * 8)
        self.head = nn.Module()
        self.head.fc = nn.Linear(options["embed_dim"] * 8, classes)

    def forward(self, x):
        body = self.backbone
        x = run_swin(body.patch_embed.projection, body.patch_embed.norm, body.stages, x)
        return self.head.fc(body.norm3(x).mean((1, 2)))


class MicrosoftSwin(nn.Module):
    def __init__(self, classes, **options):
        super().__init__()
        self.patch_embed, self.layers = swin_body(False, **options)
        self.norm = nn.LayerNorm(options["embed_dim"] * 8)
        self.head = nn.Linear(options["embed_dim"] * 8, classes)

    def forward(self, x):
        x = run_swin(self.patch_embed.proj, self.patch_embed.norm, self.layers, x)
        return self.head(self.norm(x).mean((1, 2)))


class ChannelNorm(nn.LayerNorm):
    """Over the channels of maps [B, C, H, W]."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    def __init__(self, names, channels):
        super().__init__()
        self.names = names  # of the three convolutions
        setattr(self, names[0], nn.Conv2d(channels, channels, 7, padding=3, groups=channels))
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        setattr(self, names[1], nn.Linear(channels, 4 * channels))
        setattr(self, names[2], nn.Linear(4 * channels, channels))
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        depthwise, first, second = (getattr(self, name) for name in self.names)
        y = self.norm(depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * second(functional.gelu(first(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext_body(body, names, depths, dims):
    layers = [nn.Sequential(nn.Conv2d(3, dims[0], 4, 4), ChannelNorm(dims[0], eps=1e-6))]
    for before, after in zip(dims, dims[1:]):
        layers.append(nn.Sequential(ChannelNorm(before, eps=1e-6), nn.Conv2d(before, after, 2, 2)))
    body.downsample_layers = nn.ModuleList(layers)
    body.stages = nn.ModuleList(
        nn.Sequential(*(ConvNextBlock(names, channels) for _ in range(depth)))
        for depth, channels in zip(depths, dims))


def run_convnext(body, x):
    for smaller, stage in zip(body.downsample_layers, body.stages):
        x = stage(smaller(x))
    return x.mean((2, 3))


class FacebookConvNext(nn.Module):
    def __init__(self, classes, depths, dims):
        super().__init__()
        convnext_body(self, ("dwconv", "pwconv1", "pwconv2"), depths, dims)
        self.norm = nn.LayerNorm(dims[-1], eps=1e-6)
        self.head = nn.Linear(dims[-1], classes)

    def forward(self, x):
        return self.head(self.norm(run_convnext(self, x)))


class MmConvNext(nn.Module):
    def __init__(self, classes, depths, dims):
        super().__init__()
        self.backbone = nn.Module()
        convnext_body(self.backbone, ("depthwise_conv", "pointwise_conv1", "pointwise_conv2"), depths,
                      dims)
        self.backbone.norm3 = nn.LayerNorm(dims[-1], eps=1e-6)
        self.head = nn.Module()
        self.head.fc = nn.Linear(dims[-1], classes)

    def forward(self, x):
        return self.head.fc(self.backbone.norm3(run_convnext(self.backbone, x)))


class ConvModule(nn.Module):
    """Convolution, norm and ReLU6 of mmcv; the last one where `act`."""

    def __init__(self, before, after, kernel, stride=1, groups=1, act=True):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(after)
        self.act = act

    def forward(self, x):
        x = self.bn(self.conv(x))
        return functional.relu6(x) if self.act else x


class InvertedResidual(nn.Module):
    def __init__(self, before, after, stride, expand):
        super().__init__()
        inside = before * expand
        widen = [ConvModule(before, inside, 1)] if expand != 1 else []
        self.conv = nn.Sequential(*widen, ConvModule(inside, inside, 3, stride, inside),
                                  ConvModule(inside, after, 1, act=False))
        self.residual = stride == 1 and before == after

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MmMobileNetV2(nn.Module):
    # expand, channels, blocks, stride
    STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, classes, width):
        super().__init__()

        def rounded(channels):
            near = max(8, int(channels * width + 4) // 8 * 8)
            return near + 8 if near < 0.9 * channels * width else near

        body = self.backbone = nn.Module()
        channels = rounded(32)
        body.conv1 = ConvModule(3, channels, 3, 2)
        for number, (expand, after, blocks, stride) in enumerate(self.STAGES, 1):
            stage = []
            for block in range(blocks):
                stage.append(InvertedResidual(channels, rounded(after), 1 if block else stride, expand))
                channels = rounded(after)
            setattr(body, f"layer{number}", nn.Sequential(*stage))
        body.conv2 = ConvModule(channels, 1280, 1)
        self.head = nn.Module()
        self.head.fc = nn.Linear(1280, classes)

    def forward(self, x):
        body = self.backbone
        x = body.conv1(x)
        for number in range(1, 8):
            x = getattr(body, f"layer{number}")(x)
        return self.head.fc(body.conv2(x).mean((2, 3)))


class MmBottleneck(nn.Module):
    def __init__(self, inputs, width, stride, average_down):
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            pools = average_down and stride != 1
            self.downsample = nn.Sequential(
                *([nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)] if pools
                  else []),
                nn.Conv2d(inputs, outputs, 1, 1 if pools else stride, bias=False),
                nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(self.conv2(out)))
        return torch.relu(self.bn3(self.conv3(out)) + (self.downsample(x) if self.downsample else x))


class MmResNet(nn.Module):
    """ResNetV1c, and with `average_down` ResNetV1d, of bottlenecks. mmseg has no modules around the
    convolutions of the stem, and a 1x1 convolution for the classes."""

    def __init__(self, classes, library, blocks, width, average_down, strides=(1, 2, 2, 2)):
        super().__init__()
        body = self.backbone = nn.Module()
        layers = []
        for inputs, outputs, stride in ((3, width // 2, 2), (width // 2, width // 2, 1),
                                        (width // 2, width, 1)):
            one = nn.Module()
            one.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            one.bn = nn.BatchNorm2d(outputs)
            layers += [one] if library == "mmcls" else [one.conv, one.bn, nn.ReLU()]
        body.stem = nn.Sequential(*layers)
        channels = width
        for stage, stride in enumerate(strides):
            layer = []
            for block in range(blocks[stage]):
                layer.append(MmBottleneck(channels, width << stage, 1 if block else stride,
                                          average_down))
                channels = 4 * (width << stage)
            setattr(body, f"layer{stage + 1}", nn.Sequential(*layer))
        if library == "mmcls":
            self.head = nn.Module()
            self.head.fc = nn.Linear(channels, classes)
        else:
            self.decode_head = nn.Module()
            self.decode_head.conv_seg = nn.Conv2d(channels, classes, 1)

    def forward(self, x):
        body = self.backbone
        for one in body.stem:
            x = torch.relu(one.bn(one.conv(x))) if hasattr(one, "conv") else one(x)
        x = functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(body, f"layer{stage}")(x)
        if hasattr(self, "head"):
            return self.head.fc(x.mean((2, 3)))
        return self.decode_head.conv_seg(x.mean((2, 3), keepdim=True)).flatten(1)


class MmVisionLayer(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(channels, 3 * channels)
        self.attn.proj = nn.Linear(channels, channels)
        self.ln2 = nn.LayerNorm(channels, eps=1e-6)
        self.ffn = nn.Module()
        self.ffn.layers = nn.Sequential(
            nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU()),
            nn.Linear(4 * channels, channels))

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.attn.qkv(self.ln1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c)
        x = x + self.attn.proj(mixed)
        return x + self.ffn.layers(self.ln2(x))


class MmVisionTransformer(nn.Module):
    def __init__(self, classes, image, patch, embed_dim, depth, heads):
        super().__init__()
        body = self.backbone = nn.Module()
        body.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        body.pos_embed = nn.Parameter(torch.zeros(1, 1 + (image // patch) ** 2, embed_dim))
        body.patch_embed = nn.Module()
        body.patch_embed.projection = nn.Conv2d(3, embed_dim, patch, patch)
        body.layers = nn.ModuleList(MmVisionLayer(embed_dim, heads) for _ in range(depth))
        body.ln1 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.head = nn.Module()
        self.head.layers = nn.Module()
        self.head.layers.head = nn.Linear(embed_dim, classes)

    def forward(self, x):
        body = self.backbone
        x = body.patch_embed.projection(x).flatten(2).transpose(1, 2)
        x = torch.cat([body.cls_token.expand(len(x), -1, -1), x], 1) + body.pos_embed
        for layer in body.layers:
            x = layer(x)
        return self.head.layers.head(body.ln1(x)[:, 0])
