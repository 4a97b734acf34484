"""Drawn people: who someone is (shape), how an image shows them (pose), what a camera makes of it.

An identity is its shape: build, hair, cut of the clothes, pattern, bag. The shape carries over between the modalities;
the colours exist in the visible one only, and the infrared grey levels are drawn independently of them. Lengths are
fractions of a person's height, x to the right of the middle, y from the top of the head to the ground.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from msclnet.core.types import Modality

SUPERSAMPLE = 3  # drawn this many times larger, then reduced
PATTERN_IN_INFRARED = 0.35  # how much of a pattern's contrast is left there
OCCLUDED = 0.15  # probability that something stands before the person
NOISE = 5.0  # standard deviation of the sensor's noise, in grey levels
SWING = 0.11  # largest stride
# Clothes are mostly darker than the place they are seen at, which is what makes a small network find the outline.
WORN_VALUES, PLACE_VALUES = (0.1, 0.7), (0.65, 0.95)  # HSV value, visible
WORN_GREYS, PLACE_GREYS = (0.05, 0.5), (0.5, 0.85)  # reflectance, infrared

Colour = tuple[int, int, int]
Point = tuple[float, float]
View = Literal["front", "back", "left", "right"]
PARTS = ("skin", "hair", "top", "pattern", "bottom", "shoes", "bag")


@dataclass(frozen=True)
class Shape:
    """What stays the same in every image of a person, in both modalities."""

    height: float
    build: float
    hips: float
    head: float
    hair: Literal["bald", "short", "long", "bun", "cap", "hat"]
    top: Literal["shirt", "jumper", "jacket", "coat", "dress"]
    sleeves: float  # 0 none .. 1 to the wrist
    bottom: Literal["trousers", "wide", "shorts", "skirt"]
    hem: float  # where shorts, skirts and coats end, as a height between hip and ankle, 0..1
    pattern: Literal["plain", "hoops", "stripes", "checks", "block", "yoke", "band"]
    pitch: int  # how fine the pattern is
    bag: Literal["none", "backpack", "shoulder", "handbag"]
    side: int  # on which the bag is carried, -1 or 1
    gait: float


@dataclass(frozen=True)
class Person:
    """A shape with its colours (visible) and its reflectances (infrared), each part's on its own."""

    shape: Shape
    colours: dict[str, Colour]
    reflectances: dict[str, float]  # 0..1


@dataclass(frozen=True)
class Camera:
    """A camera's view: its background, its light and its optics."""

    modality: Modality
    thermal: bool
    backdrop: Image.Image
    gain: float
    offset: float
    tint: tuple[float, float, float]
    blur: float  # pixels of the finished image
    scale: float
    greys: dict[str, float]  # what this camera adds to each part's reflectance


def person(rng: np.random.Generator) -> Person:
    """Someone drawn at random."""

    def pick(*names: str) -> Any:
        return names[rng.integers(len(names))]

    top = pick("shirt", "jumper", "jacket", "coat", "dress")
    shape = Shape(
        height=rng.uniform(0.82, 1.0),
        build=rng.uniform(0.75, 1.3),
        hips=rng.uniform(0.8, 1.25),
        head=rng.uniform(0.9, 1.12),
        hair=pick("bald", "short", "long", "bun", "cap", "hat"),
        top=top,
        sleeves=rng.uniform(0.15, 0.5) if top in ("shirt", "dress") else 1.0,
        bottom=pick("trousers", "wide", "shorts", "skirt"),
        hem=rng.uniform(0.15, 0.75),
        pattern=pick("plain", "hoops", "stripes", "checks", "block", "yoke", "band"),
        pitch=int(rng.integers(2, 5)),
        bag=pick("none", "backpack", "shoulder", "handbag"),
        side=int(rng.choice((-1, 1))),
        gait=rng.uniform(0.5, 1.0),
    )
    colours = {part: _vivid(rng) for part in PARTS}
    colours["skin"] = _mix((240, 200, 170), (90, 60, 45), rng.uniform(0, 1))
    colours["hair"] = _mix((30, 22, 18), (190, 150, 90), rng.uniform(0, 1) ** 2)
    colours["shoes"] = _mix((20, 20, 22), (200, 195, 190), rng.uniform(0, 1))
    return Person(shape, colours, {part: rng.uniform(*WORN_GREYS) for part in PARTS})


