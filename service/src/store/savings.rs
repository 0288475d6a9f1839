//! What the savings ledger is made of: ended orders with their asset, customer and costs.

use sqlx::Row;
use telemetry::AssetModelId;

use super::{Service, failed, rows};
use crate::{
    EndedOrder, Prices, SavingsEntry, ServiceError,
    savings::{Month, ledger},
};

/// Ended orders the ledger looks back at, newest first: a plant that ends thirty orders a day
/// sees nine years.
const MAX_ORDERS: u32 = 100_000;

/// What a visit costs against planned work where only that is known: the way there and an hour
/// of looking, without parts.
const VISIT_SHARE: f64 = 0.3;

impl Service {
    /// The savings ledger: one entry for each order that counts, newest work first. With months
    /// only what was done from the first to the last of them.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn savings(
        &self,
        from: Option<Month>,
        to: Option<Month>,
    ) -> Result<Vec<SavingsEntry>, ServiceError> {
        let doing = "reading the savings ledger";
        let found = sqlx::query(
            "SELECT w.number, w.asset, w.case_id, w.kind, w.outcome, w.failure_mode, w.found_mode,
                    w.costs,
                    COALESCE(w.opened_at, w.created_at) AS opened_at,
                    COALESCE(w.done_at, w.updated_at) AS done_at,
                    a.name AS asset_name, a.model, c.id AS customer, c.name AS customer_name
             FROM work_orders w JOIN assets a ON a.id = w.asset
             JOIN sites s ON s.id = a.site JOIN customers c ON c.id = s.customer
             WHERE w.status = 'completed' AND w.outcome IS NOT NULL
             ORDER BY w.number DESC LIMIT ?",
        )
        .bind(MAX_ORDERS)
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed(doing))?;
        let mut orders = Vec::with_capacity(found.len());
        for row in &found {
            let mut order = rows::ended_order(row)?;
            order.prices = self.prices(&order, row.get("model"));
            orders.push(order);
        }
        // All orders are looked at before months are cut: what came too late is seen from both sides.
        let mut entries = ledger(orders);
        entries.retain(|entry| {
            let month = entry.month();
            from.is_none_or(|from| from <= month) && to.is_none_or(|to| month <= to)
        });
        Ok(entries)
    }

    /// What the kind of machine says its work and failures cost, where the order does not.
    fn prices(&self, order: &EndedOrder, model: &str) -> Option<Prices> {
        if order.prices.is_some() {
            return order.prices.clone();
        }
        let model = AssetModelId::new(model).ok()?;
        let model = self.inner.registry.models().get(&model)?;
        let costs = model.prognosis.as_ref()?.costs;
        Some(Prices {
            planned: costs.planned,
            failure: costs.failure,
            inspection: VISIT_SHARE * costs.planned,
            currency: String::new(),
        })
    }
}
