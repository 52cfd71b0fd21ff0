"""Registers the systems of this folder, as a line each in the registry would."""

from mien.systems import registry

TOYS = {
    "toy": ("toy.network:Toy", "base"),
    "toy_face_voice": ("toy.face_voice:FaceVoice", "base"),
    "toy_voice": ("toy.voice:Voice", "base"),
}


def register() -> None:
    registry.SYSTEMS.update(TOYS)
