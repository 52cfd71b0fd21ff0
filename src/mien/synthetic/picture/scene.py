"""A person in a scene to pixels: the mesh, its skin, eyes and mouth, hair, body and things before the face, lit and
seen by a camera. NumPy and OpenCV only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from mien.media.raster import Raster, rasterise
from mien.synthetic.face.model import FaceModel
from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.background import Background
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.degradation import Degradation
from mien.synthetic.picture.materials import Look, surface_of
from mien.synthetic.picture.person.body import body_parts
from mien.synthetic.picture.person.hair import hair_parts
from mien.synthetic.picture.person.occluders import Occluder, occluder_parts, put_lenses
from mien.synthetic.picture.person.part import Part
from mien.synthetic.picture.shading import Light, lit, openness, shadows, vertex_normals
from mien.synthetic.picture.studio import Studio, studio_of

LABELS = ("background", "skin", "eye", "mouth", "hair", "body", "occluder")
_SLACK = 0.006  # metres by which a landmark may lie behind what is seen there


@dataclass(frozen=True, eq=False)
class Rendered:
    """A rendered picture with its truth."""

    pixels: UInt8[np.ndarray, "size size 3"]
    """RGB."""
    landmarks_px: Float[np.ndarray, "68 2"]
    """Pixel centres at whole numbers."""
    visible: Bool[np.ndarray, "68"]
    """In the picture and not behind anything."""
    labels: UInt8[np.ndarray, "size size"]
    """Indices of LABELS."""


def render(
    model: FaceModel,
    vertices: Float[np.ndarray, "vertices 3"],
    *,
    appearance: Appearance = Appearance(),  # noqa: B008 - frozen
    action_units: Mapping[str, float] | None = None,
    camera: Camera = Camera(),  # noqa: B008
    light: Light = Light(),  # noqa: B008
    background: Background = Background(),  # noqa: B008
    occluder: Occluder = Occluder(),  # noqa: B008
    degradation: Degradation = Degradation(),  # noqa: B008
    supersampling: int | None = None,
) -> Rendered:
    """One person, as `camera` sees them. action_units: weights by name (`AU12_L`), for wrinkles; the shape is already
    in `vertices` (head frame). supersampling: by default 2 up to 320 pixels, then 1.
    """
    studio = studio_of(model)
    factor = supersampling or (2 if camera.size <= 320 else 1)
    large = camera.enlarged(factor)
    scene = _Scene(studio, vertices, appearance, occluder, large)
    light_picture, cover = scene.lit(action_units or {}, light)
    linear, share = _reduced(light_picture, factor), _reduced(cover, factor)[..., None]
    linear = linear + (1 - share) * background.paint(camera.size)
    points = (camera.project(studio.landmarks(np.asarray(vertices, np.float32)))[0]).astype(np.float32)
    labels = scene.labels[factor // 2 :: factor, factor // 2 :: factor]
    pixels = degradation.apply(linear, subject=labels == LABELS.index("skin"))
    return Rendered(pixels, points, scene.visible(), np.ascontiguousarray(labels))


class _Scene:
    """All meshes in the view frame, rasterised once."""

    def __init__(
        self, studio: Studio, vertices: np.ndarray, looks: Appearance, occluder: Occluder, camera: Camera
    ) -> None:
        self.studio, self.looks, self.occluder, self.camera = studio, looks, occluder, camera
        self.head = np.asarray(vertices, np.float32)
        self.face = camera.view(self.head)
        self.normals = vertex_normals(self.face, studio.triangles)
        head_normals = self.normals @ camera.rotation  # the head frame's
        self.parts: list[Part] = [
            *body_parts(studio, self.head, looks, camera),
            *hair_parts(studio, self.head, head_normals, looks, camera),
            *occluder_parts(studio, self.head, occluder=occluder, looks=looks, camera=camera),
        ]
        counts = np.cumsum([len(self.face), *(len(part.points) for part in self.parts)])
        self.points = np.concatenate([self.face, *(part.points for part in self.parts)]).astype(np.float32)
        shifted = [part.triangles + start for part, start in zip(self.parts, counts[:-1], strict=True)]
        self.triangles = np.concatenate([studio.triangles, *shifted]).astype(np.int32)
        self.part_of = np.repeat(
            np.arange(len(self.parts) + 1), [len(studio.triangles), *(len(part.triangles) for part in self.parts)]
        )
        self.pixels, self.depth = camera.project_view(self.points)
        self.cull = np.array([True, *(part.cull for part in self.parts)])[self.part_of]
        self.raster: Raster = rasterise(
            self.pixels, self.depth, self.triangles, (camera.size, camera.size), cull=self.cull
        )
        self.depth_map = self.raster.depth_map
        self.labels = self._labels()

    def lit(self, action_units: Mapping[str, float], light: Light) -> tuple[np.ndarray, np.ndarray]:
        """Premultiplied linear RGB [size, size, 3] and cover [size, size]."""
        raster = self.raster
        places = raster.interpolate(self.points, self.triangles)
        normals = np.concatenate([self.normals, *(part.all_normals() for part in self.parts)])
        normal = raster.interpolate(normals, self.triangles)
        per_metre = self.camera.focal_px / self.camera.distance
        arriving = openness(self.depth_map, per_metre).ravel()[raster.covered]
        lamp = shadows(self.points, self.triangles, places, light)
        look = Look(self.studio, self.looks, self.camera, self.parts, action_units)
        surface = surface_of(
            look, raster, triangles=self.triangles, part_of=self.part_of, places=places, normal=normal,
            arriving=arriving, lamp=lamp,
        )  # fmt: skip
        picture = raster.picture(lit(surface, light), 0.0)
        cover = raster.picture(np.ones(len(raster.covered), np.float32), 0.0)
        return put_lenses(
            picture, cover, depth_map=self.depth_map, studio=self.studio, head=self.head, occluder=self.occluder,
            camera=self.camera, light=light,
        )  # fmt: skip

    def visible(self) -> np.ndarray:
        """bool [68]: inside the picture and the nearest thing there, within the slack."""
        landmarks = self.studio.landmarks(self.face)
        pixels, depth = self.camera.project_view(landmarks)
        size = self.camera.size
        # The farthest of a small neighbourhood: at an outline the next pixel may show the nose before the cheek.
        farthest = cv2.dilate(np.minimum(self.depth_map, 100.0).astype(np.float32), np.ones((3, 3), np.uint8))
        inside = ((pixels > -0.5) & (pixels < size - 0.5)).all(-1)
        x, y = np.clip(np.round(pixels), 0, size - 1).astype(int).T
        return inside & (depth <= farthest[y, x] + _SLACK)

    def _labels(self) -> np.ndarray:
        kinds = {"hair": 4, "body": 5, "occluder": 6}
        of_part = np.array([1, *(kinds[part.name.split()[0]] for part in self.parts)], np.uint8)
        values = of_part[self.part_of[self.raster.triangle]]
        face = self.raster.triangle < len(self.studio.triangles)
        values[face] = np.array([1, 2, 3, 3], np.uint8)[self.studio.material[self.raster.triangle[face]]]
        return self.raster.picture(values, 0)


def _reduced(picture: np.ndarray, factor: int) -> np.ndarray:
    size = picture.shape[0] // factor
    return picture if factor == 1 else cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
