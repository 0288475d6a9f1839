//! Where an asset stands: what alerting has to know of the ledger to see which problems belong
//! together.

use std::sync::Arc;

use crate::{AssetId, AssetModelId, CustomerId, SignalName, SiteId};

/// Where an asset stands and what it is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The site it stands at.
    pub site: SiteId,
    /// Whose site that is.
    pub customer: CustomerId,
    /// What kind of machine it is.
    pub model: AssetModelId,
    /// The asset it is part of or fed by: while that one fails, its own alarms say nothing new.
    pub parent: Option<AssetId>,
    /// The IANA name of the time zone of the site.
    pub time_zone: String,
    /// The signals that say how the machine is run, not how it is: those its model tells load
    /// regimes apart by, else its rotational speeds.
    pub drive_signals: Arc<[SignalName]>,
}

/// The ledger, as alerting sees it. Asked for every alarm: answered from memory.
pub trait Places: Send + Sync {
    /// Where an asset stands; none for one that nobody has entered.
    fn place(&self, asset: &AssetId) -> Option<Place>;
}

/// Knows no asset: the ledger of tools and tests that have none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Places for Nowhere {
    fn place(&self, _: &AssetId) -> Option<Place> {
        None
    }
}