def camera(rng: np.random.Generator, place: np.random.Generator, modality: Modality, *, thermal: bool) -> Camera:
    """A camera at a place; cameras with the same ``place`` share a background."""
    visible = modality is Modality.VISIBLE
    return Camera(
        modality=modality,
        thermal=thermal,
        backdrop=_backdrop(place, modality, thermal=thermal),
        gain=rng.uniform(0.75, 1.15),
        offset=rng.uniform(-15, 20),
        tint=tuple(rng.uniform(0.88, 1.12, 3)) if visible else (1.0, 1.0, 1.0),
        blur=rng.uniform(0.3, 0.8) if visible else rng.uniform(0.5, 1.0),
        scale=rng.uniform(0.9, 1.02),
        greys={part: rng.normal(0, 0.06) for part in PARTS},
    )


def draw(
    who: Person,
    camera: Camera,
    width: int,
    height: int,
    rng: np.random.Generator,
    views: tuple[View, ...] = ("front", "back", "left", "right"),
) -> Image.Image:
    """One image of ``who`` from one of ``views``, RGB (of equal channels in the infrared), in pixels."""
    large = (width * SUPERSAMPLE, height * SUPERSAMPLE)
    canvas = _window(camera.backdrop, rng).resize(large, Image.Resampling.BILINEAR)
    paint = _paint(who, camera, rng)
    tall = large[1] * 0.9 * who.shape.height * camera.scale * rng.uniform(0.95, 1.03)
    middle = large[0] * (0.5 + rng.uniform(-0.06, 0.06))
    ground = large[1] * (0.97 + rng.uniform(-0.03, 0.02))
    _Figure(ImageDraw.Draw(canvas), who.shape, paint, tall, middle, ground).draw(rng, views[rng.integers(len(views))])
    if rng.random() < OCCLUDED:
        _occlude(ImageDraw.Draw(canvas), large, camera, rng)
    canvas = canvas.filter(ImageFilter.GaussianBlur(camera.blur * SUPERSAMPLE))
    return _expose(canvas.resize((width, height), Image.Resampling.BOX), camera, rng)


