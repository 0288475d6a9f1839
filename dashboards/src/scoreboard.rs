//! What the scoreboard is made of, from the cases, the ledger and the rules.

use alerting::{
    AlertingError, CaseDesk, CaseQuery,
    rules::{RuleBook, parse_one},
    scoreboard::{Alert, Missed, Record, WatchedAsset, WatchingRule},
};
use service::{AssetQuery, SavingsKind, Service, ServiceError};
use telemetry::{AssetId, AssetModelId, Places as _, Timestamp};

/// Most cases that are counted, the newest: a plant that has more in the time asked for has a
/// problem no scoreboard mends.
const MAX_CASES: usize = 100_000;

/// Why the scoreboard could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ScoreboardError {
    /// The cases could not be read.
    #[error(transparent)]
    Cases(#[from] AlertingError),
    /// The ledger could not be read.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Cases opened from one instant to another, the failures nobody foretold in that time, and what
/// was watched.
///
/// # Errors
/// When cases or ledger cannot be read.
pub async fn gather(
    cases: &CaseDesk,
    service: &Service,
    (from, to): (Timestamp, Timestamp),
) -> Result<Record, ScoreboardError> {
    let assets = assets(service).await?;
    let savings = service.savings(None, None).await?;
    let missed = savings.into_iter().filter(|entry| {
        entry.kind == SavingsKind::Missed && entry.order.done_at >= from && entry.order.done_at < to
    });
    Ok(Record {
        from,
        to,
        alerts: alerts(cases, service, (from, to)).await?,
        missed: missed
            .map(|entry| Missed {
                asset: entry.order.asset,
                asset_model: entry.order.model,
                failure_mode: entry.order.failure_mode,
            })
            .collect(),
        assets,
        rules: rules(cases).await?,
    })
}

async fn assets(service: &Service) -> Result<Vec<WatchedAsset>, ServiceError> {
    let mut assets = Vec::new();
    let mut after = None;
    loop {
        let query = AssetQuery {
            after: after.take(),
            limit: AssetQuery::MAX_LIMIT,
            ..AssetQuery::default()
        };
        let page = service.assets(query).await?;
        let full = page.len() == AssetQuery::MAX_LIMIT as usize;
        after = page.last().map(|asset| asset.id.clone());
        assets.extend(page.into_iter().map(|asset| WatchedAsset {
            asset: asset.id,
            asset_model: asset.model,
            since: asset.registered_at,
        }));
        if !full {
            return Ok(assets);
        }
    }
}

/// Cases opened from one instant to another, as the scoreboard counts them.
///
/// # Errors
/// When the cases cannot be read.
pub async fn alerts(
    cases: &CaseDesk,
    service: &Service,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Alert>, AlertingError> {
    let model_of = |asset: &AssetId| service.place(asset).map(|place| place.model);
    let mut alerts = Vec::new();
    let mut after = None;
    while alerts.len() < MAX_CASES {
        let query = CaseQuery {
            after: after.take(),
            limit: CaseQuery::MAX_LIMIT,
            ..CaseQuery::default()
        };
        let page = cases.list(query).await?;
        let full = page.len() == CaseQuery::MAX_LIMIT as usize;
        after = page.last().map(|case| case.id.clone());
        let within = page
            .into_iter()
            .filter(|case| case.opened_at >= from && case.opened_at < to);
        alerts.extend(within.map(|case| Alert {
            source: case.source.alert(),
            asset_model: model_of(&case.asset).unwrap_or_else(AssetModelId::unknown),
            failure_mode: case.failure_mode.clone(),
            verdict: case.verdict,
            first_score: case.first_score(),
            opened_at: case.opened_at,
            cleared_at: case.cleared_at,
            ended_at: case.closed_at,
            outcome: case.outcome,
            case: case.id,
        }));
        if !full {
            break;
        }
    }
    Ok(alerts)
}

async fn rules(cases: &CaseDesk) -> Result<Vec<WatchingRule>, AlertingError> {
    let book = RuleBook::of(cases);
    let mut rules = Vec::new();
    for latest in book.latest().await? {
        let Some(Ok(written)) = latest.text.as_deref().map(parse_one) else {
            continue;
        };
        let history = book.history(&latest.rule).await?;
        // Since the last time it was put in force after it had been retired.
        let since = history.iter().take_while(|one| one.text.is_some()).last();
        rules.push(WatchingRule {
            rule: written.rule,
            since: since.map_or(latest.author.at, |one| one.author.at),
        });
    }
    Ok(rules)
}
