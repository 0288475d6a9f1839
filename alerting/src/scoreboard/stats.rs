//! Numbers from few cases, each with the interval it may lie in: 95 % in all of them.

use serde::Serialize;

/// The two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// Half of what lies outside of the intervals.
const TAIL: f64 = 0.025;

/// A number with the interval it may lie in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// The lower end; none where there are too few cases for one.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// A share, 0 to 1; none of nothing.
///
/// # Source
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
/// J. Am. Stat. Assoc. 22 (1927).
pub fn share(hits: u32, of: u32) -> Option<Estimate> {
    if of == 0 || hits > of {
        return None;
    }
    let (n, p) = (f64::from(of), f64::from(hits) / f64::from(of));
    let middle = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    Some(Estimate {
        value: p,
        low: Some(((middle - spread) / whole).clamp(0.0, 1.0)),
        high: Some(((middle + spread) / whole).clamp(0.0, 1.0)),
    })
}

/// A rate: events over the time (or whatever else) in which they happened; none for no time.
///
/// # Source
/// F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936): exact.
pub fn rate(events: u32, over: f64) -> Option<Estimate> {
    if !(over > 0.0 && over.is_finite()) {
        return None;
    }
    let low = if events == 0 {
        0.0
    } else {
        // The mean at which so many or more are as likely as the tail.
        mean_where(|mean| 1.0 - poisson_below(events - 1, mean) < TAIL, events)
    };
    let high = mean_where(|mean| poisson_below(events, mean) > TAIL, events);
    Some(Estimate {
        value: f64::from(events) / over,
        low: Some(low / over),
        high: Some(high / over),
    })
}

/// The mean up to which a condition holds, by halving.
fn mean_where(holds: impl Fn(f64) -> bool, events: u32) -> f64 {
    let n = f64::from(events);
    // Four spreads and the square of the quantile lie beyond either end.
    let (mut from, mut to) = (0.0, n + 6.0 * (n + 1.0).sqrt() + 10.0);
    for _ in 0..100 {
        let middle = f64::midpoint(from, to);
        if holds(middle) {
            from = middle;
        } else {
            to = middle;
        }
    }
    f64::midpoint(from, to)
}

/// The probability of at most `events`. Summed from the largest term, in logarithms, so that
/// thousands of events do not underflow.
fn poisson_below(events: u32, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let mut log_term = -mean;
    let mut sum = log_term.exp();
    for k in 1..=events {
        log_term += mean.ln() - f64::from(k).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

/// The median with an interval between two of the values; none of nothing. The interval needs six
/// values: of five even the whole range holds the median in less than 95 of 100 cases.
///
/// # Source
/// W. R. Thompson, "On confidence ranges for the median", Ann. Math. Stat. 7 (1936).
pub fn median(mut values: Vec<f64>) -> Option<Estimate> {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    let value = match (n.checked_sub(1)? / 2, n / 2) {
        (low, high) if low == high => values[low],
        (low, high) => f64::midpoint(values[low], values[high]),
    };
    // The largest rank below which at most the tail of the binomial with one half lies.
    let (mut below, mut log_term, mut rank) = (0.0, -(n as f64) * std::f64::consts::LN_2, None);
    for k in 0..n / 2 {
        below += f64::exp(log_term);
        if below > TAIL {
            break;
        }
        rank = Some(k);
        log_term += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    Some(Estimate {
        value,
        low: rank.map(|rank| values[rank]),
        high: rank.map(|rank| values[n - 1 - rank]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 6e-4)
    }

    #[test]
    fn shares_have_the_interval_of_wilson() {
        // R: prop.test(k, n, correct = FALSE)$conf.int, which is Wilson's interval.
        for (hits, of, low, high) in [
            (8, 10, 0.4902, 0.9433),
            (0, 10, 0.0, 0.2775),
            (10, 10, 0.7225, 1.0),
            (50, 100, 0.4038, 0.5962),
            (1, 1, 0.2065, 1.0),
        ] {
            let found = share(hits, of).unwrap();
            assert!(near(found.low, low) && near(found.high, high), "{found:?}");
        }
        assert_eq!((share(0, 0), share(2, 1)), (None, None));
    }

    #[test]
    fn rates_have_the_exact_interval() {
        // Garwood's table, as reproduced by R's poisson.test.
        for (events, low, high) in [
            (0, 0.0, 3.6889),
            (1, 0.0253, 5.5716),
            (5, 1.6235, 11.6683),
            (10, 4.7954, 18.3904),
            (100, 81.3640, 121.6272),
        ] {
            let found = rate(events, 1.0).unwrap();
            assert!(near(found.low, low) && near(found.high, high), "{found:?}");
        }
        let halved = rate(10, 2.0).unwrap();
        assert!((halved.value - 5.0).abs() < 1e-12 && near(halved.low, 4.7954 / 2.0));
        assert_eq!((rate(1, 0.0), rate(1, f64::NAN)), (None, None));
        assert!(
            rate(5_000, 1.0)
                .unwrap()
                .high
                .is_some_and(|high| high < 5_200.0)
        );
    }

    #[test]
    fn medians_have_an_interval_between_order_statistics() {
        // Ranks from the table of the sign test: n = 6: 1 and 6; n = 10: 2 and 9; n = 20: 6 and 15.
        for (n, low, high) in [(6, 1.0, 6.0), (10, 2.0, 9.0), (20, 6.0, 15.0)] {
            let found = median((1..=n).rev().map(f64::from).collect()).unwrap();
            assert!((found.value - f64::from(n + 1) / 2.0).abs() < 1e-12);
            assert_eq!((found.low, found.high), (Some(low), Some(high)), "{n}");
        }
        let few = median(vec![3.0, 1.0, f64::NAN, 2.0]).unwrap();
        assert_eq!((few.value.to_bits(), few.low), (2.0_f64.to_bits(), None));
        assert_eq!(median(Vec::new()), None);
    }
}