class _Figure:
    """The drawing of one person: part by part, from the back to the front."""

    turned: int  # -1 or 1 seen from the side, 0 from the front or the back
    stride: float
    hand: Point  # the one that carries

    def __init__(
        self,
        canvas: ImageDraw.ImageDraw,
        shape: Shape,
        paint: dict[str, Colour],
        tall: float,
        middle: float,
        ground: float,
    ) -> None:
        self.canvas, self.shape, self.paint = canvas, shape, paint
        self.tall, self.middle, self.ground = tall, middle, ground
        self.broad, self.hip = 0.108 * shape.build, 0.085 * shape.build * shape.hips

    def draw(self, rng: np.random.Generator, view: View) -> None:
        self.turned = {"left": -1, "right": 1}.get(view, 0)
        if self.turned:
            self.broad, self.hip = 0.62 * self.broad, 0.75 * self.hip
        phase = math.sin(rng.uniform(0, 2 * math.pi)) * self.shape.gait
        self.stride = SWING * phase if self.turned else 0.025 * phase
        swing = rng.uniform(0.6, 1.1)
        if view != "back" and self.shape.bag == "backpack":
            self._backpack(behind=True)
        self._arm(-1, swing)
        self._legs()
        self._torso()
        self._arm(1, swing)
        self._head(view)
        if view == "back" and self.shape.bag == "backpack":
            self._backpack(behind=False)
        self._carried()

    def _legs(self) -> None:
        shape, width = self.shape, 0.052 * self.shape.build
        wide = {"trousers": 1.05, "wide": 1.55, "shorts": 1.35, "skirt": 0.85}[shape.bottom]
        for side in (-1, 1):
            hip = (side * self.hip * (0.25 if self.turned else 0.5), 0.52)
            shift = side * self.stride
            knee, ankle = (hip[0] + shift * 0.6, 0.74), (hip[0] + shift * 1.2, 0.955 - abs(shift) * 0.12)
            bare = shape.bottom in ("shorts", "skirt")
            self._limb(hip, knee, width * 1.1, width * 0.85, "skin" if bare else "bottom", 1 if bare else wide)
            self._limb(knee, ankle, width * 0.8, width * 0.6, "skin" if bare else "bottom", 1 if bare else wide)
            toe = 0.04 * (self.turned or 0.25 * side)
            self._limb(ankle, (ankle[0] + toe, 0.975), 0.026, 0.022, "shoes")
            if shape.bottom == "shorts":
                reach = 0.3 + 0.5 * shape.hem
                cut = (hip[0] + (knee[0] - hip[0]) * reach, hip[1] + (knee[1] - hip[1]) * reach)
                self._limb(hip, cut, width * 1.1, width, "bottom", wide)
        if shape.bottom == "skirt":
            self._skirt("bottom", 1.25 + 0.4 * shape.hem)

    def _skirt(self, part: str, flare: float) -> None:
        end, half = 0.56 + 0.34 * self.shape.hem, self.hip * flare + abs(self.stride) * 0.6
        self._polygon([(-self.hip, 0.46), (self.hip, 0.46), (half, end), (-half, end)], part)

    def _torso(self) -> None:
        shape = self.shape
        top = {"shirt": 0.5, "jumper": 0.53, "jacket": 0.57, "coat": 0.54, "dress": 0.54}[shape.top]
        if shape.top in ("coat", "dress"):
            self._skirt("top", 1.15 if shape.top == "coat" else 1.5)
        loose = 1.12 if shape.top in ("jacket", "coat") else 1.0
        shoulder, waist = self.broad * loose, (0.5 * self.broad + 0.5 * self.hip) * loose
        self._limb((-shoulder * 0.8, 0.19), (shoulder * 0.8, 0.19), 0.03, 0.03, "top")
        corners = ((-shoulder, 0.185), (shoulder, 0.185), (waist, top), (-waist, top))
        self._polygon(list(corners), "top")
        self._pattern(corners)

    def _pattern(self, corners: tuple[Point, Point, Point, Point]) -> None:
        """Stripes and blocks as quadrilaterals of the torso, u across and v down, both 0..1."""
        pitch = self.shape.pitch
        bars = [((i + 0.25) / pitch, (i + 0.75) / pitch) for i in range(pitch)]
        across = [(0.0, 1.0, a, b) for a, b in bars]
        down = [(a, b, 0.0, 1.0) for a, b in bars]
        areas = {
            "plain": [],
            "hoops": across,
            "stripes": down,
            "checks": [(a, b, c, d) for a, b in bars for c, d in bars],
            "block": [(0.0, 1.0, 0.5, 1.0)],
            "yoke": [(0.0, 1.0, 0.0, 0.3)],
            "band": [(0.0, 1.0, 0.32, 0.32 + 0.12 * pitch / 2)],
        }[self.shape.pattern]
        (ax, ay), (bx, _), (cx, cy), (dx, _) = corners

        def at(u: float, v: float) -> Point:
            left, right = ax + (dx - ax) * v, bx + (cx - bx) * v
            return left + (right - left) * u, ay + (cy - ay) * v

        for u0, u1, v0, v1 in areas:
            self._polygon([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)], "pattern")

    def _arm(self, side: int, swing: float) -> None:
        shape, width = self.shape, 0.031 * self.shape.build
        shoulder = (side * self.broad * (0.2 if self.turned else 0.95), 0.2)
        lean = -side * self.stride * swing * 1.3 + (0 if self.turned else side * 0.035)
        elbow, hand = (shoulder[0] + lean * 0.6, 0.34), (shoulder[0] + lean * 1.3, 0.485)
        self._limb(shoulder, elbow, width, width * 0.85, "skin")
        self._limb(elbow, hand, width * 0.85, width * 0.7, "skin")
        covered = shape.sleeves * 2  # in lengths of half an arm
        loose = 1.3 if shape.top in ("jacket", "coat") else 1.15
        self._limb(shoulder, _between(shoulder, elbow, min(1.0, covered)), width, width * 0.9, "top", loose)
        if covered > 1:
            self._limb(elbow, _between(elbow, hand, min(0.92, covered - 1)), width * 0.88, width * 0.78, "top", loose)
        if side == shape.side:
            self.hand = hand

    def _head(self, view: View) -> None:
        size, centre = 0.06 * self.shape.head, (0.012 * self.turned, 0.075)
        self._limb((0, 0.12), (0, 0.17), 0.026, 0.03, "skin")
        self._ellipse(centre, size * 0.82, size, "skin")
        hair, (x, y) = self.shape.hair, centre
        if hair in ("short", "long", "bun"):
            back = view == "back"
            self._ellipse(
                (x - 0.012 * self.turned, y - 0.012), size * 0.9, size * (1.0 if back else 0.78), "hair", top=not back
            )
        if hair == "long":
            for side in (-1, 1) if not self.turned else (-self.turned,):
                self._limb((x + side * size * 0.7, y), (x + side * size * 0.8, 0.2), 0.02, 0.024, "hair")
            if view == "back":
                self._polygon([(x - size, y), (x + size, y), (x + size * 0.9, 0.23), (x - size * 0.9, 0.23)], "hair")
        if hair == "bun":
            self._ellipse((x - 0.03 * self.turned, y - size * 1.05), size * 0.42, size * 0.42, "hair")
        if hair in ("cap", "hat"):
            self._ellipse((x, y - 0.015), size * 0.95, size * 0.95, "hair", top=True)
            brim = (1.9 if hair == "hat" else 1.15) * size
            shift = 0 if hair == "hat" else 0.04 * self.turned
            self._limb((x - brim + shift, y - 0.018), (x + brim + shift, y - 0.018), 0.009, 0.009, "hair")

    def _backpack(self, *, behind: bool) -> None:
        if not behind or self.turned:
            x = -self.turned * self.broad * 1.1
            half = self.broad * (0.72 if not self.turned else 0.6)
            self._polygon([(x - half, 0.2), (x + half, 0.2), (x + half * 1.08, 0.42), (x - half * 1.08, 0.42)], "bag")
        elif behind:
            half = self.broad * 1.18
            self._polygon([(-half, 0.22), (half, 0.22), (half, 0.4), (-half, 0.4)], "bag")

    def _carried(self) -> None:
        shape, side = self.shape, self.shape.side
        if shape.bag == "backpack" and not self.turned:
            for strap in (-1, 1):
                x = strap * self.broad * 0.6
                self._limb((x, 0.185), (x * 1.05, 0.34), 0.011, 0.011, "bag")
        if shape.bag == "shoulder":
            x = side * (self.hip + 0.035)
            self._limb((-side * self.broad * 0.7, 0.185), (x, 0.46), 0.01, 0.01, "bag")
            self._polygon([(x - 0.055, 0.45), (x + 0.055, 0.45), (x + 0.06, 0.56), (x - 0.06, 0.56)], "bag")
        if shape.bag == "handbag":
            x, y = self.hand
            self._limb((x, y), (x, y + 0.06), 0.008, 0.008, "bag")
            self._polygon(
                [(x - 0.05, y + 0.05), (x + 0.05, y + 0.05), (x + 0.062, y + 0.15), (x - 0.062, y + 0.15)], "bag"
            )

    def _at(self, point: Point) -> Point:
        return self.middle + point[0] * self.tall, self.ground - (1 - point[1]) * self.tall

    def _polygon(self, points: list[Point], part: str) -> None:
        self.canvas.polygon([self._at(point) for point in points], fill=self.paint[part])

    def _ellipse(self, centre: Point, rx: float, ry: float, part: str, *, top: bool = False) -> None:
        (x, y), rx, ry = self._at(centre), rx * self.tall, ry * self.tall
        box = (x - rx, y - ry, x + rx, y + ry)
        if top:
            self.canvas.pieslice(box, 180, 360, fill=self.paint[part])
        else:
            self.canvas.ellipse(box, fill=self.paint[part])

    def _limb(self, a: Point, b: Point, ra: float, rb: float, part: str, thick: float = 1.0) -> None:
        """A tapered piece from ``a`` to ``b`` with round ends of radii ``ra`` and ``rb``."""
        ra, rb = ra * thick, rb * thick
        length = math.hypot(b[0] - a[0], b[1] - a[1]) or 1.0
        nx, ny = -(b[1] - a[1]) / length, (b[0] - a[0]) / length
        self._polygon(
            [
                (a[0] + nx * ra, a[1] + ny * ra),
                (b[0] + nx * rb, b[1] + ny * rb),
                (b[0] - nx * rb, b[1] - ny * rb),
                (a[0] - nx * ra, a[1] - ny * ra),
            ],
            part,
        )
        self._ellipse(a, ra, ra, part)
        self._ellipse(b, rb, rb, part)


