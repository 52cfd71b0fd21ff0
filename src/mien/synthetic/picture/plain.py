"""The grey render of a person: their shape, expression and pose alone, as SMIRK draws a face in 3D.

No skin, hair, eyes or background: what a perfect reconstruction in 3D would give of the photograph beside it, in the
same frame.
"""

import numpy as np
from jaxtyping import Float, UInt8

from mien.media.raster import grey_shading, rasterise
from mien.synthetic.face.model import FaceModel
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.shading import vertex_normals
from mien.synthetic.picture.studio import SKIN, studio_of

_HIDDEN = ("scalp", "ears", "neck")


def grey_render(
    model: FaceModel, vertices: Float[np.ndarray, "vertices 3"], camera: Camera
) -> UInt8[np.ndarray, "size size"]:
    """Grey levels of the face's skin, 0 elsewhere. vertices: head frame."""
    studio = studio_of(model)
    face = camera.view(vertices)
    hidden = np.zeros(len(face), bool)
    for region in _HIDDEN:
        if region in model.regions:
            hidden[model.regions[region]] = True
    shown = studio.triangles[(studio.material == SKIN) & ~hidden[studio.triangles].any(1)]
    pixels, depth = camera.project_view(face)
    raster = rasterise(pixels, depth, shown, (camera.size, camera.size), cull=True)
    normals = raster.interpolate(vertex_normals(face, studio.triangles), shown)
    grey = np.round(255 * grey_shading(normals)).astype(np.uint8)
    return raster.picture(grey, 0)
