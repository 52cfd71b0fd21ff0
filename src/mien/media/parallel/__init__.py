"""Threads: what they may take, how they end, and how they work ahead."""