def _paint(who: Person, camera: Camera, rng: np.random.Generator) -> dict[str, Colour]:
    """The colour of each part as this image shows it."""
    if camera.modality is Modality.VISIBLE:
        light = rng.uniform(0.9, 1.08)
        return {part: _colour([value * light for value in colour]) for part, colour in who.colours.items()}
    greys = {part: value + camera.greys[part] + rng.normal(0, 0.03) for part, value in who.reflectances.items()}
    greys["pattern"] = greys["top"] + PATTERN_IN_INFRARED * (who.reflectances["pattern"] - who.reflectances["top"])
    if camera.thermal:  # what is bare is warm; the rest lets some of the warmth through
        greys = {part: 0.45 + 0.35 * value for part, value in greys.items()}
        greys |= {"skin": 0.95, "hair": 0.7, "bag": 0.3 + 0.2 * who.reflectances["bag"]}
    return {part: _colour([255 * value] * 3) for part, value in greys.items()}


def _backdrop(rng: np.random.Generator, modality: Modality, *, thermal: bool) -> Image.Image:
    """Wall, ground and a few objects, larger than any image of it."""
    width, height = 160, 200
    greys = (0.08, 0.25) if thermal else PLACE_GREYS

    def shade() -> Colour:
        if modality is Modality.VISIBLE:
            return _colour(
                [255 * v for v in colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.25), rng.uniform(*PLACE_VALUES))]
            )
        return _colour([255 * rng.uniform(*greys)] * 3)

    image = Image.new("RGB", (width, height), shade())
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((0, int(height * rng.uniform(0.62, 0.8)), width, height), fill=shade())
    for _ in range(int(rng.integers(3, 8))):
        x, y = rng.uniform(0, width), rng.uniform(0, height * 0.75)
        canvas.rectangle((x, y, x + rng.uniform(6, 50), y + rng.uniform(10, 90)), fill=shade())
    return image.filter(ImageFilter.GaussianBlur(1.5))


