//! Control limits of T² and Q for independent normal rows.

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor, Normal};

/// The limit of Hotelling's T² of a new row with `k` components estimated from `n` rows that
/// is passed with probability `alpha`. Needs 1 ≤ k < n.
///
/// # Source
/// Tracy, Young & Mason, "Multivariate control charts for individual observations", Journal
/// of Quality Technology 24 (1992): T² ~ k (n + 1)(n − 1) / (n (n − k)) F(k, n − k).
pub(crate) fn t2_limit(k: usize, n: usize, alpha: f64) -> f64 {
    let (kf, nf) = (k as f64, n as f64);
    let quantile =
        FisherSnedecor::new(kf, nf - kf).map_or(f64::NAN, |f| f.inverse_cdf(1.0 - alpha));
    kf * (nf * nf - 1.0) / (nf * (nf - kf)) * quantile
}

/// The limit of Q (squared prediction error) that is passed with probability `alpha`, from
/// the eigenvalues of the residual subspace. Without any residual there is nothing to pass:
/// the limit is 1 and Q is always 0.
///
/// # Source
/// Jackson & Mudholkar, "Control procedures for residuals associated with principal component
/// analysis", Technometrics 21 (1979). Where their h₀ is not positive, the approximation of
/// Box, Annals of Mathematical Statistics 25 (1954): Q ~ g χ²(h) with g = θ₂/θ₁, h = θ₁²/θ₂.
pub(crate) fn q_limit(residual: &[f64], alpha: f64) -> f64 {
    let theta = |power: i32| residual.iter().map(|l| l.powi(power)).sum::<f64>();
    let (t1, t2, t3) = (theta(1), theta(2), theta(3));
    if t1 <= 0.0 {
        return 1.0;
    }
    let h0 = 1.0 - 2.0 * t1 * t3 / (3.0 * t2 * t2);
    if h0 <= 0.0 {
        let (g, h) = (t2 / t1, t1 * t1 / t2);
        return g * ChiSquared::new(h).map_or(f64::NAN, |d| d.inverse_cdf(1.0 - alpha));
    }
    let c = Normal::standard().inverse_cdf(1.0 - alpha);
    let base = c * (2.0 * t2 * h0 * h0).sqrt() / t1 + 1.0 + t2 * h0 * (h0 - 1.0) / (t1 * t1);
    t1 * base.powf(1.0 / h0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, relative: f64) {
        assert!(
            (got / expected - 1.0).abs() < relative,
            "{got} is not {expected}"
        );
    }

    #[test]
    fn t2_limits_agree_with_scipy() {
        // k*(n*n-1)/(n*(n-k)) * scipy.stats.f.ppf(1-alpha, k, n-k)
        for (k, n, alpha, expected) in [
            (1, 400, 0.01, 6.715_563_365),
            (2, 20, 0.05, 7.879_268_34),
            (3, 25, 0.01, 16.393_974_57),
            (6, 400, 0.01, 17.347_698_71),
            (6, 2000, 0.01, 16.916_741_44),
            (40, 100, 0.01, 129.054_991_3),
        ] {
            close(t2_limit(k, n, alpha), expected, 1e-6);
        }
    }

    #[test]
    fn q_limits_agree_with_an_independent_evaluation() {
        // The same formula in numpy with scipy.stats.norm.ppf and chi2.ppf.
        for (eigenvalues, alpha, expected) in [
            (&[0.5][..], 0.01, 3.292_886_548),
            (&[0.9, 0.4, 0.1][..], 0.05, 4.233_840_837),
            (&[0.9, 0.4, 0.1][..], 0.01, 6.978_154_026),
            (
                &[&[10.0][..], &[0.01; 2000]].concat()[..],
                0.01,
                72.270_889_89,
            ),
        ] {
            close(q_limit(eigenvalues, alpha), expected, 1e-6);
        }
        close(q_limit(&[], 0.01), 1.0, 1e-12);
    }

    #[test]
    fn the_q_limit_of_equal_eigenvalues_is_near_the_exact_chi_square() {
        // Q of m unit eigenvalues is chi-square with m degrees of freedom: exact 1 % points
        // from any table. Jackson and Mudholkar's approximation is good to a few per cent.
        for (m, exact) in [(1, 6.635), (4, 13.277), (10, 23.209)] {
            close(q_limit(&vec![1.0; m], 0.01), exact, 0.03);
        }
    }
}
