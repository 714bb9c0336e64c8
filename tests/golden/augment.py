"""Changes of colour and place as Pillow and torchvision have them -> augment.txt."""
from PIL import Image
from torchvision.transforms import functional

from golden import Golden
from images import FILTERS, picture, to_array, to_pil


def dim(array):
    """Bytes of 40 to 167, so that there is contrast to gain; dim_picture() of the test does it."""
    return array // 2 + 40


def solarize_add(image, addend):
    table = [min(i + addend, 255) if i < 128 else i for i in range(256)]
    return image.point(table * len(image.getbands()))


COLORS = {
    "brightness": (functional.adjust_brightness, [0, 0.37, 1, 1.9]),
    "contrast": (functional.adjust_contrast, [0, 0.37, 1, 1.9]),
    "saturation": (functional.adjust_saturation, [0, 0.37, 1, 1.9]),
    "sharpness": (functional.adjust_sharpness, [0, 0.37, 1, 1.9]),
    "hue": (functional.adjust_hue, [-0.5, -0.13, 0, 0.31, 0.5]),
    "posterize": (functional.posterize, [1, 4, 7, 8]),
    "solarize": (functional.solarize, [0, 100, 127.5, 256]),
    "solarize_add": (solarize_add, [0, 55, 110]),
}
PLAIN = {
    "gray": lambda image: functional.to_grayscale(image, len(image.getbands())),
    "invert": functional.invert,
    "auto_contrast": functional.autocontrast,
    "equalize": functional.equalize,
}


def add_colors(golden):
    for channels in (1, 3):
        name = f"color{channels}"
        image = to_pil(dim(picture(name, 24, 31, channels)))
        for operation, (function, arguments) in COLORS.items():
            for argument in arguments:
                golden.add(f"{name}/{operation}/{argument:g}", to_array(function(image, argument)))
        for operation, function in PLAIN.items():
            golden.add(f"{name}/{operation}", to_array(function(image)))
    # Colours of every kind: noise has few that are dark or pale.
    wheel = picture("hue", 64, 64, 3)
    wheel[:16] //= 16
    wheel[16:32] = 255 - wheel[16:32] // 16
    golden.add("hue", to_array(functional.adjust_hue(to_pil(wheel), 0.2)))
    for height, width in [(2, 9), (9, 2), (3, 3), (1, 1)]:
        image = to_pil(picture("thin", height, width, 3))
        sharp = functional.adjust_sharpness(image, 1.9)
        golden.add(f"thin{height}x{width}/sharpness", to_array(sharp))
        golden.add(f"thin{height}x{width}/equalize", to_array(functional.equalize(image)))
        golden.add(f"thin{height}x{width}/auto_contrast", to_array(functional.autocontrast(image)))


def add_moves(golden):
    for channels in (1, 3):
        image = to_pil(picture(f"move{channels}", 19, 26, channels))
        fill = (11, 22, 33) if channels == 3 else 11
        for name, resample in FILTERS.items():

            def move(*matrix):
                return to_array(
                    image.transform(
                        image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=fill
                    )
                )

            case = f"move{channels}/{name}"
            for factor in (-0.27, 0.99):
                golden.add(f"{case}/shear_x/{factor}", move(1, factor, 0, 0, 1, 0))
                golden.add(f"{case}/shear_y/{factor}", move(1, 0, 0, factor, 1, 0))
            for pixels in (-7, 3.4):
                golden.add(f"{case}/right/{pixels}", move(1, 0, -pixels, 0, 1, 0))
                golden.add(f"{case}/down/{pixels}", move(1, 0, 0, 0, 1, -pixels))
            for degrees in (-30, 0, 12.5, 90, 135, 180):
                turned = image.rotate(degrees, resample, fillcolor=fill)
                golden.add(f"{case}/rotate/{degrees}", to_array(turned))


def main():
    golden = Golden("augment.txt", "augment.py")
    add_colors(golden)
    add_moves(golden)
    golden.save()


if __name__ == "__main__":
    main()
