"""Small files that cost a decoder minutes or all memory, each made here. None is larger than 25 MB."""

import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
from PIL import Image

MB = 1024 * 1024


def saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


# JPEG


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (marker, whole segment) of a JPEG; a scan's segment holds its coded data too."""
    place = 2
    while place < len(data):
        marker = data[place + 1]
        if marker == 0xD9:
            return
        end = place + 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
        if marker == 0xDA:
            while not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        yield marker, data[place:end]
        place = end


def progressive_jpeg(side: int, repeats: int) -> bytes:
    """The last scan of a flat picture again and again; every one of them is a pass over all coefficients."""
    segments = list(jpeg_segments(saved(Image.new("L", (side, side), 128), "JPEG", progressive=True)))
    last = max(i for i, (marker, _) in enumerate(segments) if marker == 0xDA)
    body = b"".join(segment for _, segment in segments[: last + 1])
    return b"\xff\xd8" + body + segments[last][1] * repeats + b"\xff\xd9"


def large_progressive_jpeg() -> bytes:
    return saved(Image.new("L", (14000, 14000)), "JPEG", progressive=True)


def jpeg_bomb() -> bytes:
    """A header of 65,500 x 65,500 and nothing behind it."""
    small = bytearray(saved(Image.new("L", (16, 16)), "JPEG"))
    frame = small.index(b"\xff\xc0")
    small[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(small)


def jpeg_of_restarts() -> bytes:
    """A picture of 25 MB of restart markers."""
    small = saved(Image.new("L", (6000, 6000)), "JPEG")
    return small[:-2] + bytes(sum(((0xFF, 0xD0 + i) for i in range(8)), ())) * (24 * MB // 16)


def jpeg_with_profile_pieces() -> bytes:
    """A colour profile in 255 pieces of 64 KB, said to be more."""
    pieces = b"".join(
        b"\xff\xe2" + struct.pack(">H", 65535) + b"ICC_PROFILE\0" + bytes((i, 255)) + bytes(65519)
        for i in range(1, 256)
    )
    small = saved(Image.new("L", (16, 16)), "JPEG")
    return small[:2] + pieces + small[2:]


def jpeg_of_comments() -> bytes:
    small = saved(Image.new("L", (16, 16)), "JPEG")
    return small[:2] + b"\xff\xfe\0\2" * (6 * MB) + small[2:]


# PNG


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    width: int, height: int, *extra: bytes, colour: int = 2, depth: int = 8, pixels: bytes = b""
) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    end = png_chunk(b"IDAT", pixels or zlib.compress(b"")) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + end


def zeros(size: int) -> bytes:
    """`size` zeros in zlib's format, a thousand a byte: one block of them, repeated."""
    deflate = zlib.compressobj(9, wbits=-15)
    block = deflate.compress(bytes(MB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    rest = deflate.compress(bytes(size % MB)) + deflate.flush()
    checksum = (size % 65521) << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + block * (size // MB) + rest + struct.pack(">I", checksum)


def png_of_chunks() -> bytes:
    """Two million chunks of nothing."""
    return png(16, 16, png_chunk(b"prVt", b"") * (2 * MB))


def png_of_pixels(width: int, height: int) -> bytes:
    return png(width, height, colour=6, pixels=zeros((4 * width + 1) * height))


def png_of_text() -> bytes:
    """A thousand compressed texts of a megabyte each."""
    return png(16, 16, png_chunk(b"zTXt", b"a\0\0" + zeros(MB - 1)) * 1000)


def png_of_profile() -> bytes:
    return png(16, 16, png_chunk(b"iCCP", b"a\0\0" + zeros(2000 * MB)))


def png_of_idats() -> bytes:
    """The pixels of a picture in a million chunks of one byte."""
    pixels = zlib.compress(noise(400, 800).tobytes(), 0)
    small = png(16, 16)
    idats = b"".join(png_chunk(b"IDAT", pixels[i : i + 1]) for i in range(len(pixels)))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 800, 400, 8, 2, 0, 0, 0))
    return small[:8] + header + idats + png_chunk(b"IEND", b"")


def png_of_frames() -> bytes:
    """An animation of a hundred thousand frames."""
    animation = png_chunk(b"acTL", struct.pack(">II", 100_000, 0))
    frame = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 10, 0, 0))
    return png(16, 16, animation, frame * 100_000)


def exif_of(tags: int, size: int) -> bytes:
    """An EXIF block whose tags all point at the same `size` bytes."""
    directory = struct.pack("<H", tags)
    start = 8 + 2 + 12 * tags + 4
    for number in range(tags):
        directory += struct.pack("<HHII", 0x8000 + number, 7, size, start)
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + bytes(size)


