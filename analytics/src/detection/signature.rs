//! Which failure mode the deviations look like.
//!
//! An asset model declares for each failure mode the direction in which signals move. The
//! deviations z, averaged over the rows of the on-delay and cut at [`CLIP`] spreads so that
//! one wild signal does not drown the others, are compared with each signature by the cosine
//! of the angle between them; a signal that one of the two does not have counts as 0 there.
//! Terms `signal.feature` are compared with the deviation of the feature (module `usual`).
//! The best signature names the mode if its cosine reaches [`MIN_FIT`].
//!
//! The angle is measured after what the signals of a healthy machine do together was taken
//! out ([`super::metric`]): when an alarm rises, the fault is hardly larger than the swing of
//! the load, and that swing moves most signals at once.

use std::collections::BTreeSet;

use telemetry::{AssetModel, FailureMode, SignalName};

use super::metric::Metric;
use crate::{Feature, manipulation::features::place_of};

/// Deviations beyond this many spreads count as this many.
pub(crate) const CLIP: f64 = 10.0;
/// The least cosine that names a mode: about 45 degrees, half of the squared deviation.
const MIN_FIT: f64 = 0.7;

/// The signatures of a model against the signals of one device, and the features of them that
/// any signature names. Deviations come in that order: by slot, then [`Signatures::features`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Signatures {
    modes: Vec<Signature>,
    features: Vec<(usize, Feature)>,
}

#[derive(Debug, Clone)]
struct Signature {
    mode: FailureMode,
    /// By slot and then by feature, in healthy spreads; scaled so that all terms together have
    /// length 1.
    weights: Vec<f64>,
    /// The square of what is left of that length in signals the device does not have.
    unseen: f64,
}

impl Signatures {
    /// Prepares the signatures of a model for the signals of a device, in their order.
    pub(crate) fn new(model: &AssetModel, signals: &[SignalName]) -> Self {
        let place = |name: &SignalName| place_of(name, model, signals);
        let terms = model.failure_modes.iter().flat_map(|mode| &mode.signature);
        let features = terms.filter_map(|term| {
            let (slot, feature) = place(&term.signal)?;
            Some((slot, feature?))
        });
        let features: Vec<_> = features.collect::<BTreeSet<_>>().into_iter().collect();
        let index = |name: &SignalName| {
            let (slot, feature) = place(name)?;
            let Some(feature) = feature else {
                return Some(slot);
            };
            let at = features.binary_search(&(slot, feature)).ok()?;
            Some(signals.len() + at)
        };
        let prepare = |mode: &telemetry::FailureModeSignature| {
            let terms = &mode.signature;
            let length = terms
                .iter()
                .map(|t| t.weight * t.weight)
                .sum::<f64>()
                .sqrt();
            if length <= 0.0 || !length.is_finite() {
                return None;
            }
            let mut weights = vec![0.0; signals.len() + features.len()];
            for term in terms {
                if let Some(at) = index(&term.signal) {
                    weights[at] = term.weight / length;
                }
            }
            let seen: f64 = weights.iter().map(|w| w * w).sum();
            Some(Signature {
                mode: mode.mode.clone(),
                weights,
                unseen: (1.0 - seen).max(0.0),
            })
        };
        Self {
            modes: model.failure_modes.iter().filter_map(prepare).collect(),
            features,
        }
    }

    /// Slot and feature of what is compared beside the signals.
    pub(crate) fn features(&self) -> &[(usize, Feature)] {
        &self.features
    }

