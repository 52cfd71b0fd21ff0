"""Runs of `mien analyze` that are stopped, resumed and given files that nobody should have: no row lost or doubled."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import analyzed
import numpy as np
import pytest
from analyzed import rows
from PIL import Image
from tiny_bundle import write_tiny_bundle

from mien.core.errors import MienError
from mien.engine.reading import drawings
from mien.engine.reading import run as module
from mien.media.tables import TableWriter
from mien.runtime.tracking.state import State

run = partial(analyzed.run, overlay=False)


@pytest.fixture(scope="module")
def given_photos(tmp_path_factory: pytest.TempPathFactory, portrait: np.ndarray) -> Path:
    """Twelve pictures, the fourth with two faces, the fifth with none, the sixth broken. Nothing may change them."""
    folder = tmp_path_factory.mktemp("given") / "photos"
    folder.mkdir()
    Image.fromarray(portrait).save(folder / "00.png")
    for number in range(1, 12):
        shutil.copy(folder / "00.png", folder / f"{number:02d}.png")
    Image.fromarray(np.concatenate([portrait, portrait], axis=1)).save(folder / "03.png")
    Image.fromarray(np.full_like(portrait, 90)).save(folder / "04.png")
    (folder / "05.png").write_text("no picture")
    return folder


@pytest.fixture
def photos(given_photos: Path, tmp_path: Path) -> Path:
    """The same in the test's own folder."""
    return shutil.copytree(given_photos, tmp_path / "photos")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, portrait: np.ndarray) -> Path:
    """Twenty frames."""
    from mien.media.video import write_video

    pytest.importorskip("av")
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    frames = np.repeat(portrait[None], 20, 0)
    frames[:, :20] = np.random.default_rng(0).integers(0, 255, frames[:, :20].shape)  # so that no packet is empty
    write_video(path, frames, rate_hz=10)
    return path


@pytest.fixture(scope="module")
def whole(given_photos: Path, bundle: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that nobody stopped."""
    output = tmp_path_factory.mktemp("whole") / "photos"
    run(given_photos, output=output, bundle=bundle)
    return output


@pytest.fixture(scope="module")
def whole_video(given_photos: Path, video: Path, bundle: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "video"
    run(given_photos / "00.png", video, output=output, bundle=bundle)
    return output


def parquet(output: Path, column: str) -> list:
    from arro3.io import read_parquet

    return read_parquet(str(output / "readings.parquet")).read_all().column(column).to_pylist()


class Stop(Exception):  # noqa: N818
    """In place of a kill."""


def stop_after(pictures: int, monkeypatch: pytest.MonkeyPatch, *, whole: bool = True) -> None:
    """Ends the process's work at that picture as a kill would: nothing is closed or saved."""
    append, count = TableWriter.append, [0]

    def counted(self: TableWriter, table_rows: list) -> None:
        table_rows = list(table_rows)
        count[0] += 1
        if count[0] == pictures:
            append(self, table_rows[: 1 if not whole else None])
            raise Stop
        append(self, table_rows)
        self.save()

    monkeypatch.setattr(TableWriter, "append", counted)
    monkeypatch.setattr(TableWriter, "close", lambda *_: None)


@pytest.mark.parametrize("at", [1, 4, 5, 6, 12])
def test_a_killed_run_goes_on_where_it_was(  # noqa: PLR0917
    given_photos: Path, whole: Path, tmp_path: Path, bundle: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, output = given_photos, tmp_path / "out"
    with monkeypatch.context() as patched, pytest.raises(Stop):
        stop_after(at, patched, whole=False)
        run(photos, output=output, bundle=bundle)
    summary = run(photos, output=output, bundle=bundle, resume=True)
    assert (output / "readings.csv").read_bytes() == (whole / "readings.csv").read_bytes()
    assert parquet(output, "source") == [row["source"] for row in rows(whole)]
    assert parquet(output, "prob_anger") == parquet(whole, "prob_anger")
    before, after = (json.loads((folder / "readings.json").read_text()) for folder in (whole, output))
    assert after == before and after["rows"] == len(rows(whole)) == 13 and after["state"] == "complete"
    assert re.search(rf"\b{12 - (at - 1)} pictures? in", summary) and "1 file could not be read" in summary


def test_a_complete_run_accepts_new_pictures(photos: Path, tmp_path: Path, bundle: str) -> None:
    run(photos, output=tmp_path / "out", bundle=bundle, limit=5)
    summary = run(photos, output=tmp_path / "out", bundle=bundle, resume=True)
    names = [Path(row["source"]).name for row in rows(tmp_path / "out")]
    assert names == sorted(names) and len(set(names)) == 12 and len(names) == 13
    assert "5 read before" in summary
    again = run(photos, output=tmp_path / "out", bundle=bundle, resume=True)
    assert len(rows(tmp_path / "out")) == 13 and "0 pictures in" in again


@pytest.fixture(scope="module", params=[5, 48])
def sheets(
    request: pytest.FixtureRequest, given_photos: Path, tmp_path_factory: pytest.TempPathFactory, bundle: str
) -> tuple[int, dict[str, np.ndarray]]:
    """So many pictures on a sheet, and the sheets of an uninterrupted run of twelve."""
    output = tmp_path_factory.mktemp("sheets")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawings, "PAGE", request.param)
        run(given_photos, output=output, bundle=bundle, overlay=True)
    return request.param, sheets_of(output)


def sheets_of(output: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)).astype(np.int16) for path in output.glob("contact_sheet*.jpg")}


