//! What every store of time series must do, whatever it is.

use historian::{Bucket, Sample, SeriesKey, TimeSeries};
use telemetry::{DeviceId, JournalRecord, SignalName, Timestamp};

/// 2026-01-01T00:00:00Z.
pub(crate) const START_S: i64 = 1_767_225_600;

/// A time some seconds after the start.
fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(START_S * 1_000_000 + (seconds * 1e6).round() as i64)
}

fn key(device: &str, signal: &str) -> SeriesKey {
    SeriesKey {
        device: DeviceId::new(device).unwrap(),
        signal: SignalName::new(signal).unwrap(),
    }
}

const ODD: &str = "flow, x=1";

fn add(record: &mut JournalRecord, device: &str, seconds: f64, values: &[(&str, f64)]) {
    let batch = &mut record.readings;
    let device = batch.device(&DeviceId::new(device).unwrap());
    for (signal, value) in values {
        let signal = batch.signal(&SignalName::new(signal).unwrap());
        batch.push_value(signal, *value);
    }
    batch.finish_row(device, at(seconds), at(1e6));
}

/// What is written, in two records: in order, out of order, and keys that come twice with
/// another value.
pub(crate) fn records() -> [JournalRecord; 2] {
    let mut first = JournalRecord::default();
    for step in 0..20 {
        let value = 20.0 + f64::from(step) / 8.0;
        add(
            &mut first,
            "pump-1",
            f64::from(step) * 10.0,
            &[("temperature_c", value)],
        );
    }
    add(
        &mut first,
        "pump-2",
        0.0,
        &[("temperature_c", -0.0), (ODD, 1e300), ("time", 5e-324)],
    );
    add(&mut first, "pump-2", 0.000_001, &[(ODD, -1.5)]);
    let mut second = JournalRecord::default();
    // Twice: the first value stays.
    add(&mut second, "pump-1", 50.0, &[("temperature_c", 99.0)]);
    // Late, between two others.
    add(&mut second, "pump-1", 55.0, &[("temperature_c", 30.0)]);
    add(&mut second, "pump-1", 250.0, &[("temperature_c", 0.1)]);
    add(&mut second, "pump-2", 0.0, &[(ODD, 7.0)]);
    [first, second]
}

/// Asks everything a store has to answer once [`records`] are in it.
pub(crate) async fn run(store: &dyn TimeSeries) {
    series_are_listed_with_count_and_ends(store).await;
    ranges_are_half_open_ordered_and_limited(store).await;
    buckets_follow_the_one_grid(store).await;
    the_last_reading_of_each_is_given_in_order(store).await;
}

async fn series_are_listed_with_count_and_ends(store: &dyn TimeSeries) {
    let told = |all: Vec<historian::SeriesInfo>| -> Vec<(String, u64, Timestamp, Timestamp, u64)> {
        all.into_iter()
            .map(|info| {
                let name = format!("{}/{}", info.device, info.signal);
                (
                    name,
                    info.count,
                    info.first_at,
                    info.last_at,
                    info.last_value.to_bits(),
                )
            })
            .collect()
    };
    let pump_2 = [
        (
            format!("pump-2/{ODD}"),
            2,
            at(0.0),
            at(0.000_001),
            (-1.5f64).to_bits(),
        ),
        (
            "pump-2/temperature_c".to_owned(),
            1,
            at(0.0),
            at(0.0),
            (-0.0f64).to_bits(),
        ),
        (
            "pump-2/time".to_owned(),
            1,
            at(0.0),
            at(0.0),
            5e-324f64.to_bits(),
        ),
    ];
    let mut all = vec![(
        "pump-1/temperature_c".to_owned(),
        22,
        at(0.0),
        at(250.0),
        0.1f64.to_bits(),
    )];
    all.extend(pump_2.clone());
    assert_eq!(told(store.series(None).await.unwrap()), all);
    let device = DeviceId::new("pump-2").unwrap();
    assert_eq!(told(store.series(Some(&device)).await.unwrap()), pump_2);
    let nobody = DeviceId::new("pump-3").unwrap();
    assert_eq!(told(store.series(Some(&nobody)).await.unwrap()), []);
}

