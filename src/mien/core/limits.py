"""Limits for files from others, in one place: what exceeds one is refused in one line, before it costs time or memory.

Limits of YAML stand with its reader (media.yaml_text), those of pickles with theirs (nn.files.inert_pickle).
"""

MB = 1 << 20

# Pictures
PIXELS = 100_000_000
"""Decoded, of one picture."""
SIDE = 1_000_000
"""Pixels along one side."""
PICTURE_BYTES = 850 * MB
"""Memory that decoding one picture may take."""
DECODING_BYTES = 500 * MB
"""Memory that all pictures being decoded at a time may take; one that needs more is decoded alone."""
READING_BYTES = 500 * MB
"""Memory of all pictures that are decoded ahead, wait for a network or are drawn; one that needs more is read alone."""
FINER_PIXELS = 36_000_000
"""Decoded, of a picture that is read again at a larger scale for its small faces."""
PARTS = 100_000
"""Pieces that a decoder may ask for, besides one for each 256 bytes: a header of a million empty parts ends here."""
HEADER_BYTES = 32 * MB
"""Before the first pixel: colour profiles, previews and texts."""
FILE_BYTES = 1024 * MB
"""Of one picture's file: 100 million pixels of 64 bits, not packed, are 800 million."""
COMPRESSED_BYTES = 512 * MB
"""Of one file that a decoder wants as a whole, and of a picture inside a larger file."""
SCANS, SCANNED_PIXELS = 100, 1_000_000_000
"""Passes over the pixels of a JPEG, and pixels times passes; 20 passes are read at any size (cameras write 1 to 10)."""

# Videos and sound
FRAME_PIXELS = 36_000_000
"""Of one frame: 8K has 33 million."""
SOUND_BYTES = 256 * MB
"""Of one sound decoded to 32-bit numbers, all channels: 12 minutes at 44,100 Hz in stereo, 70 at 16,000 in one."""
SOUND_CHANNELS, SOUND_LEAST_RATE_HZ, SOUND_RATE_HZ = 64, 100, 768_000
"""Samples of a channel a second: at 1 Hz a file of 100 kB would be a day of sound, 4 GB at 16,000 Hz."""
SOUND_LEVEL = 65_536.0
"""Of a sample, full scale being 1: recordings in numbers of 16 bits that were stored as floats reach half of it."""

ARRAY_BYTES = 256 * MB
"""Of all arrays of one .npz or .npy file of a 3D face: FLAME in 64-bit numbers has some 55 MB."""

# Tables and lists
TEXT_BYTES = 512 * MB
"""Of one list, table or JSON file."""
PAIRS = 5_000_000
"""Of pictures in one comparison that look alike and are compared pixel by pixel."""
COLUMNS = 10_000
CLASSES, SPLITS = 10_000, 1000
"""Names of classes, and of splits, that are taken from a table or from folders."""
COUNT = 1024
"""Threads or processes that are asked for."""
EDGE = 100_000
"""Pixels from the origin to an edge of a face's box; a JPEG's sides end at 65,535."""