    /// Every mode with the cosine of its signature, 0 for one that points away.
    pub(crate) fn fits(&self, metric: &Metric, deviations: &[f64]) -> Vec<(&FailureMode, f64)> {
        let clipped: Vec<f64> = deviations.iter().map(|z| z.clamp(-CLIP, CLIP)).collect();
        let found = metric.whiten(&clipped);
        let square = |part: &[f64]| part.iter().map(|w| w * w).sum::<f64>();
        let fit = |signature: &Signature| {
            let wanted = metric.whiten(&signature.weights);
            let dot: f64 = found.iter().zip(&wanted).map(|(z, w)| z * w).sum();
            let length = (square(&found) * (square(&wanted) + signature.unseen)).sqrt();
            if length > 0.0 {
                (dot / length).clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        self.modes.iter().map(|one| (&one.mode, fit(one))).collect()
    }

    /// The mode that fits best with its cosine, or unclassified with 0.
    pub(crate) fn classify(&self, metric: &Metric, deviations: &[f64]) -> (FailureMode, f64) {
        let mut best = (FailureMode::unclassified(), 0.0);
        for (mode, fit) in self.fits(metric, deviations) {
            if fit >= MIN_FIT && fit > best.1 {
                best = (mode.clone(), fit);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> AssetModel {
        serde_json::from_value(serde_json::json!({
            "id": "pump", "name_en": "Pump", "name_zh": "泵",
            "signals": [{"name": "vibration", "unit": "mm/s", "label_en": "", "label_zh": ""}],
            "failure_modes": [
                {"mode": "bearing-wear", "name_en": "", "name_zh": "", "signature": [
                    {"signal": "vibration", "weight": 4.0}, {"signal": "temperature", "weight": 3.0}]},
                {"mode": "cavitation", "name_en": "", "name_zh": "", "signature": [
                    {"signal": "pressure", "weight": -1.0}, {"signal": "vibration", "weight": 1.0}]}]
        }))
        .unwrap()
    }

    #[test]
    fn the_closest_signature_names_the_mode() {
        let names = ["pressure", "temperature", "vibration"].map(|n| SignalName::new(n).unwrap());
        let signatures = Signatures::new(&model(), &names);
        for (z, mode, fit) in [
            ([0.0, 3.0, 4.0], "bearing-wear", 1.0),
            ([-5.0, 0.0, 5.0], "cavitation", 1.0),
            ([-5.0, 0.0, 500.0], "cavitation", 15.0 / 250_f64.sqrt()),
            ([5.0, 0.0, -5.0], "unclassified", 0.0),
            ([9.0, 0.0, 1.0], "unclassified", 0.0),
            ([0.0, 0.0, 0.0], "unclassified", 0.0),
        ] {
            let (got, cosine) = signatures.classify(&Metric::default(), &z);
            assert_eq!(got.as_str(), mode, "{z:?}");
            assert!((cosine - fit).abs() < 1e-12, "{z:?}: {cosine}");
        }
    }

    #[test]
    fn features_have_a_say() {
        let mut model = model();
        let kurtosis = serde_json::json!({"signal": "vibration.kurtosis", "weight": 4.0});
        model.failure_modes[0].signature = vec![serde_json::from_value(kurtosis).unwrap()];
        let names = ["pressure", "vibration"].map(|n| SignalName::new(n).unwrap());
        let signatures = Signatures::new(&model, &names);
        assert_eq!(signatures.features(), [(1, Feature::Kurtosis)]);
        for (z, mode) in [
            ([0.0, 0.5, 6.0], "bearing-wear"),
            ([-6.0, 6.0, 1.0], "cavitation"),
            ([0.0, 6.0, -6.0], "unclassified"),
        ] {
            assert_eq!(
                signatures.classify(&Metric::default(), &z).0.as_str(),
                mode,
                "{z:?}"
            );
        }
    }

    #[test]
    fn a_signature_whose_signals_are_not_measured_fits_less() {
        let names = ["vibration", "flow"].map(|n| SignalName::new(n).unwrap());
        let signatures = Signatures::new(&model(), &names);
        let (mode, fit) = signatures.classify(&Metric::default(), &[5.0, 0.0]);
        assert_eq!(mode.as_str(), "bearing-wear");
        assert!((fit - 0.8).abs() < 1e-12);
    }
}
