//! The health of each component of an asset, from the failure modes that concern it.
//!
//! A failure mode *m* has a signature, a direction in the space of deviations. The part of the
//! deviations z that points along it, c = cos(z, m) where that is at least [`LEAST_FIT`] and
//! 0 else, says how much of the score speaks for that mode. A component is as ill as the mode
//! of it that fits best:
//!
//! ```text
//! share(component) = max over its modes of c²                       (0 to 1)
//! health(component) = health(score · √share)   with the curve of the asset's index
//! ```
//!
//! c² is the share of the squared deviation that the signature explains. A deviation that fits
//! no mode thus lowers the health of the asset and of no component: something is wrong, and
//! nobody knows where. The asset's own index is that of the whole score and thus never above
//! the lowest of its components: a machine is as healthy as what fails first, and an average
//! would hide one dead bearing among nine good parts. The weights, those of the model (1 where
//! it says nothing) divided by their sum, say how much a component counts for whoever ranks
//! components against each other.

use telemetry::{AssetModel, ComponentHealth, ComponentId, FailureMode, HealthIndex};

/// The least cosine that says anything about a component: 60 degrees, a quarter of the
/// squared deviation. Below it the direction is as good as another.
const LEAST_FIT: f64 = 0.5;

/// The components of a model with the failure modes that concern each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Components(Vec<Component>);

#[derive(Debug, Clone)]
struct Component {
    id: ComponentId,
    weight: f64,
    modes: Vec<FailureMode>,
}

impl Components {
    /// Prepares the components of a model.
    pub(crate) fn new(model: &AssetModel) -> Self {
        let total: f64 = model.components.iter().map(|one| one.weight).sum();
        let prepare = |one: &telemetry::Component| Component {
            id: one.id.clone(),
            weight: if total > 0.0 { one.weight / total } else { 0.0 },
            modes: model
                .failure_modes
                .iter()
                .filter(|mode| mode.component.as_ref() == Some(&one.id))
                .map(|mode| mode.mode.clone())
                .collect(),
        };
        Self(model.components.iter().map(prepare).collect())
    }

    /// The health of each, from the cosine of every mode and the health curve of a score.
    pub(crate) fn assess(
        &self,
        score: f64,
        fits: &[(&FailureMode, f64)],
        index: impl Fn(f64) -> HealthIndex,
    ) -> Vec<ComponentHealth> {
        let fit = |mode: &FailureMode| {
            let found = fits.iter().find(|(known, _)| *known == mode);
            found.map_or(0.0, |(_, fit)| *fit)
        };
        let of = |one: &Component| {
            let best = one.modes.iter().map(fit).fold(0.0, f64::max);
            let share = if best >= LEAST_FIT { best } else { 0.0 };
            ComponentHealth {
                component: one.id.clone(),
                health: index(score * share),
                weight: one.weight,
            }
        };
        self.0.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use telemetry::SignalName;

    use super::*;
    use crate::detection::{metric::Metric, signature::Signatures};

    fn model() -> AssetModel {
        serde_json::from_value(serde_json::json!({
            "id": "pump", "name_en": "Pump", "name_zh": "泵", "signals": [],
            "components": [
                {"id": "bearing", "name_en": "", "name_zh": "", "weight": 3.0},
                {"id": "impeller", "name_en": "", "name_zh": ""}],
            "failure_modes": [
                {"mode": "bearing-wear", "name_en": "", "name_zh": "", "component": "bearing",
                 "signature": [{"signal": "vibration", "weight": 4.0}, {"signal": "temperature", "weight": 3.0}]},
                {"mode": "cavitation", "name_en": "", "name_zh": "", "component": "impeller",
                 "signature": [{"signal": "pressure", "weight": -1.0}, {"signal": "vibration", "weight": 1.0}]}]
        }))
        .unwrap()
    }

    #[test]
    fn a_component_is_as_ill_as_its_best_fitting_mode() {
        let model = model();
        let names = ["pressure", "temperature", "vibration"].map(|n| SignalName::new(n).unwrap());
        let signatures = Signatures::new(&model, &names);
        let components = Components::new(&model);
        let plain = |score: f64| HealthIndex::new(100.0 - 10.0 * score);
        for (z, bearing, impeller) in [
            // Exactly bearing wear; the cosine with cavitation is 0.8/√2 = 0.566.
            ([0.0, 3.0, 4.0], 50.0, 71.716),
            ([-5.0, 0.0, 5.0], 71.716, 50.0),
            ([0.0, 0.0, 0.0], 100.0, 100.0),
            // Fits nothing: no component is blamed.
            ([9.0, -3.0, 1.0], 100.0, 100.0),
        ] {
            let told = components.assess(5.0, &signatures.fits(&Metric::default(), &z), plain);
            let health: Vec<f64> = told.iter().map(|one| one.health.get()).collect();
            assert!((health[0] - bearing).abs() < 1e-3, "{z:?}: {health:?}");
            assert!((health[1] - impeller).abs() < 1e-3, "{z:?}: {health:?}");
            assert!((told[0].weight - 0.75).abs() < 1e-12);
        }
    }
}
