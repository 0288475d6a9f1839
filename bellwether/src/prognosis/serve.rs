//! The models that serve: which ones the journal has promoted, and their bytes made a forecaster.

use std::{collections::BTreeMap, sync::Arc};

use analytics::{
    Fleet,
    prognosis::{
        serving::{Forecaster, ModelId},
        trained::{Serving, TrainedModel},
    },
};
use anyhow::{Context, Result, bail};
use historian::ModelRegistry;
use serde::{Deserialize, Serialize};
use telemetry::{AssetModelId, Event};

/// What the journal says serves. Saved with the position of the analytics, so that a restart
/// goes on with the same models, whatever was promoted since.
#[derive(Debug, Default)]
pub(crate) struct Promoted {
    models: BTreeMap<AssetModelId, Entry>,
    pub(crate) dirty: bool,
}

/// A version that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    version: u32,
    checksum: String,
}

impl Promoted {
    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let models =
            serde_json::from_slice(bytes).context("the list of promoted models is not readable")?;
        Ok(Self {
            models,
            dirty: false,
        })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.models).context("the list of promoted models is not writable")
    }

    /// Takes an event and lets the fleet be served by it.
    pub(crate) fn hear(&mut self, event: &Event, registry: &ModelRegistry, fleet: &mut Fleet) {
        let Event::ModelPromoted {
            asset_model,
            version,
            checksum,
            ..
        } = event
        else {
            return;
        };
        let entry = Entry {
            version: *version,
            checksum: checksum.clone(),
        };
        serve(asset_model, &entry, registry, fleet);
        self.models.insert(asset_model.clone(), entry);
        self.dirty = true;
    }

    /// Lets everything serve that did before a restart.
    pub(crate) fn serve_all(&self, registry: &ModelRegistry, fleet: &mut Fleet) {
        for (asset_model, entry) in &self.models {
            serve(asset_model, entry, registry, fleet);
        }
    }
}

/// A model that is gone or damaged serves nobody: the trend speaks, and the log says why.
fn serve(asset_model: &AssetModelId, entry: &Entry, registry: &ModelRegistry, fleet: &mut Fleet) {
    let id = ModelId {
        asset_model: asset_model.clone(),
        version: entry.version,
        checksum: entry.checksum.clone(),
    };
    let forecaster = match load(&id, registry) {
        Ok(forecaster) => Some(forecaster),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(%asset_model, version = entry.version, error, "the promoted model cannot serve");
            None
        }
    };
    fleet.serve(asset_model, forecaster);
}

/// A model of the registry, ready to serve.
///
/// # Errors
/// When it is not there, damaged, or of a format this release does not read.
pub(crate) fn load(id: &ModelId, registry: &ModelRegistry) -> Result<Arc<dyn Forecaster>> {
    let Some(bytes) = registry.bytes(&id.checksum)? else {
        bail!("there is no model {} in the registry", id.checksum);
    };
    let model = TrainedModel::decode(&bytes)?;
    Ok(Arc::new(Serving::new(id.clone(), model)))
}
