"""The figures Tongdai is held to, each beside a peer measured in the same run.

`python -m benchmarks` measures and prints; README.md says how, and how to read it.
"""
