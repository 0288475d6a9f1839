//! Fleet comparison: does an asset stand out among its peers?
//!
//! Assets of the same model in the same regime share weather, load and grid; what they do
//! together is no fault. The level of each signal is compared with the median of the others,
//! in their robust spread (1.4826 MAD). With few peers both are uncertain, so the limit is
//! that of a prediction interval: Student's t with one degree of freedom less than there are
//! peers, for one false alarm in a thousand comparisons over all signals of the asset.
//!
//! Nothing in the chain of a device asks for it yet, and an asset model that wants the view
//! `fleet` is refused: levels of peers would have to be the same after a restart and whatever
//! the order in which devices report. Until then it compares tables that are at hand.
//!
//! # Source
//! Prediction of one more observation: Hahn & Meeker, "Statistical Intervals" (1991), chapter
//! 4; the variance of a median is π/2 that of a mean.

use std::f64::consts::PI;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::healthy::STILL_SPREAD;

/// Fewest peers with a value: with three others a limit would lie at 30 spreads.
pub const MIN_PEERS: usize = 4;
/// The chance of a false alarm in one comparison, over all signals.
const ALPHA: f64 = 1e-3;
/// Consistent estimate of a standard deviation from a median absolute deviation.
const MAD_TO_SIGMA: f64 = 1.4826;

/// One signal of an asset among its peers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Among {
    /// The signal: its column in the table.
    pub signal: usize,
    /// The asset's level.
    pub value: f64,
    /// The median of the peers.
    pub normal: f64,
    /// The robust spread of the peers, above 0.
    pub spread: f64,
    /// How far it stands out, with its sign; ±1 is the limit.
    pub score: f64,
    /// Peers that had a value.
    pub peers: usize,
}

/// Compares the asset in row `asset` of a table of smoothed levels, shape `(n_assets,
/// n_signals)`, NaN where there is none, with all other rows. Signals that the asset or too
/// many peers lack are left out, and so are signals that are 0 everywhere. The strongest
/// deviation comes first; an asset or a table that is not there gives nothing.
pub fn compare(levels: &[Vec<f64>], asset: usize) -> Vec<Among> {
    let Some(own) = levels.get(asset) else {
        return Vec::new();
    };
    let among = |(signal, &value): (usize, &f64)| {
        let others = levels.iter().enumerate().filter(|(row, _)| *row != asset);
        let peers: Vec<f64> = others
            .filter_map(|(_, row)| row.get(signal).copied())
            .filter(|x| x.is_finite())
            .collect();
        one(signal, value, &peers, own.len())
    };
    let mut found: Vec<Among> = own.iter().enumerate().filter_map(among).collect();
    found.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    found
}

fn one(signal: usize, value: f64, peers: &[f64], signals: usize) -> Option<Among> {
    let count = peers.len();
    if !value.is_finite() || count < MIN_PEERS {
        return None;
    }
    let normal = median(peers.to_vec());
    let distances = peers.iter().map(|x| (x - normal).abs()).collect();
    let spread = (MAD_TO_SIGMA * median(distances)).max(STILL_SPREAD * normal.abs());
    let t = StudentsT::new(0.0, 1.0, count as f64 - 1.0).ok()?;
    let limit = t.inverse_cdf(1.0 - ALPHA / (2.0 * signals as f64));
    let reach = spread * (1.0 + PI / (2.0 * count as f64)).sqrt() * limit;
    (reach > 0.0 && reach.is_finite()).then(|| Among {
        signal,
        value,
        normal,
        spread,
        score: (value - normal) / reach,
        peers: count,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    f64::midpoint(values[(n - 1) / 2], values[n / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten fans: temperatures about 60 with a spread of 1, and the last one as given.
    fn fleet(last: f64) -> Vec<Vec<f64>> {
        let at = |n: i32| 60.0 + f64::from(n - 4) * 0.5;
        let mut fleet: Vec<Vec<f64>> = (0..9).map(|n| vec![at(n), 5.0]).collect();
        fleet.push(vec![last, 5.0]);
        fleet
    }

    #[test]
    fn the_one_that_stands_out_is_found_and_a_common_rise_is_not() {
        let found = compare(&fleet(75.0), 9);
        assert!(found[0].signal == 0 && found[0].score > 1.0, "{found:?}");
        assert!(compare(&fleet(61.5), 9)[0].score < 0.5);
        // All fans ten degrees warmer: the weather.
        let warm: Vec<Vec<f64>> = fleet(61.5)
            .iter()
            .map(|row| vec![row[0] + 10.0, row[1]])
            .collect();
        let (one, other) = (&compare(&fleet(61.5), 9)[0], &compare(&warm, 9)[0]);
        assert!((one.score - other.score).abs() < 1e-9);
    }

    #[test]
    fn the_limit_is_that_of_a_prediction_interval() {
        // Nine peers, two signals: t(8) at 1 - 0.001/4 is 5.61741 (scipy.stats.t.ppf);
        // median 60, MAD 1, so the limit lies at 60 + 1.4826 * sqrt(1 + pi/18) * 5.61741.
        let limit = 60.0 + 1.4826 * (1.0 + PI / 18.0).sqrt() * 5.617_41;
        let found = compare(&fleet(limit), 9);
        assert!((found[0].score - 1.0).abs() < 1e-4, "{found:?}");
        assert_eq!(found[0].peers, 9);
    }

    #[test]
    fn too_few_peers_and_missing_values_say_nothing() {
        assert!(compare(&fleet(75.0)[6..], 3).is_empty());
        assert!(
            compare(&fleet(f64::NAN), 9)
                .iter()
                .all(|among| among.signal == 1)
        );
        assert!(compare(&[], 0).is_empty());
        assert!(compare(&vec![vec![0.0]; 8], 2).is_empty(), "always 0");
        let mut gone = fleet(75.0);
        gone[..6].iter_mut().for_each(|row| row[0] = f64::NAN);
        assert!(compare(&gone, 9).iter().all(|among| among.signal == 1));
    }
}
