//! What the notifier reads of the rest of the house: names of assets and places, the reason of a
//! case in words, and visits that customers want to hear of.

use std::{collections::BTreeMap, sync::Arc};

use alerting::{
    Case,
    notify::{Facts, Visit, message::CaseFacts},
    people::Language,
};
use dashboards::labels::{self, Text};
use service::{Contact, ContactLanguage, Service, ServiceError, WorkOrderQuery, WorkOrderStatus};
use telemetry::{
    AssetModel, AssetModelId, BoxFuture, ConditionState, Explanation, PortError, Timestamp,
};

/// Names and reasons out of the ledger and the asset models.
pub(crate) struct House {
    /// The ledger and the orders.
    pub(crate) service: Service,
    /// Names of signals and failure modes.
    pub(crate) models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
}

impl Facts for House {
    fn of_case<'a>(&'a self, case: &'a Case) -> BoxFuture<'a, Result<CaseFacts, PortError>> {
        Box::pin(async move {
            let asset = self.service.asset(&case.asset).await?;
            let model = asset
                .as_ref()
                .and_then(|asset| self.models.get(&asset.model))
                .map(AsRef::as_ref);
            let mode = labels::case_name(model, &case.failure_mode, case.signal.as_ref())
                .unwrap_or_else(|| {
                    Text::new(case.failure_mode.as_str(), case.failure_mode.as_str())
                });
            let evidence = Some(&case.evidence);
            let why = case.why.clone().unwrap_or_else(|| {
                let told =
                    labels::explanation(ConditionState::Alarm, case.opened_at, evidence, model);
                words(told)
            });
            let site = asset.as_ref().map(|asset| &asset.site);
            Ok(CaseFacts {
                case: case.id.clone(),
                asset: case.asset.clone(),
                asset_name: asset.as_ref().map_or_else(
                    || case.asset.to_string(),
                    |asset| asset.name.as_str().to_owned(),
                ),
                site: site.map(|site| site.id.clone()),
                site_name: site.map(|site| site.name.as_str().to_owned()),
                time_zone: site.map(|site| site.time_zone.as_str().to_owned()),
                severity: case.severity,
                mode: words(mode),
                why,
                opened_at: case.opened_at,
                work_order: case.work_order.clone(),
            })
        })
    }

    fn visits(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<Visit>, PortError>> {
        Box::pin(async move { Ok(self.visits_after(now).await?) })
    }
}

fn words(text: Text) -> Explanation {
    Explanation {
        en: text.en,
        zh: text.zh,
    }
}

impl House {
    async fn visits_after(&self, now: Timestamp) -> Result<Vec<Visit>, ServiceError> {
        let contacts: BTreeMap<_, Contact> = self
            .service
            .contacts()
            .await?
            .into_iter()
            .filter(|contact| contact.email.is_some())
            .map(|contact| (contact.customer.clone(), contact))
            .collect();
        if contacts.is_empty() {
            return Ok(Vec::new());
        }
        let query = WorkOrderQuery {
            status: vec![WorkOrderStatus::Scheduled],
            limit: WorkOrderQuery::MAX_LIMIT,
            ..WorkOrderQuery::default()
        };
        let mut visits = Vec::new();
        for order in self.service.work_orders(query).await? {
            let Some(at) = order.scheduled_for.filter(|at| *at > now) else {
                continue;
            };
            let Some(asset) = self.service.asset(&order.asset).await? else {
                continue;
            };
            let Some(contact) = contacts.get(&asset.customer.id) else {
                continue;
            };
            visits.push(Visit {
                work_order: order.id,
                customer: contact.customer.clone(),
                email: contact.email.clone().unwrap_or_default(),
                language: match contact.language {
                    ContactLanguage::En => Language::En,
                    ContactLanguage::Zh => Language::Zh,
                },
                asset_name: order.asset_name.as_str().to_owned(),
                site_name: Some(asset.site.name.as_str().to_owned()),
                at,
                time_zone: Some(asset.site.time_zone.as_str().to_owned()),
                engineer: order.engineer_name.map(|name| name.as_str().to_owned()),
            });
        }
        visits.sort_by_key(|visit| visit.at);
        Ok(visits)
    }
}
