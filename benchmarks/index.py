"""How long it takes to know every face of a large data set, and what it needs of memory: nothing is decoded.

    python benchmarks/index.py [--faces 300000] [--arrays 30000] [--only lists manifest_csv ...] [--folder DIR]

Forms: AffectNet's full release (one CSV row a face with 68 points), its 8-class release (four .npy files a face, from
the files and from the kept index), If3D's class folders, and a manifest as CSV and as Parquet. All are generated, with
empty pictures; generating takes minutes. Each is read in a process of its own; the peak is that process's. Asked for:
300,000 rows in 3 s and 500 MB.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LIMIT_S, LIMIT_MB, ASKED = 3.0, 500, 300_000
CLASSES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
SUBFOLDERS = 1000  # the full release spreads its pictures over about so many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=ASKED)
    parser.add_argument(
        "--arrays", type=int, default=ASKED // 10, help="faces of the 8-class release (five files each)"
    )
    parser.add_argument("--only", nargs="*", choices=FORMS, default=list(FORMS))
    parser.add_argument("--folder", type=Path, help="where to generate (default: a temporary folder)")
    parser.add_argument("--read", nargs=2, metavar=("READER", "ROOT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        return read(*options.read)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["MIEN_CACHE"] = f"{folder}/cache"
        for form in options.only:
            write, reader, times = FORMS[form]
            count = options.arrays if form == "arrays" else options.faces
            root = write(Path(folder) / form, count)
            for time_ in range(times):
                report(form + (", kept index" if time_ else ""), reader, root, count)


def report(form: str, reader: str, root: Path, count: int) -> None:
    """Prints what a process of its own took."""
    command = [sys.executable, __file__, "--read", reader, str(root)]
    seconds, processor, peak = map(float, subprocess.run(command, check=True, capture_output=True).stdout.split())
    verdict = "" if count < ASKED else "  ok" if seconds <= LIMIT_S and peak <= LIMIT_MB else "  TOO MUCH"
    print(f"{form:22} {count:7,} faces  {seconds:6.2f} s ({processor:5.2f} s of processor)  {peak:5.0f} MB{verdict}")


def read(reader: str, root: str) -> None:
    """Prints seconds, processor seconds and peak memory (MB) of opening and reading all splits."""
    from mien.data.readers import open_reader

    start, processor = time.perf_counter(), time.process_time()
    opened = open_reader(reader, root)
    samples = [sample for split in opened.splits for sample in opened.samples(split)]
    took, used = time.perf_counter() - start, time.process_time() - processor
    assert samples
    print(took, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def name_of(i: int) -> str:
    return f"{i % SUBFOLDERS}/{i * 2654435761 % 2**64:056x}.jpg"


def touch(folder: Path, names: list[str]) -> None:
    """Empty files; each one's folder is made when it is first needed."""
    created = set()
    for name in names:
        path = f"{folder}/{name}"
        parent = path.rpartition("/")[0]
        if parent not in created:
            Path(parent).mkdir(parents=True, exist_ok=True)
            created.add(parent)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def lists(root: Path, count: int) -> Path:
    """training.csv with 68 points a row, as long as the release's rows are (a kilobyte)."""
    touch(root / "Manually_Annotated_Images", [name_of(i) for i in range(count)])
    points = ";".join(f"{100 + i * 1.37:.2f}" for i in range(136))
    (root / "Manually_Annotated_file_lists").mkdir()
    with (root / "Manually_Annotated_file_lists" / "training.csv").open("w") as file:
        file.write(
            "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
        )
        for i in range(count):
            file.write(
                f"{name_of(i)},{i % 90},{i % 80},{200 + i % 7},210,{points},{i % 8},{i % 100 / 100},-0.0873016\n"
            )
    return root


def arrays(root: Path, count: int) -> Path:
    """images/<n>.jpg and annotations/<n>_{exp,val,aro,lnd}.npy, the landmarks' file empty: it is not opened."""
    import numpy as np

    (root / "train_set" / "annotations").mkdir(parents=True)
    touch(root / "train_set" / "images", [f"{i}.jpg" for i in range(count)])
    for i in range(count):
        for kind, value in (("exp", str(i % 8)), ("val", f"{-0.5 + i % 97 / 97:.16f}"), ("aro", f"{i % 89 / 89:.16f}")):
            np.save(root / "train_set" / "annotations" / f"{i}_{kind}.npy", np.array(value))
    return root


def tree(root: Path, count: int) -> Path:
    """affectnet_clean/train/<class>/<n>.jpg with affectnet_annotations."""
    touch(root / "affectnet_clean" / "train", [f"{i % 8}/{i}.jpg" for i in range(count)])
    (root / "affectnet_annotations").mkdir()
    rows = "".join(f"{i},{i % 8},0.25,-0.125\n" for i in range(count))
    (root / "affectnet_annotations" / "train_set_annotation_without_lnd.csv").write_text(f"number,exp,val,aro\n{rows}")
    return root


def manifest_csv(root: Path, count: int) -> Path:
    """path, expression, split, subject, box."""
    touch(root / "pictures", [name_of(i) for i in range(count)])
    rows = [f"pictures/{name_of(i)},{CLASSES[i % 8]},train,person{i % 9000},1,2,201.5,220\n" for i in range(count)]
    (root / "manifest.csv").write_text("path,expression,split,subject,x0,y0,x1,y1\n" + "".join(rows))
    return root


def manifest_points(root: Path, count: int) -> Path:
    """The same as Parquet, with 68 points a row: 163 MB of numbers that are kept."""
    return manifest_parquet(root, count, points=68)


def manifest_parquet(root: Path, count: int, *, points: int = 0) -> Path:
    """The same as Parquet."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    touch(root / "pictures", [name_of(i) for i in range(count)])
    numbers = pa.array(np.tile(np.arange(2 * points, dtype=np.float32), (count, 1)).reshape(-1))
    offsets = np.arange(0, 2 * points * count + 1, 2 * points or 1, dtype=np.int32)
    columns = {
        "path": [f"pictures/{name_of(i)}" for i in range(count)], "expression": [CLASSES[i % 8] for i in range(count)],
        "split": ["train"] * count, "subject": [f"person{i % 9000}" for i in range(count)],
        **({"landmarks": pa.ListArray.from_arrays(offsets, numbers)} if points else {}),
        **{edge: np.full(count, value) for edge, value in (("x0", 1.0), ("y0", 2.0), ("x1", 201.5), ("y1", 220.0))},
    }  # fmt: skip
    pq.write_table(pa.table(columns), root / "manifest.parquet")
    return root


# form → (writer, reader, how often to read)
FORMS: dict[str, tuple[Callable[[Path, int], Path], str, int]] = {
    "lists": (lists, "affectnet", 1),
    "arrays": (arrays, "affectnet", 2),
    "tree": (tree, "affectnet", 1),
    "manifest_csv": (manifest_csv, "manifest", 1),
    "manifest_parquet": (manifest_parquet, "manifest", 1),
    "manifest_points": (manifest_points, "manifest", 1),
}

if __name__ == "__main__":
    main()
