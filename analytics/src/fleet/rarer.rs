//! What the orders of alarms found moves the alarm limit of a kind of machine.
//!
//! It lies on top of what keeps the budget of each device, and comes from the journal: a replay
//! raises the limit at the same place.

use std::collections::BTreeMap;

use telemetry::AssetModelId;

use crate::{AnalyticsError, snapshot};

/// The key of the saved state; ids hold no slash.
pub(super) const RARER_KEY: &str = "rarer/";

/// The factor of each kind of machine; those at 1 need no entry.
#[derive(Debug, Default)]
pub(super) struct Rarer {
    factors: BTreeMap<AssetModelId, f64>,
    dirty: bool,
}

impl Rarer {
    /// Sets the factor of a kind of machine; what is no factor is passed over.
    pub(super) fn set(&mut self, model: &AssetModelId, factor: f64) {
        if factor.is_finite() && factor > 0.0 {
            self.factors.insert(model.clone(), factor);
            self.dirty = true;
        }
    }

    /// The factor of a kind of machine; of a machine without a model that of the unknown kind.
    pub(super) fn of(&self, model: Option<&AssetModelId>) -> f64 {
        let model = model.map_or(AssetModelId::UNKNOWN, AssetModelId::as_str);
        self.factors.get(model).copied().unwrap_or(1.0)
    }

    pub(super) fn take_dirty(&mut self) -> Result<Option<(String, Vec<u8>)>, AnalyticsError> {
        if !self.dirty {
            return Ok(None);
        }
        let bytes = snapshot::encode(RARER_KEY, &self.factors)?;
        self.dirty = false;
        Ok(Some((RARER_KEY.to_owned(), bytes)))
    }

    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), AnalyticsError> {
        self.factors = snapshot::decode(RARER_KEY, bytes)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_holds_for_its_kind_of_machine_over_a_restart() {
        let pump = AssetModelId::new("pump").unwrap();
        let mut rarer = Rarer::default();
        assert!(rarer.take_dirty().unwrap().is_none());
        rarer.set(&pump, f64::NAN);
        rarer.set(&pump, 1.15);
        let (_, bytes) = rarer.take_dirty().unwrap().unwrap();
        let mut again = Rarer::default();
        again.restore(&bytes).unwrap();
        for (model, factor) in [(Some(&pump), 1.15), (None, 1.0)] {
            assert!((again.of(model) - factor).abs() < 1e-12, "{model:?}");
        }
    }
}
