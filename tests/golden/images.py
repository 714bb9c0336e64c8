"""Pixels as Pillow and torchvision have them -> images.txt, and small image files -> images/.

The files are the input of the decoder's tests, their pixels by Pillow are in images.txt.
"""
import struct
import zlib

import numpy
import torch
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import functional

from golden import FOLDER, Golden, values

FILES = FOLDER / "images"
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def picture(name, height, width, channels):
    """Bytes that depend only on the name; test_picture() in images_testing.h makes the same ones."""
    return numpy.floor((values(name, (height, width, channels)) + 1) * 128).astype(numpy.uint8)


def to_pil(array):
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def to_array(image):
    array = numpy.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def resize(image, height, width, resample):
    """First along the rows, then along the columns. Up to 12.1 Pillow did that by itself; later
    versions take the columns first for some sizes, which changes the rounding."""
    return image.resize((width, image.height), resample).resize((width, height), resample)


def add_resize(golden):
    sizes = [
        (31, 47, 16, 20),
        (16, 20, 31, 47),
        (50, 40, 8, 9),  # a large reduction
        (28, 28, 32, 32),
        (33, 17, 33, 9),  # the width alone
        (9, 40, 23, 40),  # the height alone
        (120, 3, 7, 5),  # fewer columns than are summed at once; late Pillow takes the columns first
        (7, 1, 3, 4),
        (1, 9, 6, 2),
        (1, 1, 3, 5),
        (19, 23, 1, 1),
    ]
    for height, width, to_height, to_width in sizes:
        for channels in (1, 3):
            for name, resample in FILTERS.items():
                case = f"{height}x{width}x{channels}_to_{to_height}x{to_width}_{name}"
                image = to_pil(picture("resize/" + case, height, width, channels))
                golden.add("resize/" + case, to_array(resize(image, to_height, to_width, resample)))
        for name, resample in FILTERS.items():
            case = f"{height}x{width}x1_to_{to_height}x{to_width}_{name}"
            image = Image.fromarray(values("resize_float/" + case, (height, width)))
            golden.add(
                "resize_float/" + case,
                to_array(resize(image, to_height, to_width, resample)),
            )


def add_resize_option(golden):
    """[height, width, size, max_size (0 = none)] -> [height, width]"""
    rows = []
    for height, width in [(375, 500), (500, 375), (333, 500), (40, 1000), (97, 97), (3, 7)]:
        for size, max_size in [(256, None), (232, None), (7, None), (100, 120), (224, 225)]:
            out = functional._compute_resized_output_size((height, width), [size], max_size)
            rows.append([height, width, size, max_size or 0, *out])
    golden.add("resize_option", rows)
    image = to_pil(picture("resize_option_pixels", 30, 41, 3))
    golden.add("resize_option_pixels", to_array(transforms.Resize(16)(image)))


def add_border(golden):
    image = picture("pad", 5, 7, 3)
    for mode, options in {
        "constant": {"fill": (11, 22, 33)},
        "edge": {},
        "reflect": {},
    }.items():
        padded = functional.pad(to_pil(image), [2, 1, 4, 3], padding_mode=mode, **options)
        golden.add(f"pad/{mode}", to_array(padded))


def add_center_crop(golden):
    for height, width, crop_height, crop_width in [
        (10, 13, 4, 4),
        (9, 12, 4, 7),
        (5, 6, 8, 9),
        (5, 6, 8, 3),
        (6, 6, 6, 6),
        (11, 11, 4, 4),
        (13, 13, 4, 4),
    ]:
        case = f"{height}x{width}_to_{crop_height}x{crop_width}"
        image = to_pil(picture("center_crop/" + case, height, width, 3))
        cropped = functional.center_crop(image, [crop_height, crop_width])
        golden.add("center_crop/" + case, to_array(cropped))


def add_resized_crop_fallback(golden):
    """[height, width] -> [top, left, height, width] where no random crop fits: scale is above 1."""
    rows = []
    for height, width in [(100, 5), (5, 100), (60, 50), (7, 333), (1, 1), (41, 30), (30, 41)]:
        box = transforms.RandomResizedCrop.get_params(
            torch.zeros(3, height, width), scale=(40.0, 40.0), ratio=(3 / 4, 4 / 3)
        )
        rows.append([height, width, *box])
    golden.add("resized_crop_fallback", rows)


def add_values(golden):
    image = picture("luma", 16, 16, 3)
    golden.add("luma", to_array(to_pil(image).convert("L")))
    image = picture("normalize", 6, 5, 3)
    normalize = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    golden.add("normalize", normalize(to_pil(image)).permute(1, 2, 0))