async fn ranges_are_half_open_ordered_and_limited(store: &dyn TimeSeries) {
    let samples = |points: &[(f64, f64)]| -> Vec<Sample> {
        let points = points.iter().map(|&(seconds, value)| Sample {
            at: at(seconds),
            value,
        });
        points.collect()
    };
    let pump = key("pump-1", "temperature_c");
    let range = store.range(&pump, at(40.0), at(70.0), 100).await.unwrap();
    assert_eq!(
        range,
        samples(&[(40.0, 20.5), (50.0, 20.625), (55.0, 30.0), (60.0, 20.75)])
    );
    let limited = store.range(&pump, at(40.0), at(70.0), 2).await.unwrap();
    assert_eq!(limited, samples(&[(40.0, 20.5), (50.0, 20.625)]));
    let whole = store
        .range(&pump, Timestamp::MIN, Timestamp::MAX, 100)
        .await
        .unwrap();
    assert_eq!(
        (whole.len(), whole[21]),
        (
            22,
            Sample {
                at: at(250.0),
                value: 0.1
            }
        )
    );
    assert_eq!(
        store.range(&pump, at(251.0), at(300.0), 10).await.unwrap(),
        []
    );
    assert_eq!(
        store.range(&pump, at(70.0), at(40.0), 10).await.unwrap(),
        []
    );
    let odd = store
        .range(&key("pump-2", ODD), at(0.0), at(1.0), 10)
        .await
        .unwrap();
    assert_eq!(odd, samples(&[(0.0, 1e300), (0.000_001, -1.5)]));
    assert_eq!(
        store
            .range(&key("pump-3", "x"), at(0.0), at(1.0), 10)
            .await
            .unwrap(),
        []
    );
}

async fn buckets_follow_the_one_grid(store: &dyn TimeSeries) {
    let pump = key("pump-1", "temperature_c");
    let bucket = |from, to, count, [min, max, mean, first, last]: [f64; 5]| Bucket {
        from: at(from),
        to: at(to),
        count,
        min,
        max,
        mean,
        first,
        last,
    };
    // Three parts of 20 s, of which the last is cut to 15 s by the end of the range.
    let buckets = store.buckets(&pump, at(40.0), at(95.0), 3).await.unwrap();
    let width = 55.0 / 3.0;
    let edge = |part: f64| ((width * part) * 1e6).ceil() / 1e6;
    let expected = [
        (
            40.0,
            40.0 + edge(1.0),
            3,
            [20.5, 30.0, 71.125 / 3.0, 20.5, 30.0],
        ),
        (
            40.0 + edge(1.0),
            40.0 + 2.0 * edge(1.0),
            2,
            [20.75, 20.875, 20.8125, 20.75, 20.875],
        ),
        (
            40.0 + 2.0 * edge(1.0),
            95.0,
            2,
            [21.0, 21.125, 21.0625, 21.0, 21.125],
        ),
    ];
    close(
        &buckets,
        &expected.map(|(from, to, count, numbers)| bucket(from, to, count, numbers)),
    );
    // The whole series; the part between 190 s and 250 s is partly empty, one part wholly.
    let buckets = store
        .buckets(&pump, Timestamp::MIN, Timestamp::MAX, 5)
        .await
        .unwrap();
    let counts: Vec<(u64, f64)> = buckets
        .iter()
        .map(|bucket| (bucket.count, bucket.last))
        .collect();
    assert_eq!(
        counts,
        [(6, 20.625), (6, 21.25), (5, 21.875), (4, 22.375), (1, 0.1)]
    );
    assert_eq!(buckets[4].to, at(250.000_001));
    // Parts without readings are left out.
    let buckets = store.buckets(&pump, at(180.0), at(260.0), 8).await.unwrap();
    let starts: Vec<Timestamp> = buckets.iter().map(|bucket| bucket.from).collect();
    assert_eq!(starts, [at(180.0), at(190.0), at(250.0)]);
    assert_eq!(
        store.buckets(&pump, at(300.0), at(400.0), 4).await.unwrap(),
        []
    );
    assert_eq!(store.buckets(&pump, at(5.0), at(5.0), 4).await.unwrap(), []);
    let nobody = key("pump-3", "x");
    assert_eq!(
        store
            .buckets(&nobody, Timestamp::MIN, Timestamp::MAX, 4)
            .await
            .unwrap(),
        []
    );
}

/// Equal, the mean aside: stores may add in another order. A few roundings in 53 bits.
fn close(found: &[Bucket], expected: &[Bucket]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        let near = (found.mean - expected.mean).abs() <= 1e-14 * expected.mean.abs();
        assert!(near, "{found:?} is not {expected:?}");
        let mean = expected.mean;
        assert_eq!(Bucket { mean, ..*found }, *expected);
    }
}

async fn the_last_reading_of_each_is_given_in_order(store: &dyn TimeSeries) {
    let keys = [
        key("pump-2", ODD),
        key("pump-3", "x"),
        key("pump-1", "temperature_c"),
        key("pump-2", "time"),
    ];
    let last = store.last(&keys).await.unwrap();
    let sample = |seconds, value| {
        Some(Sample {
            at: at(seconds),
            value,
        })
    };
    assert_eq!(
        last,
        [
            sample(0.000_001, -1.5),
            None,
            sample(250.0, 0.1),
            sample(0.0, 5e-324)
        ]
    );
    assert_eq!(store.last(&[]).await.unwrap(), []);
}
