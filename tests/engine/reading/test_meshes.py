"""Meshes in files that other programs read: written by the formats' rules, read back by hand."""

import json
import struct

import numpy as np

from mien.runtime.face3d.meshes import write_glb, write_obj

VERTICES = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.2, -0.3], [0.1, 0.2, 0.5]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [1, 3, 2]], np.int32)


def test_an_obj_has_its_vertices_and_counts_triangles_from_1(tmp_path):
    write_obj(tmp_path / "m.obj", VERTICES, TRIANGLES, note="by\nmien")
    lines = (tmp_path / "m.obj").read_text().splitlines()
    assert lines[0] == "# by mien"
    read = [[float(x) for x in line.split()[1:]] for line in lines if line.startswith("v ")]
    assert np.allclose(read, VERTICES) and lines[-2:] == ["f 1 2 3", "f 2 4 3"]


def test_a_glb_is_binary_gltf_2(tmp_path):
    normals = np.tile(np.array([[0, 0, 1]], np.float32), (4, 1))
    write_glb(tmp_path / "m.glb", VERTICES, TRIANGLES, normals=normals, note="CC BY")
    data = (tmp_path / "m.glb").read_bytes()
    assert struct.unpack("<4sII", data[:12]) == (b"glTF", 2, len(data))
    length, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON" and length % 4 == 0
    content = json.loads(data[20 : 20 + length])
    size, kind = struct.unpack("<I4s", data[20 + length : 28 + length])
    body = data[28 + length :]
    assert kind == b"BIN\0" and size == len(body) == content["buffers"][0]["byteLength"]
    primitive = content["meshes"][0]["primitives"][0]

    def accessor(index, kind, wide):
        about = content["accessors"][index]
        view = content["bufferViews"][about["bufferView"]]
        found = np.frombuffer(body[view["byteOffset"] :][: view["byteLength"]], kind).reshape(-1, wide)
        assert len(found) == about["count"]
        return found, about

    found, about = accessor(primitive["attributes"]["POSITION"], "<f4", 3)
    assert np.array_equal(found, VERTICES) and np.allclose(about["max"], VERTICES.max(0))
    assert np.array_equal(accessor(primitive["attributes"]["NORMAL"], "<f4", 3)[0], normals)
    assert np.array_equal(accessor(primitive["indices"], "<u4", 1)[0].reshape(-1, 3), TRIANGLES)
    assert content["asset"]["copyright"] == "CC BY"
