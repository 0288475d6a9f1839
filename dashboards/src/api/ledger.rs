//! Assets of the ledger, looked up once for a whole list.

use std::collections::BTreeMap;

use service::{Asset, Service};
use telemetry::AssetId;

use super::problem::Problem;

/// Looks assets up and remembers them for as long as one request lasts.
pub(crate) struct Ledger<'a> {
    service: &'a Service,
    known: BTreeMap<AssetId, Option<Asset>>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(service: &'a Service) -> Self {
        Self {
            service,
            known: BTreeMap::new(),
        }
    }

    /// The asset with this id; none when the ledger has none.
    pub(crate) async fn asset(&mut self, id: &AssetId) -> Result<Option<&Asset>, Problem> {
        if !self.known.contains_key(id) {
            let asset = self.service.asset(id).await?;
            self.known.insert(id.clone(), asset);
        }
        Ok(self.known.get(id).and_then(Option::as_ref))
    }
}
