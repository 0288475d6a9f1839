//! The conformance suite: what every detector must hold, run over each of them.

use proptest::prelude::*;

use super::{detector::Detector, learned::Learned};

const SLOTS: usize = 3;
const LEARNING_ROWS: u32 = 400;
const SECOND: i64 = 1_000_000;

/// A machine with a load cycle, noise from a fixed generator, and a step at the end of `rows`.
fn machine(rows: usize, seed: u64, step_from: usize) -> Vec<[f64; SLOTS]> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let row = |at: usize| {
        let load = (at as f64 / 40.0).sin();
        let step = if at >= step_from { 6.0 } else { 0.0 };
        let pressure = 5.0 + load + 0.4 * noise();
        [
            pressure + step,
            60.0 + 3.0 * load + noise() - 2.0 * step,
            2.0 + 0.2 * noise(),
        ]
    };
    (0..rows).map(row).collect()
}

fn learn(rows: &[[f64; SLOTS]], scale: [f64; SLOTS]) -> Learned {
    let mut learned = Learned::new(LEARNING_ROWS, SLOTS);
    for (at, row) in rows.iter().enumerate() {
        learned.push(at as i64 * SECOND, |slot| row[slot] * scale[slot]);
    }
    learned
}

fn fit<D: Detector>(rows: &[[f64; SLOTS]]) -> D {
    D::fit(
        &learn(&rows[..LEARNING_ROWS as usize], [1.0; SLOTS]),
        &[0, 1, 2],
    )
    .unwrap()
}

fn scores<D: Detector>(detector: &mut D, from: usize, rows: &[[f64; SLOTS]]) -> Vec<Option<f64>> {
    let score = |(at, row): (usize, &[f64; SLOTS])| {
        detector.score((from + at) as i64 * SECOND, |slot| row[slot])
    };
    rows.iter().enumerate().map(score).collect()
}

/// Later samples change no earlier score, whatever they hold.
pub(super) fn is_causal<D: Detector>(seed: u64, cut: usize, later: f64) {
    let rows = machine(900, seed, 700);
    let (learned, rest) = rows.split_at(LEARNING_ROWS as usize);
    let whole = scores(&mut fit::<D>(learned), 400, rest);
    let mut changed = rest.to_vec();
    changed[cut..].fill([later; SLOTS]);
    let cut_off = scores(&mut fit::<D>(learned), 400, &changed);
    assert_eq!(bits(&whole[..cut]), bits(&cut_off[..cut]));
}

/// A detector that is saved and restored between two samples goes on to the bit.
pub(super) fn restarts_equal<D: Detector>(seed: u64, cut: usize) {
    let rows = machine(900, seed, 600);
    let (learned, rest) = rows.split_at(LEARNING_ROWS as usize);
    let mut running: D = fit(learned);
    scores(&mut running, 400, &rest[..cut]);
    let bytes = postcard::to_stdvec(&running).unwrap();
    let mut restored: D = postcard::from_bytes(&bytes).unwrap();
    assert!(restored.is_consistent(SLOTS));
    let one = scores(&mut running, 400 + cut, &rest[cut..]);
    let other = scores(&mut restored, 400 + cut, &rest[cut..]);
    assert_eq!(bits(&one), bits(&other));
    assert_eq!(
        postcard::to_stdvec(&running),
        postcard::to_stdvec(&restored)
    );
}

/// Other units of each signal. The factors are powers of two, which change no rounding, so that
/// a value on a threshold stays on its side of it.
pub(super) fn units_do_not_matter<D: Detector>(seed: u64, scale: [f64; SLOTS]) {
    let rows = machine(900, seed, 700);
    let scaled: Vec<[f64; SLOTS]> = rows
        .iter()
        .map(|row| std::array::from_fn(|slot| row[slot] * scale[slot]))
        .collect();
    let (a, b) = (
        scores(&mut fit::<D>(&rows[..400]), 400, &rows[400..]),
        scores(&mut fit::<D>(&scaled[..400]), 400, &scaled[400..]),
    );
    for (at, (a, b)) in a.iter().zip(&b).enumerate() {
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!((a - b).abs() <= 1e-3 * a.max(1.0), "row {at}: {a} and {b}");
    }
}

