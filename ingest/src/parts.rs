//! What a listener or a subscriber is made of besides its settings.

use std::{fmt, sync::Arc};

use telemetry::{Clock, DeviceGate, JournalWriter};

use crate::{Decoder, IngestStats, Quotas};

/// The ports and shared values every way in needs.
#[derive(Clone)]
pub struct Parts {
    /// Where records are committed before anything is acknowledged.
    pub journal: Arc<dyn JournalWriter>,
    /// Who may publish.
    pub gate: Arc<dyn DeviceGate>,
    /// Where received times come from.
    pub clock: Arc<dyn Clock>,
    /// Topics and formats.
    pub decoder: Arc<Decoder>,
    /// Counters, shared by every way in.
    pub stats: Arc<IngestStats>,
    /// What each credential may still publish, shared by every way in.
    pub quotas: Quotas,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("decoder", &self.decoder)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
