"""Cuts out and narrows a large picture in strips: a photograph is never in memory twice. It decides no geometry."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

_LARGE_PIXELS = 1 << 20
_STRIP_ROWS = 256

Box = tuple[int, int, int, int]


def cut_out(picture: "Image", box: Box, width: int, resampling: "Resampling") -> "Image":
    """What lies in a box, a large one already of the given width and still of the box's height.

    Pillow resizes all rows first and then all columns, in whole numbers between: the same here, bit for bit, once the
    caller resizes to the final size with the same filter.

    Args:
        picture: any size.
        box: left, top, right and bottom in pixels.
        width: that the caller resizes to.
        resampling: the filter that the caller resizes with.
    """
    from PIL import Image

    left, top, right, bottom = box
    if (right - left) * (bottom - top) <= _LARGE_PIXELS:
        return picture.crop(box)
    narrow = Image.new(picture.mode, (width, bottom - top))
    for row in range(top, bottom, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, bottom - row)
        strip = picture.crop((left, row, right, row + rows))
        narrow.paste(strip.resize((width, rows), resampling), (0, row - top))
    return narrow