/// Missing, huge and infinite values, empty and constant stretches have their stated answers.
pub(super) fn odd_input_has_its_answer<D: Detector>() {
    let rows = machine(600, 7, 9_999);
    let mut detector: D = fit(&rows[..400]);
    assert!(
        D::fit(&learn(&rows[..400], [1.0; SLOTS]), &[]).is_none(),
        "no signal"
    );
    assert!(
        D::fit(&Learned::new(400, SLOTS), &[0, 1, 2]).is_none(),
        "no row"
    );
    assert!(D::fit(&learn(&[[f64::NAN; SLOTS]; 400], [1.0; SLOTS]), &[0, 1, 2]).is_none());
    let before = detector.clone();
    assert!(detector.score(SECOND * 400, |_| f64::NAN).is_none());
    assert!(
        detector
            .score(SECOND * 400, |slot| if slot == 0 { 5.0 } else { f64::NAN })
            .is_none()
    );
    assert!(detector == before, "what is not scored changes nothing");
    let two = |slot: usize| if slot == 2 { f64::NAN } else { rows[400][slot] };
    assert!(detector.score(SECOND * 400, two).unwrap().is_finite());
    for (at, x) in [1e300, f64::INFINITY, f64::NEG_INFINITY, -1e300, 0.0]
        .into_iter()
        .enumerate()
    {
        let score = detector.score(SECOND * (401 + at as i64), |_| x).unwrap();
        assert!(score.is_finite() && score >= 0.0, "{x}: {score}");
    }
    let mut still = D::fit(&learn(&[[50.0; SLOTS]; 400], [1.0; SLOTS]), &[0, 1, 2]).unwrap();
    let calm = (0..100).map(|at| still.score((400 + at) * SECOND, |_| 50.0).unwrap());
    assert!(
        calm.fold(0.0, f64::max) < 1.0,
        "a signal that stands still is normal"
    );
}

/// Parts name every signal once, shares add up, and a wild signal carries the blame.
pub(super) fn explains_itself<D: Detector>() {
    let rows = machine(700, 3, 9_999);
    let mut detector: D = fit(&rows[..400]);
    for (at, row) in rows[400..].iter().enumerate() {
        // A growing fault of the first signal: a step may be over before it is looked at.
        let grown = at as f64 * 0.2;
        let value = |slot: usize| row[slot] + if slot == 0 { grown } else { 0.0 };
        detector.score((400 + at as i64) * SECOND, value).unwrap();
    }
    let parts = detector.parts();
    assert_eq!(parts.iter().map(|p| p.slot).collect::<Vec<_>>(), [0, 1, 2]);
    assert!((parts.iter().map(|p| p.share).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(
        parts
            .iter()
            .all(|p| p.share >= 0.0 && p.spread > 0.0 && p.normal.is_finite())
    );
    assert!(
        parts[0].share > 0.5 && parts[0].deviation > 0.0,
        "{parts:?}"
    );
    let mut deviations = Vec::new();
    detector.each_deviation(|slot, z| deviations.push((slot, z)));
    let same: Vec<_> = parts.iter().map(|p| (p.slot, p.deviation)).collect();
    assert_eq!(deviations, same);
}

fn bits(scores: &[Option<f64>]) -> Vec<Option<u64>> {
    scores.iter().map(|s| s.map(f64::to_bits)).collect()
}

macro_rules! conformance {
    ($($name:ident: $detector:ty),* $(,)?) => {$(
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(8))]
                #[test]
                fn is_causal_to_the_bit(seed in 1_u64..1_000, cut in 0_usize..500, later in -1e6..1e6) {
                    is_causal::<$detector>(seed, cut, later);
                }

                #[test]
                fn continues_to_the_bit_after_a_restart(seed in 1_u64..1_000, cut in 0_usize..500) {
                    restarts_equal::<$detector>(seed, cut);
                }

                #[test]
                fn does_not_depend_on_units(
                    seed in 1_u64..1_000, a in -12..20_i32, b in -12..20_i32, c in -12..20_i32,
                ) {
                    units_do_not_matter::<$detector>(seed, [a, b, c].map(|e| 2_f64.powi(e)));
                }
            }

            #[test]
            fn odd_input_has_its_stated_answer() {
                odd_input_has_its_answer::<$detector>();
            }

            #[test]
            fn the_explanation_names_the_signal_that_moved() {
                explains_itself::<$detector>();
            }
        }
    )*};
}

conformance! {
    level: crate::detection::level::Level,
    innovation: crate::detection::innovation::Innovation,
    agreement: crate::detection::agreement::Agreement,
    pca: crate::detection::pca::Pca,
    cusum: crate::detection::cusum::Cusum,
    tail: crate::detection::tail::Tail,
    among: crate::detection::among::AmongEquals,
}
