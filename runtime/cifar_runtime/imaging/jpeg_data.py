"""Sees a JPEG whose data end before its picture does, which libjpeg fills with grey and tells no one.

Only where it can be seen: in baseline files of one scan, as cameras and most programs write them. A damaged byte that
leaves as many blocks as there should be changes their content and is not seen: JPEG has no checksums.

Source: ITU-T T.81 (JPEG), annex B, for the markers.
"""

import re
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_BASELINE = (0xC0, 0xC1)
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length: TEM and restarts
# libjpeg wants a few bytes beyond the last block; these stand for them, and are two blocks at most.
_MARGIN = bytes(8)
_COMPARED = 64  # pixels of the last row
# Any marker but restarts, TEM, escaped data and fill bytes. A search in C: a photograph has thousands of these.
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]", re.DOTALL)
_MARK = bytes(37 * i * i + 11 & 0xFF for i in range(4 * _COMPARED))


class WatchedJpeg(BytesIO):
    """The bytes of a JPEG for Pillow's decoder, which notices whether the last row is there when the scan's data are.

    The decoder gets the scan's data, then a margin, then the end of the image. What it has not made of the first two
    was not there.
    """

    def __init__(self, data: bytes) -> None:
        end = _end_of_only_scan(data)
        self._end = None if end is None else end + len(_MARGIN)
        super().__init__(data if end is None else data[:end] + _MARGIN + data[end:])
        self._picture: Picture | None = None
        self._last_row = (0, 0, 0, 0)
        self._untouched = b""

    def watch(self, picture: "Picture") -> None:
        """Marks the beginning of the last row of a picture that is open and not yet decoded."""
        if self._end is None:
            return
        from PIL import Image

        picture.load_prepare()  # type: ignore[attr-defined] # an ImageFile
        width = min(picture.width, _COMPARED)
        count = width * len(picture.getbands())
        if count < 8:  # a row that a picture may have by chance
            return
        mark = Image.frombytes(picture.mode, (width, 1), _MARK[:count])
        self._last_row = (0, picture.height - 1, width, picture.height)
        picture.im.paste(mark.im, self._last_row)
        self._untouched = mark.tobytes()
        self._picture = picture

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file's, but a read ends at the scan's end.

        Raises:
            OSError: the scan's data have been read, and the last row is not there.
        """
        at, picture = self.tell(), self._picture
        if self._end is None or picture is None:
            return super().read(size)
        if at < self._end:
            rest = self._end - at
            return super().read(rest if size is None or size < 0 else min(size, rest))
        self._picture = None
        if _pixels(picture, self._last_row) == self._untouched:
            raise OSError("its data end before the picture does")
        return super().read(size)


def _pixels(picture: "Picture", box: tuple[int, int, int, int]) -> bytes:
    """The pixels in a box of a picture that is being decoded, which its ``crop`` would start from the beginning."""
    from PIL import Image

    part = Image.new(picture.mode, (box[2] - box[0], box[3] - box[1]))
    part.im.paste(picture.im.crop(box), (0, 0, *part.size))
    return part.tobytes()


def _end_of_only_scan(data: bytes) -> int | None:
    """Where the end marker stands after the one scan of a baseline file; None for any other file."""
    at, baseline = 2, False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # fill bytes
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            baseline = marker in _BASELINE
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            return _end_of_scan(data, at) if baseline else None
    return None


def _end_of_scan(data: bytes, at: int) -> int | None:
    """Where the end marker stands, if no other marker but restarts comes before it."""
    found = _MARKER.search(data, at)
    return found.start() if found is not None and data[found.start() + 1] == _END_OF_IMAGE else None
