"""RAVDESS, MEAD and CREMA-D: names, modalities, frames and voices; folds of people."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.spec import PictureInput, SoundInput
from mien.data.divide import protocol_reader
from mien.data.faces import FaceSet
from mien.data.leakage.leaks import find_leaks
from mien.data.readers import open_reader
from mien.data.readers.recordings import middle_frames
from mien.data.recent import load_picture
from mien.engine.datasets.prepare import prepare
from mien.engine.datasets.split import split
from mien.media.sound.audio import Sound, write_sound
from mien.media.video import write_video

pytest.importorskip("av")
pytest.importorskip("soxr")

VOICE = SoundInput(rate_hz=8000, samples=4000, fft=256, hop=250, mels=4, high_hz=4000.0)
TONE = Sound((0.3 * np.sin(np.arange(3200) / 5)).astype(np.float32), 16_000)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Eight frames that become lighter, with sound and without, and a sound."""
    folder = tmp_path_factory.mktemp("videos")
    levels = np.arange(8, dtype=np.uint8)[:, None, None, None] * 30
    frames = np.broadcast_to(levels, (8, 32, 32, 3)).copy()
    write_video(folder / "heard.mp4", frames, rate_hz=25.0, sound=TONE)
    write_video(folder / "silent.mp4", frames, rate_hz=25.0)
    write_sound(folder / "voice.wav", TONE)
    return {path.stem: path for path in folder.iterdir()}


def laid_out(root: Path, videos: dict[str, Path], **places: list[str]) -> Path:
    for kind, names in places.items():
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(videos[kind], root / name)
    return root


def actor(name: str) -> str:
    return f"Actor_{Path(name).stem[-2:]}/{name}"


def test_ravdess_names_state_class_actor_and_take(tmp_path: Path, videos: dict[str, Path]) -> None:
    heard = ["Video_Speech_Actor_01/Actor_01/01-01-03-02-01-02-01.mp4", "Actor_02/01-02-06-01-02-01-02.mp4"]
    root = laid_out(tmp_path, videos, heard=heard, voice=["Actor_01/03-01-01-01-01-01-01.wav", "Actor_01/notes.wav"])
    reader = open_reader("ravdess", root, frames=1)
    first, second = reader.samples("all")
    assert reader.labels is not None and reader.labels.name == "ravdess"
    assert [reader.labels.classes[s.expression or 0] for s in (first, second)] == ["fear", "happiness"]
    assert (first.subject, first.clip, first.frame) == ("Actor_02", "02-06-01-02-01-02", 4)
    assert (second.subject, second.clip) == ("Actor_01", "01-03-02-01-02-01")
    assert second.voice == second.path and second.has_picture
    assert second.key == f"{heard[0]}#00004"
    assert len(reader.notes) == 1 and "1 recordings do not have the set's names" in reader.notes[0]
    assert open_reader("ravdess", root, channel="song").samples("all")[0].subject == "Actor_02"
    (alone,) = open_reader("ravdess", root, modality="audio").samples("all")
    assert alone.voice == alone.path and not alone.has_picture and alone.expression == 0


def test_ravdess_videos_without_sound_get_the_sound_beside_them(tmp_path: Path, videos: dict[str, Path]) -> None:
    take = "01-05-01-01-01-03"
    silent = [f"Actor_03/02-{take}.mp4", "Actor_04/02-01-05-01-01-01-04.mp4"]
    root = laid_out(tmp_path, videos, silent=silent, voice=[f"Audio/Actor_03/03-{take}.wav"])
    with_voice, without = open_reader("ravdess", root, frames=1).samples("all")
    assert with_voice.voice == root / f"Audio/Actor_03/03-{take}.wav" and without.voice is None
    with pytest.raises(MienError, match=r"no recordings of modality audio_video under .* It has: video, audio\."):
        open_reader("ravdess", root, modality="audio_video")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("01-01-09-01-01-01-01.mp4", {}, r"no recordings of RAVDESS's names .* Expected .*1 other files"),
        ("01-01-03-01-01-01-01.mp4", {"channel": "song"}, "no song recordings"),
        ("01-01-03-01-01-01-01.mp4", {"channel": "sung"}, "channel must be one of all, speech, song; got 'sung'"),
        ("01-01-03-01-01-01-01.mp4", {"frames": 0}, "frames must be at least 1; got 0"),
    ],
)
def test_what_is_not_ravdess_is_one_line(tmp_path: Path, videos: dict[str, Path], name, options, message) -> None:
    root = laid_out(tmp_path, videos, heard=[actor(name)])
    with pytest.raises(MienError, match=message) as caught:
        open_reader("ravdess", root, **options)
    assert "\n" not in str(caught.value)


