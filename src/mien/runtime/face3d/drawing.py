"""A 3D face drawn grey in the crop of its photo: the same shading as nn.face3d.render, in NumPy."""

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.face3d import Face3D, FaceInCrop, pixels_of
from mien.media.raster import grey_shading, rasterise
from mien.synthetic.picture.shading import vertex_normals

_FAR = 1000.0  # added to the depth, so that weights are those of a parallel projection


def grey_levels(
    face: Face3D, vertices: Float[np.ndarray, "vertices 3"], camera: Float[np.ndarray, "3"], *, size: int
) -> Float[np.ndarray, "size size"]:
    """In 0..1, 0 where there is no face. vertices: posed, metres; the normals are those of the whole mesh."""
    placed = pixels_of(vertices, camera, size)
    shown = face.render_triangles
    raster = rasterise(placed[:, :2], placed[:, 2] + _FAR, shown, (size, size))
    normals = raster.interpolate(vertex_normals(vertices, face.triangles), shown)
    return raster.picture(grey_shading(normals).astype(np.float32), 0.0)


def draw(
    face: Face3D, found: FaceInCrop, *, vertices: Float[np.ndarray, "vertices 3"] | None = None
) -> UInt8[np.ndarray, "size size"]:
    """The grey render of a face, registered to the crop of its photo. vertices: posed, where they are known."""
    posed = found.vertices(face) if vertices is None else vertices
    levels = grey_levels(face, posed, found.camera, size=found.crop.size)
    return np.round(255 * levels).astype(np.uint8)