def png_of_exif() -> bytes:
    """Six hundred tags on the same two megabytes: 1.2 GB where each is copied."""
    pixels = zlib.compress(bytes((16 * 3 + 1) * 16))
    return png(16, 16, png_chunk(b"eXIf", exif_of(600, 2 * MB)), pixels=pixels)


# TIFF


def tiff(tags: list[tuple[int, int, int, int]], rest: bytes) -> bytes:
    """A TIFF of (tag, type, count, value) and what follows its directory."""
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + rest


SMALL_TIFF = [
    (256, 4, 1, 16),
    (257, 4, 1, 16),
    (258, 3, 1, 8),
    (262, 3, 1, 1),
    (273, 4, 1, 8),
    (279, 4, 1, 256),
]


def tiff_of_tiles() -> bytes:
    """A picture of 1 x 1 pixel tiles, all at one place."""
    side, tags = 1200, 10
    count, start = side * side, 8 + 2 + 12 * tags + 4
    return tiff(
        [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
         (277, 3, 1, 1), (322, 3, 1, 1), (323, 3, 1, 1), (324, 4, count, start),
         (325, 4, count, start + 4 * count)],
        struct.pack("<I", start) * count + struct.pack("<I", 1) * count,
    )  # fmt: skip


def tiff_of_strips() -> bytes:
    """A row a strip, each of them the same compressed zeros."""
    width, height, tags = 10000, 4000, 9
    body = zeros(20 * MB)
    start = 8 + 2 + 12 * tags + 4
    table = start + len(body)
    return tiff(
        [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
         (273, 4, height, table), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, height, table + 4 * height)],
        body + struct.pack("<I", start) * height + struct.pack("<I", len(body)) * height,
    )  # fmt: skip


def tiff_of_tags() -> bytes:
    """Fifty tags on the same 24 MB: 1.2 GB where each is read."""
    tags, size = 50, 24 * MB
    start = 8 + 2 + 12 * (tags + len(SMALL_TIFF)) + 4
    return tiff(SMALL_TIFF + [(40000 + number, 7, size, start) for number in range(tags)], bytes(size))


def tiff_of_numbers() -> bytes:
    """The same with rationals, which become objects of Python."""
    start = 8 + 2 + 12 * (10 + len(SMALL_TIFF)) + 4
    return tiff(SMALL_TIFF + [(40000 + number, 5, 3 * MB, start) for number in range(10)], bytes(24 * MB))


def tiff_in_circles() -> bytes:
    """A directory that names itself as the next one."""
    data = bytearray(tiff([(256, 4, 1, 16), (257, 4, 1, 16), (262, 3, 1, 1), (273, 4, 1, 8)], bytes(300)))
    data[8 + 2 + 48 : 8 + 2 + 52] = struct.pack("<I", 8)
    return bytes(data)


def tiff_bomb() -> bytes:
    return saved(Image.new("RGB", (6300, 6300)), "TIFF", compression="tiff_lzw")


def float_tiff_bomb() -> bytes:
    """Deflated colours as doubles: Pillow does not know them, OpenCV would take a gigabyte."""
    height, width, tags = 6000, 6000, 11
    body = zeros(height * width * 24)
    start = 8 + 2 + 12 * tags + 4
    return tiff(
        [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 64), (259, 3, 1, 8), (262, 3, 1, 2),
         (273, 4, 1, start), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(body)), (284, 3, 1, 1),
         (339, 3, 1, 3)],
        body,
    )  # fmt: skip


# GIF


