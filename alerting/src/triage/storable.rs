//! Numbers that JSON and SQLite can hold: what is written has to be read back.

use telemetry::{Evidence, Prognosis};

/// A number that JSON and SQLite can hold: neither has NaN or infinity.
pub(super) fn storable(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(f64::MIN, f64::MAX)
    }
}

pub(super) fn storable_evidence(evidence: &Evidence) -> Evidence {
    let mut evidence = evidence.clone();
    let numbers = &mut evidence.statistics;
    for value in [
        &mut numbers.score,
        &mut numbers.on,
        &mut numbers.off,
        &mut evidence.failure_mode_fit,
    ] {
        *value = storable(*value);
    }
    for view in &mut evidence.views {
        for value in [&mut view.score, &mut view.limit] {
            *value = storable(*value);
        }
    }
    for part in &mut evidence.contributions {
        for value in [
            &mut part.share,
            &mut part.deviation,
            &mut part.value,
            &mut part.normal,
            &mut part.normal_low,
            &mut part.normal_high,
        ] {
            *value = storable(*value);
        }
    }
    evidence
}

pub(super) fn storable_prognosis(prognosis: &Prognosis) -> Prognosis {
    let mut prognosis = prognosis.clone();
    for value in [
        &mut prognosis.rul_p10_s,
        &mut prognosis.rul_p50_s,
        &mut prognosis.rul_p90_s,
    ] {
        *value = storable(*value);
    }
    for value in [
        &mut prognosis.limit,
        &mut prognosis.loss_per_day,
        &mut prognosis.p_value,
    ]
    .into_iter()
    .flatten()
    {
        *value = storable(*value);
    }
    for quantile in &mut prognosis.detail.fan {
        quantile.rul_s = storable(quantile.rul_s);
    }
    prognosis
}
