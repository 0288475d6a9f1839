"""Medians and ratios of the results of `deploy/bench/compare`, as Markdown."""

import json
import pathlib
import statistics
import sys


def load(pattern):
    files = sorted(pathlib.Path(sys.argv[1]).glob(pattern))
    return [json.loads(file.read_text()) for file in files]


def number(value):
    return "–" if value is None else f"{value:,.0f}"


def all_of(values):
    return " · ".join(number(value) for value in values)


def ingest(rounds):
    print("\n### Messages durably acknowledged, and how long a PUBACK takes at half load\n")
    print("| connections | Bellwether, messages/s | mosquitto (memory), messages/s | ratio of medians | p50 ms | p99 ms |")
    print("|---:|---|---|---:|---:|---:|")
    for lines in zip(*rounds):
        ours = [line["messages_per_s"] for line in lines]
        theirs = [line["against_messages_per_s"] for line in lines if line["against_messages_per_s"]]
        ratio = f"{statistics.median(ours) / statistics.median(theirs):.2f}" if theirs else "–"
        p50 = statistics.median(line["half_load_p50_ms"] for line in lines)
        p99 = statistics.median(line["half_load_p99_ms"] for line in lines)
        print(f"| {lines[0]['connections']:,} | {all_of(ours)} | {all_of(theirs) or '–'} | {ratio} | {p50:.2f} | {p99:.2f} |")


def historian(rounds):
    written = [one for result in rounds for one in result["written"]]
    stores = list(dict.fromkeys(one["store"] for one in written))
    for title, key in [
        ("acknowledged", "acknowledged_values_per_s"),
        ("found by a query", "queryable_values_per_s"),
    ]:
        rates = {
            store: [one[key] for one in written if one["store"] == store]
            for store in stores
        }
        print(f"\n### Line protocol: values/s until {title}\n")
        print("| store | values/s, each round | median | Bellwether is |")
        print("|---|---|---:|---:|")
        ours = statistics.median(rates["bellwether"])
        for store, values in rates.items():
            median = statistics.median(values)
            times = "" if store == "bellwether" else f"{ours / median:.2f} ×"
            print(f"| {store} | {all_of(values)} | {number(median)} | {times} |")


def bytes_a_value(sizes):
    stores = list(dict.fromkeys(one["store"] for one in sizes))
    recordings = list(dict.fromkeys(one["recording"] for one in sizes))
    print("\n### Bytes a value on disk, recordings of real machines\n")
    print("Bellwether's findings about the readings are counted apart: no other store makes any.\n")
    print("| recording | values | " + " | ".join(stores) + " | and findings |")
    print("|---|---:|" + "---:|" * (len(stores) + 1))
    for recording in recordings:
        found = {one["store"]: one for one in sizes if one["recording"] == recording}
        values = next(iter(found.values()))["values"]
        cells = [f"{found[s]['bytes_per_value']:.2f}" if s in found else "–" for s in stores]
        cells.append(f"{found['bellwether']['findings_bytes'] / values:.2f}")
        print(f"| {recording} | {values:,} | " + " | ".join(cells) + " |")
    totals = []
    for store in stores:
        of = [one for one in sizes if one["store"] == store]
        totals.append(f"{sum(o['bytes'] for o in of) / sum(o['values'] for o in of):.2f}" if of else "–")
    print("| all | | " + " | ".join(totals) + " | |")


def query(result):
    print("\n### Queries and restart\n")
    print("| question | p50 ms | p99 ms |")
    print("|---|---:|---:|")
    print(
        f"| {result['chart_seconds']:,} readings (1 Hz) of one signal in {result['chart_buckets']:,} buckets "
        f"| {result['chart_p50_ms']:.2f} | {result['chart_p99_ms']:.2f} |"
    )
    print(
        f"| newest value of {result['last_signals']:,} signals "
        f"| {result['last_p50_ms']:.2f} | {result['last_p99_ms']:.2f} |"
    )
    restarts = " · ".join(
        f"{time:.2f} s after {how}"
        for how, times in [
            ("SIGTERM", result["restart_after_sigterm_s"]),
            ("SIGKILL", result["restart_after_sigkill_s"]),
        ]
        for time in times
    )
    print(f"\nStart until ready with {result['readings']:,} readings: {restarts}.")


def idle(result):
    kib = result["bytes_per_connection"] / 1024
    limit = f" ({result['asked']:,} were asked for: {result['limited_by']})" if result["limited_by"] else ""
    print(f"\n{result['connections']:,} idle connections{limit}: {kib:.1f} KiB each.")


if found := load("ingest-*.json"):
    ingest(found)
if found := load("historian-*.json"):
    historian(found)
for found in load("sizes.json"):
    bytes_a_value(found["sizes"])
for found in load("query.json"):
    query(found)
for found in load("idle.json"):
    idle(found)