def gif_of_comments() -> bytes:
    """Comments of one byte each; they used to be joined one by one."""
    small = saved(Image.new("P", (16, 16)), "GIF")
    comment = b"\x21\xfe" + b"\xff" + bytes(255) + b"\0"
    return small[:-1] + comment * (24 * MB // len(comment)) + b";"


def gif_of_first_comments() -> bytes:
    """The same before the only frame."""
    small = saved(Image.new("P", (16, 16)), "GIF")
    comment = b"\x21\xfe\x01a\0"
    place = small.index(b"\x2c", 13 + 3 * 2)
    return small[:place] + comment * (24 * MB // len(comment)) + small[place:]


def gif_of_frames() -> bytes:
    frame = saved(Image.new("P", (16, 16)), "GIF")
    place = frame.index(b"\x2c", 13 + 3 * 2)
    return frame[:place] + frame[place:-1] * (20 * MB // (len(frame) - place)) + b";"


def gif_bomb() -> bytes:
    return saved(Image.new("P", (6300, 6300)), "GIF")


# The rest


def pgm(maximum: int) -> bytes:
    """A maximum that is no power of two is scaled pixel by pixel in Python."""
    return b"P5 5000 5000 %d\n" % maximum + bytes(24 * MB)


def pgm_in_words() -> bytes:
    return b"P2 6000 6000 255\n" + b"7 " * (12 * MB)


def pgm_of_comments() -> bytes:
    return b"P5\n" + b"#\n" * (12 * MB) + b"9 9 255\n" + bytes(81)


def jpeg2000(side: int) -> bytes:
    return saved(Image.new("RGB", (side, side)), "JPEG2000")


def jpeg2000_of_tiles() -> bytes:
    return saved(Image.new("L", (1600, 1600)), "JPEG2000", tile_size=(16, 16), num_resolutions=1)


def webp_bomb() -> bytes:
    return saved(Image.new("RGB", (6300, 6300)), "WEBP", method=0)


def webp_animation() -> bytes:
    frames = [Image.new("RGB", (3000, 3000), (i, 0, 0)) for i in range(3)]
    return saved(frames[0], "WEBP", method=0, save_all=True, append_images=frames[1:])


def avif_bomb() -> bytes:
    return saved(Image.new("RGB", (6300, 6300)), "AVIF", speed=10, quality=1)


def heic(side: int) -> bytes:
    return saved(Image.new("RGB", (side, side)), "HEIF", quality=1)


def bmp(runs: bytes) -> bytes:
    """40 MP, run-length coded."""
    header = struct.pack("<IiiHHIIiiII", 40, 6300, 6300, 1, 8, 1, 0, 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    place = struct.pack("<IHHI", start + len(runs) + 2, 0, 0, start)
    return b"BM" + place + header + bytes(1024) + runs + b"\0\1"


CORPUS: dict[str, Callable[[], bytes]] = {
    "JPEG: repeated scans, small": lambda: progressive_jpeg(3000, 3000),
    "JPEG: repeated scans, 40 MP": lambda: progressive_jpeg(6300, 300),
    "JPEG: progressive, 196 MP": large_progressive_jpeg,
    "JPEG: header of 4,290 MP": jpeg_bomb,
    "JPEG: restart markers": jpeg_of_restarts,
    "JPEG: profile in pieces": jpeg_with_profile_pieces,
    "JPEG: six million comments": jpeg_of_comments,
    "PNG: two million chunks": png_of_chunks,
    "PNG: 40 MP of zeros": lambda: png_of_pixels(6300, 6300),
    "PNG: 30,000 x 1,333": lambda: png_of_pixels(30000, 1333),
    "PNG: 1 GB of text": png_of_text,
    "PNG: profile of 2 GB": png_of_profile,
    "PNG: a million IDATs": png_of_idats,
    "PNG: 100,000 frames": png_of_frames,
    "PNG: 600 EXIF tags": png_of_exif,
    "TIFF: 1 x 1 tiles": tiff_of_tiles,
    "TIFF: strips of 20 MB": tiff_of_strips,
    "TIFF: fifty tags on 24 MB": tiff_of_tags,
    "TIFF: 30 million rationals": tiff_of_numbers,
    "TIFF: in circles": tiff_in_circles,
    "TIFF: 40 MP of zeros": tiff_bomb,
    "TIFF: 36 MP of doubles": float_tiff_bomb,
    "GIF: comments behind": gif_of_comments,
    "GIF: comments before": gif_of_first_comments,
    "GIF: many frames": gif_of_frames,
    "GIF: 40 MP": gif_bomb,
    "PGM: maximum of 254": lambda: pgm(254),
    "PGM: maximum of 300": lambda: pgm(300),
    "PGM: in words": pgm_in_words,
    "PGM: comments": pgm_of_comments,
    "JPEG 2000: 20 MP": lambda: jpeg2000(4500),
    "JPEG 2000: 12 MP": lambda: jpeg2000(3464),
    "JPEG 2000: 16 x 16 tiles": jpeg2000_of_tiles,
    "WebP: 6,300 x 6,300": webp_bomb,
    "WebP: animation": webp_animation,
    "AVIF: 6,300 x 6,300": avif_bomb,
    "HEIC: 9 MP": lambda: heic(3000),
    "BMP: no runs for 40 MP": lambda: bmp(b""),
    "BMP: six million jumps": lambda: bmp(b"\0\2\0\0" * (6 * MB - 1024)),
}