def test_the_real_recordings_are_read(shared: Path) -> None:
    if not (shared / "audio").is_dir():
        pytest.skip("needs ../shared/data/audio")
    samples = open_reader("ravdess", shared / "audio" / "ravdess_16k").samples("all")
    assert len(samples) == 300 and len({s.subject for s in samples}) == 10 and len({s.clip for s in samples}) == 300
    counts = np.bincount([s.expression for s in samples if s.expression is not None])
    assert counts.tolist() == [20, *[40] * 7]  # neutral has one intensity
    originals = open_reader("ravdess", shared / "audio" / "ravdess_original").samples("all")
    assert sorted(s.expression for s in originals if s.expression is not None) == list(range(8))
    (batch,) = FaceSet(originals, {"voice": VOICE}).numpy_batches(8)  # 48 kHz
    assert batch.voice is not None and np.isfinite(batch.voice).all() and batch.voice.std() > 0.1


def test_each_frame_of_a_video_is_its_own_picture(tmp_path: Path, videos: dict[str, Path]) -> None:
    root = laid_out(tmp_path, videos, heard=[actor("01-01-03-01-01-01-01.mp4"), actor("01-01-04-01-01-01-01.mp4")])
    samples = open_reader("ravdess", root, frames=4).samples("all")
    assert [s.frame for s in samples] == [2, 3, 4, 5] * 2
    for i in (3, 0, 5, 5, 1, 4, 2):  # forwards, backwards, and from one video to the other
        shown = load_picture(samples[i]).pixels.mean() / 30
        assert shown == pytest.approx(samples[i].frame or 0, abs=0.2)
    one, other = ([s for s in samples if s.clip == clip] for clip in sorted({s.clip or "" for s in samples}))
    assert find_leaks({"train": one, "test": other}, pictures=False)[0].kind == "subject"
    kinds = {leak.kind for leak in find_leaks({"train": one[:2], "test": one[2:]}, pictures=False)}
    assert kinds == {"subject", "clip"}


@pytest.mark.parametrize(
    ("count", "wanted", "expected"), [(100, 5, [30, 40, 50, 60, 70]), (8, 1, [4]), (1, 5, [0]), (2, 3, [0, 1])]
)
def test_frames_lie_in_the_middle_half_each_once(count: int, wanted: int, expected: list[int]) -> None:
    assert middle_frames(count, wanted) == expected


def test_a_video_that_cannot_be_opened_stops_or_is_left_out(tmp_path: Path, videos: dict[str, Path]) -> None:
    root = laid_out(tmp_path, videos, heard=[actor("01-01-03-01-01-01-01.mp4")])
    broken = root / actor("01-01-04-01-01-01-01.mp4")
    broken.write_bytes(b"no video")
    with pytest.raises(MienError, match=r"04-01-01-01-01\.mp4: not a video .*missing skip leaves such videos out"):
        open_reader("ravdess", root).samples("all")
    reader = open_reader("ravdess", root, missing="skip", frames=1)
    assert len(reader.samples("all")) == 1 and "left out" in reader.notes[0] and reader.absent == [broken]


def test_mead_is_read_by_view_and_level(tmp_path: Path, videos: dict[str, Path]) -> None:
    silent = [
        f"M003/video/{view}/{place}.mp4"
        for view in ("front", "left_30")
        for place in ("angry/level_1/001", "angry/level_3/002", "neutral/level_1/001")
    ]
    root = laid_out(tmp_path, videos, silent=silent, voice=["M003/audio/angry/level_3/002.wav",
                                                           "W009/audio/sad/level_2/007.wav"])  # fmt: skip
    reader = open_reader("mead", root, frames=1)
    found = {s.clip: s for s in reader.samples("all")}
    assert reader.labels is not None and sorted(found) == [
        "M003/angry/level_1/001", "M003/angry/level_3/002", "M003/neutral/level_1/001", "W009/sad/level_2/007",
    ]  # fmt: skip
    assert [reader.labels.classes[found[clip].expression or 0] for clip in sorted(found)] == [
        "anger", "anger", "neutral", "sadness",
    ]  # fmt: skip
    assert found["M003/angry/level_3/002"].voice == root / "M003/audio/angry/level_3/002.wav"
    assert found["M003/angry/level_1/001"].voice is None and not found["W009/sad/level_2/007"].has_picture
    sides = open_reader("mead", root, views=["front", "left_30"], levels=3, frames=1).samples("all")
    assert len(sides) == 2 and len({s.clip for s in sides}) == 1
    with pytest.raises(MienError, match=r"mead: no view 'left30'. Did you mean 'left_30'\?"):
        open_reader("mead", root, views="left30")
    with pytest.raises(MienError, match="levels must be one of 1, 2, 3; got 4"):
        open_reader("mead", root, levels=4)


def test_cremad_prefers_its_own_sounds(tmp_path: Path, videos: dict[str, Path]) -> None:
    clips = ["1001_DFA_ANG_XX", "1002_IEO_SAD_HI"]
    root = laid_out(tmp_path, videos, heard=[f"VideoFlash/{clip}.mp4" for clip in clips],
                    voice=[f"AudioWAV/{clips[0]}.wav", "AudioWAV/1003_TIE_NEU_X.wav"])  # fmt: skip
    first, second = open_reader("cremad", root, frames=1).samples("all")
    assert (first.expression, first.subject, first.clip) == (0, "1001", clips[0])
    assert first.voice == root / f"AudioWAV/{clips[0]}.wav" and second.voice == second.path
    assert len(open_reader("cremad", root, modality="audio").samples("all")) == 2


