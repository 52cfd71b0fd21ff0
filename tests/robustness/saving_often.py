"""`python saving_often.py ARGUMENTS...`: `mien`, with the state of a video saved every 50 ms or 5 frames, not 10 s or
250."""

import sys

import mien.engine.reading.run as reading
from mien.__main__ import main

reading.SAVE_EVERY_S, reading.SEGMENT_FRAMES = 0.05, 5
sys.exit(main())
