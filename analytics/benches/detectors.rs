//! Rows a second of each detector on one core, and the bytes of its state:
//! `cargo bench -p analytics --bench detectors`.
//!
//! Each detector learns 2,000 rows and scores 200,000 that are held in memory, in pieces; the
//! fastest tenth of the pieces shows what a core does while nothing else wants it. The last line of each
//! detector is meant for a script (`deploy/bench/detector_peers.py` reads it).

use std::{hint::black_box, time::Instant};

use analytics::detection::{
    any::{Any, Kind},
    learned::Learned,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const LEARNING_ROWS: usize = 2_000;
const ROWS: usize = 200_000;
const PIECE: usize = 500;
const SECOND: i64 = 1_000_000;

/// Signals around 50 with a load cycle and noise, row by row.
fn rows(signals: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut value = |row: usize, signal: usize| {
        let load = (row as f64 / 60.0 + signal as f64).sin();
        50.0 + load + rng.random_range(-1.0..1.0)
    };
    (0..(LEARNING_ROWS + ROWS) * signals)
        .map(|at| value(at / signals, at % signals))
        .collect()
}

fn fit(kind: Kind, signals: usize, rows: &[f64]) -> Option<Any> {
    let mut learned = Learned::new(LEARNING_ROWS as u32, signals);
    for (row, values) in rows.chunks_exact(signals).take(LEARNING_ROWS).enumerate() {
        learned.push(row as i64 * SECOND, |slot| values[slot]);
    }
    let order: Vec<usize> = (0..signals).collect();
    kind.fit(&learned, &order)
}

/// Rows a second of the piece that a tenth of the pieces were faster than.
fn measure(detector: &mut Any, signals: usize, rows: &[f64]) -> f64 {
    let mut times = Vec::with_capacity(ROWS / PIECE);
    let mut highest = 0.0_f64;
    let mut at = LEARNING_ROWS as i64 * SECOND;
    for piece in rows[LEARNING_ROWS * signals..].chunks_exact(PIECE * signals) {
        let begin = Instant::now();
        for values in piece.chunks_exact(signals) {
            at += SECOND;
            let score = detector.score(at, |slot| values[slot]);
            highest = highest.max(score.unwrap_or(0.0));
        }
        times.push(begin.elapsed().as_secs_f64());
    }
    black_box(highest);
    times.sort_by(f64::total_cmp);
    PIECE as f64 / times[times.len() / 10]
}

fn main() {
    for signals in [1, 3, 8] {
        let rows = rows(signals);
        for &kind in Kind::ALL {
            let Some(mut detector) = fit(kind, signals, &rows) else {
                continue;
            };
            let bytes = postcard::to_stdvec(&detector).map_or(0, |bytes| bytes.len());
            let rate = measure(&mut detector, signals, &rows);
            println!(
                "detector {} signals {signals} rows_per_second {rate:.0} state_bytes {bytes}",
                kind.name()
            );
        }
    }
}
