//! Where every asset stands, in memory: alerting asks for it with every alarm.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use sqlx::SqliteConnection;
use telemetry::{AssetId, AssetModel, AssetModelId, Place, Places, Quantity, SignalName, Unit};

use super::{Service, failed, not_found};
use crate::{Asset, AssetUpdate, ServiceError};

/// The place of every asset. Readers share the lock for one look-up.
#[derive(Default)]
pub(super) struct PlaceBook(RwLock<HashMap<AssetId, Place>>);

impl PlaceBook {
    /// Assets that are new or were changed.
    pub(super) fn put<'a>(
        &self,
        assets: impl IntoIterator<Item = &'a Asset>,
        models: &BTreeMap<AssetModelId, Arc<AssetModel>>,
    ) {
        let mut drives: HashMap<AssetModelId, Arc<[SignalName]>> = HashMap::new();
        let changed: Vec<(AssetId, Place)> = assets
            .into_iter()
            .map(|asset| {
                let drive_signals = drives
                    .entry(asset.model.clone())
                    .or_insert_with(|| drive_signals(models.get(&asset.model)));
                let place = Place {
                    site: asset.site.id.clone(),
                    customer: asset.customer.id.clone(),
                    model: asset.model.clone(),
                    parent: asset.parent.clone(),
                    time_zone: asset.site.time_zone.as_str().to_owned(),
                    drive_signals: Arc::clone(drive_signals),
                };
                (asset.id.clone(), place)
            })
            .collect();
        let mut places = self.0.write().unwrap_or_else(PoisonError::into_inner);
        places.extend(changed);
    }

    fn get(&self, asset: &AssetId) -> Option<Place> {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        places.get(asset).cloned()
    }
}

impl Places for Service {
    fn place(&self, asset: &AssetId) -> Option<Place> {
        self.inner.places.get(asset)
    }
}

/// The signals that say how a machine of this model is run: those it tells load regimes apart
/// by, else its rotational speeds. Flow, current and power move with faults as well.
pub(super) fn drive_signals(model: Option<&Arc<AssetModel>>) -> Arc<[SignalName]> {
    let Some(model) = model else {
        return Arc::default();
    };
    if !model.operating.regime_signals.is_empty() {
        return model.operating.regime_signals.as_slice().into();
    }
    let is_speed = |unit: Unit| unit.quantity() == Quantity::RotationalSpeed;
    let speeds = model.signals.iter().filter(|signal| is_speed(signal.unit));
    speeds.map(|signal| signal.name.clone()).collect()
}

/// Refuses a parent that is unknown, that stands below the asset itself, or that stands too deep.
pub(super) async fn check_parent(
    connection: &mut SqliteConnection,
    asset: &AssetId,
    parent: &AssetId,
) -> Result<(), ServiceError> {
    let mut above = parent.as_str().to_owned();
    for _ in 0..AssetUpdate::MAX_DEPTH {
        if above == asset.as_str() {
            return Err(ServiceError::Invalid {
                field: "parent",
                problem: format!("{parent} is part of {asset} itself"),
            });
        }
        let found: Option<Option<String>> =
            sqlx::query_scalar("SELECT parent FROM assets WHERE id = ?")
                .bind(above.as_str())
                .fetch_optional(&mut *connection)
                .await
                .map_err(failed("looking up the parent of an asset"))?;
        match found {
            None => return Err(not_found("asset", &above)),
            Some(None) => return Ok(()),
            Some(Some(next)) => above = next,
        }
    }
    Err(ServiceError::Invalid {
        field: "parent",
        problem: format!(
            "more than {} assets would stand above it",
            AssetUpdate::MAX_DEPTH
        ),
    })
}
