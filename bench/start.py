"""How long the program takes to start, and which share of it is loading LibTorch.

    python3 bench/start.py [--program build/release/bin/dnc-host] [--runs 10]

Prints the median wall time of `--help`, `list` and of `bench_start`, a program that does nothing
but load LibTorch. Ends with 1 where a command fails or prints nothing.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def milliseconds(command, runs):
    times = []
    for _ in range(runs + 1):  # the first one reads the files from the disk
        start = time.perf_counter()
        run = subprocess.run(command, capture_output=True, text=True)
        times.append(time.perf_counter() - start)
        if run.returncode != 0 or not run.stdout:
            sys.exit(f"{command}: ended with {run.returncode}: {run.stderr}")
    return statistics.median(times[1:]) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=ROOT / "build/release/bin/dnc-host")
    parser.add_argument("--bare", default=ROOT / "build/release/bench/bench_start")
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    bare = milliseconds([arguments.bare], arguments.runs)
    print(f"LibTorch alone: {bare:.0f} ms")
    for name in ("--help", "list"):
        found = milliseconds([arguments.program, name], arguments.runs)
        print(f"dnc-host {name}: {found:.0f} ms, of which LibTorch {bare / found * 100:.0f} %")


if __name__ == "__main__":
    main()
