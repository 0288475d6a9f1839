//! What is known about a machine before it is measured: its model, prepared for the signals
//! of one device.
//!
//! Nothing of it is saved with a state: it comes again from the asset ledger.

use std::sync::Arc;

use telemetry::{AssetModel, SignalName};

use crate::{detection::signature::Signatures, health::components::Components};

/// A model against the signals of one device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knowledge {
    model: Option<Arc<AssetModel>>,
    signatures: Signatures,
    components: Components,
    /// How much rarer than usual alarms are to be, above 1.
    rarer: f64,
}

impl Knowledge {
    /// Prepares a model for signals by slot.
    pub(crate) fn new(model: Option<Arc<AssetModel>>, signals: &[SignalName]) -> Self {
        let mut knowledge = Self::default();
        if let Some(model) = &model {
            knowledge.signatures = Signatures::new(model, signals);
            knowledge.components = Components::new(model);
        }
        knowledge.model = model;
        knowledge
    }

    /// The model, when there is one.
    pub(crate) fn model(&self) -> Option<&AssetModel> {
        self.model.as_deref()
    }

    /// Whether this is the model in use.
    pub(crate) fn is_of(&self, model: Option<&Arc<AssetModel>>) -> bool {
        match (&self.model, model) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs) || ours == theirs,
            (None, None) => true,
            _ => false,
        }
    }

    /// The model itself, to prepare it for other signals.
    pub(crate) fn shared_model(&self) -> Option<Arc<AssetModel>> {
        self.model.clone()
    }

    /// The signatures of its failure modes.
    pub(crate) fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// Makes alarms rarer by a factor; 1 is as usual.
    pub(crate) fn set_rarer(&mut self, factor: f64) {
        self.rarer = factor - 1.0;
    }

    /// The factor that alarm limits are raised by, beside what keeps the budget.
    pub(crate) fn rarer(&self) -> f64 {
        1.0 + self.rarer
    }

    /// Its components.
    pub(crate) fn components(&self) -> &Components {
        &self.components
    }
}