def _window(backdrop: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part of the background, elsewhere in each image."""
    width, height = 80, 160
    x, y = int(rng.integers(backdrop.width - width + 1)), int(rng.integers(backdrop.height - height + 1))
    return backdrop.crop((x, y, x + width, y + height))


def _occlude(canvas: ImageDraw.ImageDraw, size: tuple[int, int], camera: Camera, rng: np.random.Generator) -> None:
    """A post, or something low, before the person."""
    colour = camera.backdrop.getpixel(
        (int(rng.integers(camera.backdrop.width)), int(rng.integers(camera.backdrop.height)))
    )
    width, height = size
    if rng.random() < 0.5:
        x = rng.uniform(0, width * 0.85)
        canvas.rectangle((x, 0, x + width * rng.uniform(0.08, 0.16), height), fill=colour)
    else:
        canvas.rectangle((0, height * rng.uniform(0.7, 0.85), width, height), fill=colour)


def _expose(image: Image.Image, camera: Camera, rng: np.random.Generator) -> Image.Image:
    """Light, tint and noise; one channel's noise for all three in the infrared."""
    channels = 3 if camera.modality is Modality.VISIBLE else 1
    noise = rng.integers(-1000, 1001, (image.height, image.width, channels)) * (NOISE * math.sqrt(3) / 1000)
    values = (
        np.asarray(image, np.float64) * camera.tint * (camera.gain * rng.uniform(0.93, 1.07)) + camera.offset + noise
    )
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _vivid(rng: np.random.Generator) -> Colour:
    return _colour(
        [255 * v for v in colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 1.0), rng.uniform(*WORN_VALUES))]
    )


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return _colour([x + (y - x) * share for x, y in zip(a, b, strict=True)])


def _colour(values: list[float]) -> Colour:
    red, green, blue = (min(255, max(0, round(value))) for value in values)
    return red, green, blue


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
