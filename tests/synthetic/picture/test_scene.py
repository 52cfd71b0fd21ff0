"""Pictures of synthetic people: what must be true of them whatever they look like."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.synthetic.face.build import face_model
from mien.synthetic.picture.appearance import BEARDS, HAIR_STYLES, Appearance
from mien.synthetic.picture.background import BACKGROUNDS, Background
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.degradation import Degradation
from mien.synthetic.picture.person.occluders import OCCLUDERS, Occluder
from mien.synthetic.picture.scene import LABELS, Rendered, render
from mien.synthetic.picture.shading import Light

_SMALL = Camera(size=64, face_side=50)
_SKIN, _HAIR, _OCCLUDER = (LABELS.index(name) for name in ("skin", "hair", "occluder"))


def _neutral() -> np.ndarray:
    return face_model().vertices()[0]


def _drawn(**choices: object) -> Rendered:
    return render(face_model(), _neutral(), **{"camera": _SMALL, **choices})  # type: ignore[arg-type]


def _skin_light(picture: Rendered) -> float:
    return float(picture.pixels[picture.labels == _SKIN].mean())


@pytest.mark.parametrize("size", [33, 64, 130, 330])
def test_sizes_and_types(size: int) -> None:
    picture = _drawn(camera=Camera(size=size, face_side=0.7 * size))
    assert picture.pixels.shape == (size, size, 3) and picture.pixels.dtype == np.uint8
    assert picture.labels.shape == (size, size) and set(np.unique(picture.labels)) <= set(range(len(LABELS)))
    assert picture.landmarks_px.shape == (68, 2) and picture.visible.shape == (68,)


def test_the_same_choices_give_the_same_bytes_and_seeds_matter() -> None:
    def one(seed: int) -> Rendered:
        rng = np.random.Generator(np.random.PCG64([seed, 1]))
        return _drawn(
            appearance=Appearance.sample(rng), light=Light.sample(rng), background=Background.sample(rng),
            occluder=Occluder.sample(rng), degradation=Degradation.sample(rng),
        )  # fmt: skip

    np.testing.assert_array_equal(one(3).pixels, one(3).pixels)
    assert (one(3).pixels != one(4).pixels).any()


def test_landmarks_are_the_projected_points_of_the_mesh() -> None:
    camera = Camera(size=96, yaw_rad=0.4, pitch_rad=0.1)
    picture = _drawn(camera=camera)
    points = face_model().landmarks(_neutral()[None])[0]
    np.testing.assert_allclose(picture.landmarks_px, camera.project(points)[0], atol=1e-3)


def test_lighter_skin_is_lighter_in_the_picture() -> None:
    tones = np.linspace(-60, 63, 7)
    shown = [_skin_light(_drawn(appearance=Appearance(ita_deg=float(t), hair_style="bald"))) for t in tones]
    assert np.all(np.diff(shown) > 0)
    assert shown[-1] > 2 * shown[0]


def test_a_turned_head_hides_its_far_jaw_and_eye() -> None:
    assert _drawn(appearance=Appearance(hair_style="bald")).visible[17:].all()
    for yaw, far, near in ((1.0, range(11, 15), range(2, 6)), (-1.0, range(2, 6), range(11, 15))):
        picture = _drawn(
            camera=replace(_SMALL, size=128, face_side=90, yaw_rad=yaw), appearance=Appearance(hair_style="bald")
        )
        assert not picture.visible[list(far)].any() and picture.visible[list(near)].all()


def test_points_outside_the_picture_are_not_visible() -> None:
    picture = _drawn(camera=replace(_SMALL, centre=(0.5, 0.0)))
    outside = (picture.landmarks_px > 63.5).any(-1)
    assert outside.any() and not picture.visible[outside].any()


def test_masks_and_hands_hide_what_lies_behind_them() -> None:
    mask = _drawn(occluder=Occluder(kind="mask"))
    assert not mask.visible[48:68].any() and mask.visible[36:48].all()
    hand = _drawn(occluder=Occluder(kind="hand", place=57))
    assert (hand.labels == _OCCLUDER).any() and hand.visible[48:60].sum() < 12


def test_clear_glasses_hide_no_eye_and_dark_ones_darken() -> None:
    clear, dark = (_drawn(occluder=Occluder(glasses=True, tint=t, reflection=0.0)) for t in (0.0, 0.95))
    assert clear.visible[36:48].mean() > 0.8
    x, y = np.round(clear.landmarks_px[36:42].mean(0)).astype(int)
    assert dark.pixels[y, x].mean() < 0.6 * clear.pixels[y, x].mean()


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_every_hair_style_leaves_eyes_and_mouth_free_from_the_front(style: str) -> None:
    picture = _drawn(appearance=Appearance(hair_style=style, seed=3), camera=replace(_SMALL, face_side=40))
    assert (picture.labels == _HAIR).any() == (style != "bald")
    assert picture.visible[36:48].all() and picture.visible[48:68].mean() > 0.9


def test_background_never_shows_through_the_head() -> None:
    """Magenta behind a wide open mouth: no pixel within the lips may be of it."""
    model = face_model()
    vertices = model.vertices(None, model.weights({"AU26": 1.0, "AU27": 1.0}))[0]
    magenta = Background("plain", (255, 0, 255))
    for yaw in (-0.6, 0.0, 0.6):
        camera = Camera(size=128, face_side=80, yaw_rad=yaw)
        picture = render(model, vertices, camera=camera, background=magenta, appearance=Appearance(hair_style="bald"))
        mouth = np.zeros((128, 128), np.uint8)
        cv2.fillPoly(mouth, [np.round(picture.landmarks_px[48:60]).astype(np.int32)], 1)
        red, green, blue = picture.pixels[cv2.erode(mouth, np.ones((3, 3), np.uint8)) > 0].T.astype(int)
        assert len(red) > 50 and not ((red > 200) & (green < 60) & (blue > 200)).any()


def test_a_side_lamp_lights_its_side() -> None:
    lamp = Light(direction=(0.94, 0.1, 0.33), fill_colour=(0.0, 0.0, 0.0))
    pixels = _drawn(light=lamp, appearance=Appearance(hair_style="bald"), camera=Camera(size=64, face_side=60)).pixels
    assert pixels[24:40, 36:46].mean() > 1.3 * pixels[24:40, 18:28].mean()


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds_are_pictures_of_light(kind: str) -> None:
    picture = Background(kind, (200, 100, 50), (20, 40, 60), seed=2).paint(48)
    assert picture.shape == (48, 48, 3) and picture.min() >= 0 and picture.max() <= 1


def test_no_degradation_changes_nothing_but_the_encoding() -> None:
    grey = np.full((8, 8, 3), 0.2140, np.float32)  # linear light of sRGB 0.5
    assert set(np.unique(Degradation().apply(grey))) <= {127, 128}


def test_grey_is_grey_noise_is_seeded_and_jpeg_keeps_the_size() -> None:
    picture = np.random.default_rng(0).random((32, 32, 3), np.float32)
    grey = Degradation(grey=True).apply(picture)
    assert (grey == grey[..., :1]).all()
    noisy = [Degradation(noise=0.05, seed=s).apply(picture) for s in (1, 1, 2)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert (noisy[0] != noisy[2]).any()
    assert Degradation(jpeg=20, blur=2.0, motion=5.0, resolution=0.4).apply(picture).shape == (32, 32, 3)


def test_metering_brings_dark_pictures_to_the_middle() -> None:
    dark = np.full((16, 16, 3), 0.1, np.float32)
    assert Degradation(metered=1.0).apply(dark).mean() == pytest.approx(255 * 0.5838, abs=1)  # sRGB of 0.3


def test_what_is_sampled_is_what_the_options_know() -> None:
    rng = np.random.default_rng(0)
    people = [Appearance.sample(rng) for _ in range(300)]
    assert {p.hair_style for p in people} == set(HAIR_STYLES)
    assert {p.beard for p in people} == set(BEARDS)
    tones = np.array([p.ita_deg for p in people])
    assert tones.min() < -50 and tones.max() > 50
    assert {Occluder.sample(rng).kind for _ in range(600)} == set(OCCLUDERS)


@pytest.mark.slow
def test_a_detector_finds_synthetic_faces() -> None:
    from mien.media.detect import create_detector

    detector, model, found = create_detector("dlib"), face_model(), 0
    for index in range(30):
        rng = np.random.Generator(np.random.PCG64([index, 77]))
        yaw = float(rng.uniform(-math.radians(30), math.radians(30)))
        camera = replace(Camera.sample(rng, size=160), yaw_rad=yaw, face_side=105.0, pitch_rad=0.0)
        vertices = model.vertices(rng.normal(size=(1, len(model.identity))).astype(np.float32))[0]
        picture = render(
            model, vertices, camera=camera, appearance=Appearance.sample(rng), light=Light.sample(rng),
            background=Background.sample(rng), degradation=Degradation(metered=0.6),
        )  # fmt: skip
        found += bool(detector(picture.pixels))
    assert found >= 28


def test_contrast_turns_about_the_subject_so_that_dark_faces_do_not_drown() -> None:
    picture = np.full((16, 16, 3), 0.8, np.float32)
    face = np.zeros((16, 16), bool)
    face[4:12, 4:12] = True
    picture[face] = 0.04
    steep, plain = (Degradation(contrast=c).apply(picture, subject=face)[face].mean() for c in (1.8, 1.0))
    assert steep == pytest.approx(plain, abs=1)
    assert np.isfinite(Degradation(contrast=1.8).apply(picture, subject=np.zeros_like(face))).all()
