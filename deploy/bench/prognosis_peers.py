#!/usr/bin/env python3
"""What the fleet family costs beside the usual Python: LightGBM and numpy.

usage: prognosis_peers.py [--cargo-bench COMMAND]

Runs `cargo bench -p analytics --bench prognosis --bench serving` and then, on the same machine in the same
minutes, the same work in Python: one ensemble of trees with the same settings on a table of the
same size and function (one thread each), and the serving of one window: the features of the
window, three ensembles, and random Fourier features, one asset at a time as windows arrive.

Needs `pip install lightgbm numpy` in a virtual environment. The load of the machine is printed
first and last: on a busy machine believe the ratios, not the rates.
"""
import argparse, os, shlex, subprocess, time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import lightgbm as lgb
import numpy as np

ROWS, FEATURES, TEST_ROWS = 12_800, 138, 4_000
SIGNALS, COMPONENTS, INPUTS, FOURIER = 14, 2, 33, 1_500
SETTINGS = dict(objective="l2", learning_rate=.05, num_leaves=15, min_data_in_leaf=100, max_depth=10,
                feature_fraction=.3, bagging_fraction=.7, bagging_freq=1, lambda_l2=5., num_threads=1,
                verbosity=-1, deterministic=True, force_row_wise=True)

def friedman(x, noise, rng):
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - .5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return y + noise * rng.standard_normal(len(x))

def trees(rng):
    x, unseen = rng.random((ROWS, FEATURES), np.float32), rng.random((TEST_ROWS, FEATURES), np.float32)
    y, truth = friedman(x, 1., rng), friedman(unseen, 0., rng)
    begin = time.perf_counter()
    model = lgb.train(dict(SETTINGS, seed=1), lgb.Dataset(x, y), 300)
    seconds = time.perf_counter() - begin
    return model, seconds, float(np.sqrt(np.mean((model.predict(unseen, num_threads=1) - truth) ** 2)))

def window_features(signals, components, age):
    out = [age]
    t30, t60 = np.arange(30) - 14.5, np.arange(60) - 29.5
    for x in components:
        last = x[-30:]
        base, average = x[:20].mean(), x[-20:].mean()
        f = [x[-5:].mean(), x[-10:].mean(), last.mean(), last.std(), t30 @ last / (t30 @ t30), t60 @ x[-60:] / (t60 @ t60),
             average, base, average - base, x.mean() - base]
        out += f + [v / max(age, .1) for v in f]
    for x in signals:
        last = x[-30:]
        out += [last.mean(), t30 @ last / (t30 @ t30), x[-20:].mean() - x[:20].mean(), 0., 0., 0., 0.]
    return np.array(out, np.float32)

def serving(model, rng):
    w = rng.standard_normal((FOURIER, INPUTS), np.float32)
    b, weights = rng.random(FOURIER, np.float32), rng.random(FOURIER, np.float32)
    signals, components = rng.standard_normal((SIGNALS, 100)), rng.standard_normal((COMPONENTS, 100))
    times = []
    for _ in range(60):
        begin = time.perf_counter()
        for _ in range(10):
            f = window_features(signals, components, 1.)
            row = np.resize(f, FEATURES).reshape(1, -1)
            said = sum(model.predict(row, num_threads=1)[0] for _ in range(3)) / 3
            said += weights @ np.cos(w @ row[0, :INPUTS] + b)
        times.append((time.perf_counter() - begin) / 10)
    return 1e6 * sorted(times)[len(times) // 10]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cargo-bench", default="cargo bench -p analytics --bench prognosis --bench serving")
    a = p.parse_args()
    print("load", *(f"{x:.1f}" for x in os.getloadavg()), flush=True)
    out = subprocess.run(shlex.split(a.cargo_bench), capture_output=True, text=True, check=True).stdout
    ours = {}
    for line in (l.split() for l in out.splitlines() if l.startswith("prognosis ")):
        ours[line[1]] = {k: float(v) for k, v in zip(line[2::2], line[3::2])}
    rng = np.random.default_rng(11)
    model, seconds, rmse = trees(rng)
    micros = serving(model, rng)
    fit, serve, t = ours["fit"], ours["serve"], ours["trees"]
    print(f"whole fit of {fit['cycles']:.0f} cycles on {fit['threads']:.0f} threads: {fit['seconds']:.1f} s")
    print(f"one ensemble, {ROWS} x {FEATURES}: {t['fit_seconds']:.2f} s, LightGBM {seconds:.2f} s: {seconds/t['fit_seconds']:.2f} x; "
          f"error on unseen rows {t['rmse']:.3f}, LightGBM {rmse:.3f}")
    print(f"serving a window: {serve['microseconds']:.1f} us, LightGBM and numpy {micros:.0f} us: {micros/serve['microseconds']:.0f} x")
    if "product" in ours:
        own = ours["product"]["microseconds"]
        print(f"the same on the way through the product, classifiers included: {own:.1f} us: {micros/own:.0f} x "
              f"(a forecast that is told, with its reasons: {ours['product']['telling_microseconds']:.0f} us)")
    print("load", *(f"{x:.1f}" for x in os.getloadavg()))

if __name__ == "__main__":
    main()