@pytest.mark.parametrize("at", [1, 6, 8, 12])
def test_the_contact_sheets_of_a_resumed_run_show_every_picture(  # noqa: PLR0917
    given_photos: Path, sheets: tuple[int, dict[str, np.ndarray]], tmp_path: Path, bundle: str, at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    page, whole = sheets
    assert set(whole) == ({"contact_sheet.jpg"} if page == 48 else {f"contact_sheet_00{n}.jpg" for n in (1, 2, 3)})
    monkeypatch.setattr(drawings, "PAGE", page)
    with monkeypatch.context() as patched, pytest.raises(Stop):
        stop_after(at, patched, whole=False)
        run(given_photos, output=tmp_path / "out", bundle=bundle, overlay=True)
    run(given_photos, output=tmp_path / "out", bundle=bundle, overlay=True, resume=True)
    found = sheets_of(tmp_path / "out")
    assert set(found) == set(whole)
    for name, sheet in whole.items():  # thumbnails of overlays are not the thumbnails of pictures, bit for bit
        assert sheet.shape == found[name].shape and np.abs(sheet - found[name]).mean() < 3


def test_a_kill_between_the_last_row_and_the_contact_sheet_loses_no_sheet(
    given_photos: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = drawings.write_jpeg

    def stop(picture: np.ndarray, path: Path) -> None:
        """The sheet is listed and not there."""
        if path.name.startswith("contact_sheet"):
            raise Stop
        write(picture, path)

    with monkeypatch.context() as patched:
        patched.setattr(drawings, "write_jpeg", stop)
        for resume in (False, True):
            with pytest.raises(Stop):
                run(given_photos, output=tmp_path, bundle=bundle, overlay=True, resume=resume, limit=4)
            assert len(rows(tmp_path)) == 5 and sheets_of(tmp_path) == {}
    run(given_photos, output=tmp_path, bundle=bundle, overlay=True, resume=True, limit=4)
    assert set(sheets_of(tmp_path)) == {"contact_sheet.jpg"}


def test_more_pictures_than_a_sheet_holds_leave_no_sheet_of_fewer(
    given_photos: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawings, "PAGE", 5)
    for limit, names in (
        (3, {"contact_sheet.jpg"}),
        (12, {f"contact_sheet_00{number}.jpg" for number in (1, 2, 3)}),
    ):
        run(given_photos, output=tmp_path / "out", bundle=bundle, overlay=True, resume=True, limit=limit)
        assert set(sheets_of(tmp_path / "out")) == names


@pytest.mark.parametrize("at", [1, 7, 20])
def test_a_half_read_video_goes_on_at_its_frame(  # noqa: PLR0917
    given_photos: Path, video: Path, whole_video: Path, tmp_path: Path, bundle: str, at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    photos = given_photos
    with monkeypatch.context() as patched, pytest.raises(Stop):
        stop_after(at + 1, patched)
        run(photos / "00.png", video, output=tmp_path / "out", bundle=bundle)
    # A picture that came meanwhile: the video is not taken for a whole one because another row follows.
    run(photos / "00.png", photos / "01.png", video, output=tmp_path / "out", bundle=bundle, resume=True)
    found = rows(tmp_path / "out")
    frames = [row for row in found if row["source"].endswith(".mp4")]
    assert [int(row["frame"]) for row in frames] == list(range(20))
    assert frames == [row for row in rows(whole_video) if row["source"].endswith(".mp4")]
    assert len(found) == 22 and parquet(tmp_path / "out", "frame") == [int(row["frame"]) for row in found]


FOLLOWED = {"landmarks": "yes", "smooth": True, "overlay": True}


@pytest.mark.parametrize("options", [FOLLOWED, {}], ids=["followed", "detected"])
def test_a_half_read_video_goes_on_behind_its_saved_state(  # noqa: PLR0917
    video: Path, tmp_path: Path, bundle: str, dots: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**options, "landmark_bundle": dots} if options else options
    run(video, output=tmp_path / "whole", bundle=bundle, **options)
    monkeypatch.setattr("mien.engine.reading.run.SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as patched, pytest.raises(Stop):
        stop_after(9, patched)
        run(video, output=tmp_path / "out", bundle=bundle, **options)
    assert len(rows(tmp_path / "out")) == 9
    summary = run(video, output=tmp_path / "out", bundle=bundle, resume=True, **options)
    assert "video.mp4: read on from frame 8, behind the last saved state; an earlier run had ended at" in summary
    assert "8 read before" in summary
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    for column in ("frame", "prob_anger", "track_id"):
        assert parquet(tmp_path / "out", column) == parquet(tmp_path / "whole", column)


@pytest.mark.parametrize("fault", ["none", "damaged", "cut off", "other settings", "other video", "rows lost"])
def test_a_state_that_does_not_fit_is_named_and_the_video_read_anew(
    video: Path, tmp_path: Path, bundle: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.engine.reading.run.SAVE_EVERY_S", 0.0)
    output = tmp_path / "out"
    with monkeypatch.context() as patched, pytest.raises(Stop):
        stop_after(5, patched)
        run(video, output=output, bundle=bundle)
    path = output / "readings.state.npz"
    data = path.read_bytes()
    if fault == "none":
        path.unlink()
    elif fault == "rows lost":
        lines = (output / "readings.csv").read_bytes().splitlines(keepends=True)
        (output / "readings.csv").write_bytes(b"".join(lines[:3]))
    elif fault == "other video":
        with video.open("ab") as file:
            file.write(bytes(8))
    elif fault == "other settings":
        monkeypatch.setattr("mien.engine.reading.video_state.State.read", lambda _: of_other_settings(path))
    else:
        path.write_bytes(b"PK" + data[2:200] if fault == "cut off" else data[:300] + b"x" * 40 + data[340:])
    summary = run(video, output=output, bundle=bundle, resume=True)
    reason = {
        "none": "no state of it was saved", "other settings": "is of other settings", "rows lost": "lacks the rows",
        "other video": "of the video as it was before it changed",
    }.get(fault, "no state that can be gone on with")  # fmt: skip
    assert re.search(rf"video.mp4: read again from its start, since .*{reason}", summary)
    assert [int(row["frame"]) for row in rows(output)] == list(range(20))


def of_other_settings(path: Path) -> State:
    with np.load(path) as file:
        stored = json.loads(bytes(file["values"]))["values"]
    stored["run"]["settings"] = "0" * 64
    return State(stored, {})


def contents(output: Path) -> dict[str, bytes]:
    """Every file but the Parquet, whose row groups follow the saves, and the description with its own times."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and path.suffix not in (".parquet",) and path.name != "files.jsonl"
    }


def test_a_run_with_other_options_is_not_resumed(photos: Path, tmp_path: Path, bundle: str, dots: str) -> None:
    output = tmp_path / "out"
    run(photos, output=output, bundle=bundle, limit=2)
    before = (output / "readings.csv").read_bytes()
    for options, reason in (
        ({"every": 2}, "every 1, this run has 2"),
        ({"min_face": 50.0}, "min_face None, this run has 50.0"),
        ({"landmarks": "yes", "landmark_bundle": dots}, "was read with points"),
        ({"bundle": str(write_tiny_bundle(tmp_path / "other", seed=1))}, "was read with model"),
    ):
        with pytest.raises(MienError, match=reason):
            run(photos, output=output, resume=True, **{"bundle": bundle} | options)
    Image.new("RGB", (64, 64)).save(tmp_path / "elsewhere.png")
    with pytest.raises(MienError, match="holds none of these files"):
        run(tmp_path / "elsewhere.png", output=output, bundle=bundle, resume=True)
    assert (output / "readings.csv").read_bytes() == before


def test_overwriting_leaves_nothing_of_the_earlier_run(photos: Path, tmp_path: Path, bundle: str) -> None:
    output = tmp_path / "out"
    run(photos, output=output, bundle=bundle, overlay=True)
    with pytest.raises(MienError, match="--resume to go on with them or --overwrite"):
        run(photos / "07.png", output=output, bundle=bundle, overlay=True)
    run(photos / "07.png", output=output, bundle=bundle, overlay=True, overwrite=True)
    assert [path.name for path in (output / "overlays").iterdir()] == ["07.jpg"] and len(rows(output)) == 1
    assert not (output / "contact_sheet.jpg").exists()


def test_memory_does_not_grow_with_the_rows(photos: Path, tmp_path: Path, bundle: str) -> None:
    """Of a video of nine frames a hundred times: what stays of a row is nothing."""
    import gc
    import tracemalloc

    def peak(count: int) -> int:
        files = [photos / f"{number:02d}.png" for number in (0, 4)]
        links = []
        for number in range(count):
            (tmp_path / f"l{count}").mkdir(exist_ok=True)
            links.append(tmp_path / f"l{count}" / f"{number:04d}.png")
            links[-1].write_bytes(files[number % 2].read_bytes())
        gc.collect()
        tracemalloc.start()
        run(tmp_path / f"l{count}", output=tmp_path / f"o{count}", bundle=bundle)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    run(photos / "00.png", output=tmp_path / "first", bundle=bundle)  # what is imported and loaded once
    assert peak(80) < 1.1 * peak(20) + 80 * 2_000  # a name of each file, at most


@pytest.fixture
def process(photos: Path, tmp_path: Path, bundle: str):
    """`mien analyze` of many pictures, which has read the first ones."""
    command = [
        sys.executable,
        "-m",
        "mien",
        "analyze",
        str(photos),
        "--output",
        str(tmp_path / "out"),
        "--bundle",
        bundle,
    ]
    command += ["--backend", "onnxruntime", "--threads", "1", "--landmarks", "no", "--no-overlay"]
    for number in range(120):
        (photos / f"z{number:03d}.png").write_bytes((photos / "00.png").read_bytes())
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job would hand down that it is ignored
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    table = tmp_path / "out" / "readings.csv"
    for _ in range(3000):  # on a busy machine
        if table.exists() and table.read_bytes().count(b"\n") > 16:
            break
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    yield running
    running.kill()
    running.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_a_run_in_one_line_with_its_tables(process, tmp_path: Path, number: int, code: int) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the signal is ignored here, as in a shell's background job or under nohup")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code and out == "" and err.strip().count("\n") == 0 and err.startswith("mien: ")
    assert json.loads((tmp_path / "out" / "readings.json").read_text())["state"] == "interrupted"
    found = rows(tmp_path / "out")
    assert 16 <= len(found) < 133 and parquet(tmp_path / "out", "source") == [row["source"] for row in found]


def test_after_a_real_kill_every_whole_row_is_there_and_none_twice(
    process, photos: Path, tmp_path: Path, bundle
) -> None:
    process.kill()
    process.wait()
    with (tmp_path / "out" / "readings.csv").open(encoding="utf-8") as file:
        assert sum(line.endswith("\n") for line in file) > 16
    run(photos, output=tmp_path / "out", bundle=bundle, resume=True)
    names = [row["source"] for row in rows(tmp_path / "out")]
    assert len(names) == 133 and len(set(names)) == 132 and parquet(tmp_path / "out", "source") == names


def test_a_second_run_into_the_folder_is_refused(process, photos: Path, tmp_path: Path, bundle: str) -> None:
    with pytest.raises(MienError, match=rf"another run \(process {process.pid}\)"):
        run(photos, output=tmp_path / "out", bundle=bundle, resume=True)


def test_no_file_stops_its_neighbours(tmp_path: Path, portrait: np.ndarray, bundle: str, dots: str) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    whole = ("a.png", "z.png", "x" * 250 + ".png", os.fsdecode(b"caf\xe9.png"), "line\nbreak.png")
    for name in whole:
        Image.fromarray(portrait).save(folder / name, format="PNG")
    Image.new("RGB", (66_000, 8), "grey").save(folder / "wide.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "nothing.png").symlink_to(folder / "absent.png")
    (folder / "unreadable.heic").touch()
    output, options = tmp_path / "out", {"landmarks": "yes", "landmark_bundle": dots, "points": True, "overlay": True}
    summary = run(folder, *folder.glob("*.png"), output=output, bundle=bundle, **options)
    found = {Path(row["source"]).name: row for row in rows(output)}
    assert {name for name, row in found.items() if row["success"] == "1"} == {
        "a.png", "z.png", "x" * 250 + ".png", "caf%E9.png", "line\nbreak.png",
    }  # fmt: skip
    assert found["wide.png"]["note"] == "no face found" and "a pipe" in found["pipe.png"]["note"]
    assert found["loop.png"]["note"] and "no such file" in found["nothing.png"]["note"] and len(found) == 9
    assert len(list((output / "overlays").iterdir())) == 6 and len(list((output / "points").iterdir())) == 5
    assert "3 files could not be read" in summary and "1 .heic" in summary
    assert json.loads((output / "readings.json").read_text())["left_out"] == {".heic": 1}
    assert Image.open(output / "overlays" / "wide.jpg").width == 65_500


def test_a_file_that_vanishes_meanwhile_is_a_row(
    photos: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):  # more than are read ahead
        (photos / f"y{number}.png").write_bytes((photos / "00.png").read_bytes())
    picture, gone = module.Drawings.picture, photos / "z.png"
    gone.write_bytes((photos / "00.png").read_bytes())

    def draw(self, path: Path, read) -> None:
        gone.unlink(missing_ok=True)
        picture(self, path, read)

    monkeypatch.setattr(module.Drawings, "picture", draw)
    run(photos, output=tmp_path / "out", bundle=bundle)
    last = rows(tmp_path / "out")[-1]
    assert last["success"] == "0" and "no such file" in last["note"]


def test_a_surprise_of_a_decoder_is_a_row(
    photos: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.runtime import faces

    load = faces.load_image

    def surprised(path: Path, **options):
        if path.name == "02.png":
            raise RuntimeError("nobody thought of\nthis")
        return load(path, **options)

    monkeypatch.setattr(faces, "load_image", surprised)
    run(photos, output=tmp_path / "out", bundle=bundle)
    assert [row["note"] for row in rows(tmp_path / "out") if row["source"].endswith("02.png")] == [
        f"{photos / '02.png'}: could not be read (nobody thought of this)."
    ]


def test_damage_in_a_video_is_noted_in_its_row_the_sidecar_and_the_summary(
    video: Path, tmp_path: Path, bundle: str
) -> None:
    import av

    cut = tmp_path / "cut.mkv"
    with av.open(str(video)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    summary = run(cut, output=tmp_path / "out", bundle=bundle)
    found, sidecar = rows(tmp_path / "out"), json.loads((tmp_path / "out" / "readings.json").read_text())
    assert 3 < len(found) < 20 and "cut short" in found[-1]["note"] and not any(row["note"] for row in found[:-1])
    assert sidecar["damaged_places"] == 1 and sidecar["damaged"][0]["frame"] == len(found) - 1
    assert "cut short" in summary and found[-1]["success"] == "1"


def test_open_files_do_not_grow(photos: Path, tmp_path: Path, bundle: str) -> None:
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("needs /proc")
    before = len(list(handles.iterdir()))
    run(photos, output=tmp_path / "out", bundle=bundle, overlay=True)
    assert len(list(handles.iterdir())) <= before + 2
