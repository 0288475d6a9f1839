#!/usr/bin/env python3
"""Rows a second of this program's detectors beside two well-known Python detectors.

usage: detector_peers.py [--cargo-bench COMMAND]

Runs `cargo bench -p analytics --bench detectors` and then, on the same machine in the same
minutes and on the same kind of rows (a load cycle with noise), river's HalfSpaceTrees (one row
at a time, scoring and learning, as a stream has to) and scikit-learn's IsolationForest (scoring
in batches of 1,000 rows, its best case: it does not learn from the stream). One core each; the
rate is that of the piece that a tenth of the pieces were faster than, on both sides.

Needs `pip install river scikit-learn numpy` in a virtual environment. Prints one line a
detector with the ratio to each peer. The load of the machine is printed first: on a busy
machine believe the ratios, not the rates.
"""
import argparse, math, os, random, shlex, subprocess, time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
from river import anomaly, preprocessing, compose
from sklearn.ensemble import IsolationForest

LEARNING_ROWS, RIVER_ROWS, FOREST_ROWS, BATCH = 2_000, 4_000, 100_000, 1_000

def rows(count, signals):
    rng = random.Random(7)
    return [[50 + math.sin(r / 60 + s) + rng.uniform(-1, 1) for s in range(signals)] for r in range(count)]

def fast_rate(sizes_and_times):
    rates = sorted(n / t for n, t in sizes_and_times)
    return rates[len(rates) * 9 // 10]

def half_space_trees(signals):
    model = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=7))
    data = [dict(enumerate(row)) for row in rows(LEARNING_ROWS + RIVER_ROWS, signals)]
    for row in data[:LEARNING_ROWS]:
        model.learn_one(row)
    pieces = []
    for at in range(LEARNING_ROWS, len(data), 50):
        begin = time.perf_counter()
        for row in data[at:at + 50]:
            model.score_one(row)
            model.learn_one(row)
        pieces.append((50, time.perf_counter() - begin))
    return fast_rate(pieces)

def isolation_forest(signals):
    data = np.array(rows(LEARNING_ROWS + FOREST_ROWS, signals))
    model = IsolationForest(random_state=7, n_jobs=1).fit(data[:LEARNING_ROWS])
    pieces = []
    for at in range(LEARNING_ROWS, len(data), BATCH):
        begin = time.perf_counter()
        model.score_samples(data[at:at + BATCH])
        pieces.append((BATCH, time.perf_counter() - begin))
    return fast_rate(pieces)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cargo-bench", default="cargo bench -p analytics --bench detectors")
    a = p.parse_args()
    print("load", *(f"{x:.1f}" for x in os.getloadavg()), flush=True)
    out = subprocess.run(shlex.split(a.cargo_bench), capture_output=True, text=True, check=True).stdout
    ours = [l.split() for l in out.splitlines() if l.startswith("detector ")]
    peers = {}
    for signals in (1, 3, 8):
        peers[signals] = (half_space_trees(signals), isolation_forest(signals))
        print(f"{signals} signals: HalfSpaceTrees {peers[signals][0]:,.0f} rows/s, IsolationForest {peers[signals][1]:,.0f} rows/s", flush=True)
    for _, name, _, signals, _, rate, _, size in ours:
        trees, forest = peers[int(signals)]
        rate = float(rate)
        print(f"{name:12s} {signals} signals {rate/1e6:8.2f} M rows/s  {rate/trees:8.0f} x HalfSpaceTrees  {rate/forest:6.0f} x IsolationForest  state {size} bytes")
    print("load", *(f"{x:.1f}" for x in os.getloadavg()))

if __name__ == "__main__":
    main()
