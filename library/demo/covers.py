from __future__ import annotations

from io import BytesIO
from random import Random
from textwrap import wrap

from django.core.files.base import ContentFile
from PIL import Image, ImageDraw, ImageFont

from library.demo.progress import Progress
from library.demo.shelves import planned_books
from library.models import Book

SIZE = WIDTH, HEIGHT = 320, 480
ART_HEIGHT = 292
DRAWN = 2  # times as large, then reduced: Pillow draws edges without smoothing
# Ground, shape, second shape, letters.
PALETTES = (
    ("#12355b", "#d7263d", "#f4d35e", "#ffffff"),
    ("#2a4d3e", "#e8b04b", "#c8553d", "#fdf6e3"),
    ("#f2e2c4", "#b5542f", "#2e4756", "#2a2118"),
    ("#3d2645", "#f0a6ca", "#832161", "#fdf1f7"),
    ("#e9efe7", "#4f772d", "#90a955", "#132a13"),
    ("#0f2027", "#2c7da0", "#a9d6e5", "#f1faee"),
    ("#5f0f40", "#fb8b24", "#9a031e", "#fff3e0"),
    ("#f6f1eb", "#6d597a", "#e56b6f", "#262036"),
)


def add_covers(number: int, progress: Progress) -> None:
    """Draws covers for the first `number` demo books, leaving alone those that have one."""
    wanted = [plan.slug for plan in planned_books(number)]
    missing = list(Book.objects.filter(slug__in=wanted, cover=""))
    done = number - len(missing)
    for book in missing:
        name = f"demo-{book.slug}.webp"
        book.cover.save(name, ContentFile(draw_cover(book.title, book.author)), save=False)
        Book.objects.filter(pk=book.pk).update(cover=book.cover.name)
        done += 1
        progress.show("covers", done, number)
    if not missing:
        progress.show("covers", number, number)


def draw_cover(title: str, author: str) -> bytes:
    """A WebP image; the same title and author give the same one."""
    random = Random(f"{title}|{author}")
    ground, first, second, letters = random.choice(PALETTES)
    large = Image.new("RGB", (WIDTH * DRAWN, ART_HEIGHT * DRAWN), ground)
    random.choice((_suns, _bands, _hills, _leaves))(Brush(large), random, first, second)
    image = Image.new("RGB", SIZE, ground)
    image.paste(large.reduce(DRAWN))
    draw = ImageDraw.Draw(image)
    draw.rectangle((28, 310, 92, 313), fill=first)
    _write(draw, title, author, letters)
    out = BytesIO()
    image.save(out, "WEBP", quality=82)
    return out.getvalue()


def _write(draw: ImageDraw.ImageDraw, title: str, author: str, colour: str) -> None:
    lines = wrap(title, width=16)
    size = 34 if len(lines) < 3 else 26
    font = ImageFont.load_default(size)
    for number, line in enumerate(lines[:4]):
        draw.text((28, 326 + number * (size + 4)), line, font=font, fill=colour)
    draw.text((28, HEIGHT - 42), author, font=ImageFont.load_default(19), fill=colour)


class Brush:
    """Draws on the large picture in the small one's coordinates."""

    def __init__(self, image: Image.Image) -> None:
        self.draw = ImageDraw.Draw(image)

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        self.slice(x, y, radius, 0, 360, colour)

    def slice(self, x: float, y: float, radius: float, start: int, end: int, colour: str) -> None:
        box = (x - radius, y - radius, x + radius, y + radius)
        self.draw.pieslice([at * DRAWN for at in box], start, end, fill=colour)

    def polygon(self, *corners: tuple[float, float], colour: str) -> None:
        self.draw.polygon([(x * DRAWN, y * DRAWN) for x, y in corners], fill=colour)


def _suns(brush: Brush, random: Random, first: str, second: str) -> None:
    x, y = random.randint(90, 230), random.randint(110, 180)
    for radius, colour in ((150, second), (105, first), (60, second)):
        brush.disc(x, y, radius, colour)


def _bands(brush: Brush, random: Random, first: str, second: str) -> None:
    tilt, step = random.randint(-120, 120), random.randint(34, 60)
    for number, x in enumerate(range(-160, WIDTH + 160, step)):
        half = x + step // 2
        corners = ((x, 0), (half, 0), (half + tilt, ART_HEIGHT), (x + tilt, ART_HEIGHT))
        brush.polygon(*corners, colour=first if number % 3 else second)


def _hills(brush: Brush, random: Random, first: str, second: str) -> None:
    brush.disc(random.randint(60, 260), 75, 38, second)
    for top, colour in ((140, first), (185, second), (235, first)):
        brush.disc(random.randint(40, 280), top + 260, 260, colour)


def _leaves(brush: Brush, random: Random, first: str, second: str) -> None:
    cell = ART_HEIGHT // 4
    for number in range(20):
        x, y = number % 5 * cell + cell / 2, number // 5 * cell + cell / 2
        start = random.choice((0, 90, 180, 270))
        if random.random() < 0.8:
            brush.slice(x, y, cell / 2, start, start + 180, first if random.random() < 0.5 else second)