def test_voices_of_any_kind_become_finite_pictures(tmp_path: Path, videos: dict[str, Path]) -> None:
    root = laid_out(tmp_path, videos, voice=[actor("03-01-03-01-01-01-01.wav")])
    sounds = {4: np.zeros(3000), 5: np.clip(9 * TONE.samples, -1, 1), 6: TONE.samples[:800]}  # the last one is 50 ms
    for code, samples in sounds.items():
        name = actor(f"03-01-0{code}-01-01-01-01.wav")
        write_sound(root / name, Sound(samples.astype(np.float32), 8000 if code == 5 else 16_000))
    samples = open_reader("ravdess", root).samples("all")
    (batch,) = FaceSet(samples, {"voice": VOICE}).numpy_batches(4)
    assert batch.voice is not None and np.isfinite(batch.voice).all() and batch.image.size == 0
    with pytest.raises(MienError, match=r"ravdess: these are voices alone: there is no face to prepare\."):
        prepare("ravdess", root=str(root), output=str(tmp_path.with_name("out")))
    with pytest.raises(MienError, match=r"03-01-03-01-01-01-01.wav: a voice alone, without a picture"):
        FaceSet(samples, PictureInput(size=16)).batch([(0, 0)])


def test_the_sound_of_a_video_is_its_voice(tmp_path: Path, videos: dict[str, Path]) -> None:
    names = [actor("01-01-03-01-01-01-01.mp4"), actor("01-01-04-01-01-01-01.mp4")]
    root = laid_out(tmp_path, videos, heard=names[:1], silent=names[1:])
    heard, mute = open_reader("ravdess", root, frames=1).samples("all")
    voices = FaceSet([heard], {"voice": VOICE}).batch([(0, 0)]).voice
    assert voices is not None and voices.max() == 1
    with pytest.raises(MienError, match=r"04-01-01-01-01.mp4: no sound in it"):
        FaceSet([mute], {"voice": VOICE}).batch([(0, 0)])


def test_published_folds_hold_out_the_published_actors(tmp_path: Path, videos: dict[str, Path]) -> None:
    names = [actor(f"03-01-03-01-01-01-{n:02d}.wav") for n in range(1, 25)]
    root = laid_out(tmp_path, videos, voice=names)
    reader = open_reader("ravdess", root)
    assert sorted(a for fold in reader.published_folds for a in fold) == sorted(
        {s.subject for s in reader.samples("all")}
    )
    divided = protocol_reader(reader, "published")
    assert [s.subject for s in divided.samples("test")] == [f"Actor_{n:02d}" for n in (2, 5, 14, 15, 16)]
    assert not {s.subject for s in divided.samples("test")} & {s.subject for s in divided.samples("train")}
    assert len(protocol_reader(reader, "leave_one_subject_out").file.names) == 24
    printed = split("ravdess", root=str(root), output=str(tmp_path / "folds.csv"), protocol="published")
    assert "24 known subjects stay on one side each" in printed and "--data.fold 0" in printed
    with pytest.raises(MienError, match="Name one of --parts, --folds and --protocol"):
        split("ravdess", root=str(root), output=str(tmp_path / "b.csv"), protocol="published", folds=5)


def test_a_protocol_that_does_not_fit_is_one_line(tmp_path: Path, videos: dict[str, Path]) -> None:
    root = laid_out(tmp_path, videos, voice=["AudioWAV/1003_TIE_NEU_XX.wav"])
    with pytest.raises(MienError, match=r"cremad: no published folds are known\. Take --folds N"):
        protocol_reader(open_reader("cremad", root), "published")
    with pytest.raises(MienError, match="leave_one_subject_out gives fewer than two folds of the 1 people"):
        protocol_reader(open_reader("cremad", root), "leave_one_subject_out")
    few = laid_out(tmp_path / "few", videos, voice=[actor("03-01-03-01-01-01-01.wav")])
    with pytest.raises(MienError, match=r"nobody of published fold 0 is here. Take --folds N\."):
        protocol_reader(open_reader("ravdess", few), "published")


def test_frames_are_prepared_once_and_keep_voice_actor_and_take(tmp_path: Path, videos: dict[str, Path]) -> None:
    root = laid_out(tmp_path / "set", videos, heard=[actor("01-01-03-01-01-01-01.mp4")])
    options = {"frames": 3}
    prepare(
        "ravdess", root=str(root), output=str(tmp_path / "out"), reader=options, detector="none", size=32, workers=1
    )
    before = open_reader("ravdess", root, **options).samples("all")
    after = open_reader("manifest", tmp_path / "out").samples("all")
    assert [s.key for s in after] == [s.key for s in before]
    for one, other in zip(before, after, strict=True):
        assert (one.subject, one.clip, one.frame, one.voice) == (other.subject, other.clip, other.frame, other.voice)
        assert load_picture(other).pixels.mean() == pytest.approx(load_picture(one).pixels.mean(), abs=2)
    assert len({s.path for s in after}) == 3