def png_file(width, height, depth, color, rows, interlace=0):
    """A PNG of the kinds that Pillow does not write. `rows` are the bytes behind the filter byte."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def interlaced_png(array):
    """Adam7: seven passes, each with every so many rows and columns."""
    height, width, _ = array.shape
    rows = []
    for top, left, down, right in [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]:
        part = array[top::down, left::right]
        rows += [row.tobytes() for row in part if row.size]
    return png_file(width, height, 8, 2, rows, interlace=1)


def photo_like(height, width):
    """Smooth colours with some noise, so that JPEG and WebP have something to do."""
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [128 + 100 * numpy.sin(x / 7 + c) * numpy.cos(y / (5 + c)) for c in range(3)]
    noise = values("photo", (height, width, 3)) * 20
    return numpy.clip(numpy.stack(waves, 2) + noise, 0, 255).astype(numpy.uint8)


def ramps(height, width):
    """Red grows to the right and green downwards, so that any shift shows; blue is in waves."""
    y, x = numpy.mgrid[0:height, 0:width]
    waves = 128 + 60 * numpy.sin(x / 5) * numpy.cos(y / 4)
    return numpy.stack([20 + x, 20 + y, waves], 2).astype(numpy.uint8)


def add_reduced(golden):
    """JPEG files decoded at a part of their size."""
    for name in ("420", "422", "444", "gray", "cmyk"):
        for factor in (2, 4, 8):
            image = Image.open(FILES / f"{name}.jpg")
            image.draft(None, (image.width // factor, image.height // factor))
            golden.add(f"reduced{factor}/{name}", to_array(image.convert("RGB")))


def write_files(golden):
    FILES.mkdir(exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()
    array = photo_like(48, 59)
    rgb = Image.fromarray(array)
    alpha = numpy.dstack([array, picture("alpha", 48, 59, 1)])
    indices = (array[..., 0] // 32).astype(numpy.uint8)
    palette = Image.fromarray(indices)
    palette.putpalette([value for i in range(8) for value in (i * 30, 255 - i * 20, i * i)])

    def expect(pixels, array):
        """Files with the same pixels share one tensor: the test knows which have which."""
        if pixels not in known:
            known[pixels] = array
            golden.add(pixels, array)
        elif not numpy.array_equal(known[pixels], array):
            raise ValueError(f"not the pixels of {pixels}")

    def save(name, pixels, image, **options):
        image.save(FILES / name, **options)
        upright = ImageOps.exif_transpose(Image.open(FILES / name))
        expect(pixels, to_array(upright.convert("RGB")))

    known = {}
    save("420.jpg", "420", rgb, quality=85, subsampling=2)
    save("422.jpg", "422", rgb, quality=85, subsampling=1)
    save("444.jpg", "444", rgb, quality=95, subsampling=0)
    save("progressive.jpg", "420", rgb, quality=85, progressive=True)
    save("restart.jpg", "420", rgb, quality=85, restart_marker_blocks=3)
    save("gray.jpg", "gray_jpeg", rgb.convert("L"), quality=85)
    save("cmyk.jpg", "cmyk_jpeg", rgb.convert("CMYK"), quality=85)
    save("rgb.png", "rgb", rgb)
    save("gray.png", "gray", rgb.convert("L"))
    save("bilevel.png", "bilevel", rgb.convert("1"))
    save("palette.png", "palette", palette)
    save("palette_transparent.png", "palette", palette, transparency=3)
    save("lossy.webp", "lossy_webp", rgb, quality=80)
    save("lossless.webp", "rgb", rgb, lossless=True)
    save("rgb.tif", "rgb", rgb, compression="tiff_lzw")
    save("gray.tif", "gray", rgb.convert("L"))
    save("palette.tif", "palette", palette)
    save("cmyk.tif", "rgb", rgb.convert("CMYK"))
    save("rgb.bmp", "rgb", rgb)
    save("palette.bmp", "palette", palette)
    save("bilevel.bmp", "bilevel", rgb.convert("1"))
    save("rgb.ppm", "rgb", rgb)
    save("gray.pgm", "gray", rgb.convert("L"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        name = f"orientation{orientation}"
        save(name + ".jpg", "420" if orientation == 1 else name, rgb, quality=85, exif=exif)
    exif = Image.Exif()
    exif[274] = 6
    save("orientation6.png", "rgb_orientation6", rgb, exif=exif)
    save("orientation6.webp", "rgb_orientation6", rgb, exif=exif, lossless=True)
    save("orientation6.tif", "rgb_orientation6", rgb, exif=exif)
    # For images that are decoded at a part of their size; the tests change the orientation.
    Image.fromarray(ramps(152, 200)).save(FILES / "ramps.jpg", quality=95, exif=exif)
    Image.fromarray(ramps(149, 203)).save(FILES / "ramps_odd.jpg", quality=95, exif=exif)
    add_reduced(golden)

    # Transparency is dropped. Pillow does that, too, but only where it keeps the hidden colours.
    Image.fromarray(alpha).save(FILES / "alpha.png")
    Image.fromarray(alpha).save(FILES / "alpha.webp", lossless=True, exact=True)
    Image.fromarray(alpha).save(FILES / "alpha.tif")
    Image.fromarray(alpha).save(FILES / "alpha.bmp")
    # Of 16 bits the upper 8 are kept.
    deep = (array.astype(numpy.uint16) << 8) | 0x4D
    rows = [row.astype(">u2").tobytes() for row in deep]
    (FILES / "rgb16.png").write_bytes(png_file(59, 48, 16, 2, rows))
    Image.fromarray(deep[..., 0]).save(FILES / "gray16.png")
    golden.add("red", numpy.repeat(array[..., :1], 3, 2))
    (FILES / "interlaced.png").write_bytes(interlaced_png(array))
    expect("rgb", to_array(Image.open(FILES / "interlaced.png")))
    # Two pixels a byte; the values are class ids, not shades, and stay what they are.
    packed = (indices[:, :58:2] << 4) | indices[:, 1:58:2]
    (FILES / "labels4.png").write_bytes(png_file(58, 48, 4, 0, [row.tobytes() for row in packed]))
    golden.add("labels", indices[..., None])


def main():
    golden = Golden("images.txt", "images.py")
    add_resize(golden)
    add_resize_option(golden)
    add_border(golden)
    add_center_crop(golden)
    add_resized_crop_fallback(golden)
    add_values(golden)
    golden.save()
    golden = Golden("image_files.txt", "images.py")
    write_files(golden)
    golden.save()


if __name__ == "__main__":
    main()
