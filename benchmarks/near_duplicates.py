"""Time of the near-duplicate search over a folder of pictures, from nothing and again from the store.

    python benchmarks/near_duplicates.py ../shared/data/expressions/ferplus/FER2013Train

Wall clock and processor time of decoding and fingerprints, of candidates, and of the whole; then what was found.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.core.records import Sample
from mien.data.leakage.duplicates import candidates, groups, near_duplicates
from mien.data.leakage.fingerprints import fingerprints_of
from mien.media.listing import picture_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="a folder of pictures")
    files = picture_files([parser.parse_args().pictures])
    faces = [Sample(path.name, path) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MIEN_CACHE"] = folder
        print(f"{len(faces):,} pictures")
        prints = timed("decoded and fingerprinted", lambda: fingerprints_of(faces))
        pairs = timed("candidates", lambda: candidates(prints))
        twins = timed("search, fingerprints known", lambda: near_duplicates(faces))
        timed("asked again", lambda: near_duplicates(faces))
    joined = groups(len(faces), [twin[:2] for twin in twins])
    print(
        f"{len(pairs):,} candidates, {len(twins):,} pairs, {sum(map(len, joined)):,} pictures in {len(joined):,} groups"
    )


def timed(what: str, work: Callable[[], Any]) -> Any:
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{what:28} {wall:6.1f} s, {processor:6.1f} s of processor time")
    return result


if __name__ == "__main__":
    main()
