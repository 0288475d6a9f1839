//! What analytics has said, kept beside the readings it speaks of.

use rusqlite::{Connection, params};
use telemetry::{AssetId, DeviceId, Finding, Timestamp};

use super::Store;
use crate::{
    error::{During, HistorianError},
    journal::lock,
    sqlite::{self, blocking},
};

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// State detection.
    Condition,
    /// Health assessment.
    Assessment,
    /// Prognosis, or the reason why there is none.
    Prognosis,
    /// Whether the sensors can be believed.
    Sensor,
}

impl FindingKind {
    /// The kind of a finding.
    pub fn of(finding: &Finding) -> Self {
        match finding {
            Finding::Condition(_) => Self::Condition,
            Finding::Assessment(_) => Self::Assessment,
            Finding::Prognosis(_) => Self::Prognosis,
            Finding::Sensor(_) => Self::Sensor,
        }
    }

    /// The kind as it is stored: as in the JSON of a finding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Assessment => "assessment",
            Self::Prognosis => "prognosis",
            Self::Sensor => "sensor",
        }
    }
}

/// Which findings to list. [`FindingQuery::default`] lists nothing: its limit is 0.
#[derive(Debug, Clone, Default)]
pub struct FindingQuery {
    /// Only of this kind.
    pub kind: Option<FindingKind>,
    /// Only about this asset.
    pub asset: Option<AssetId>,
    /// Only from this device.
    pub device: Option<DeviceId>,
    /// Only at this event time or later.
    pub from: Option<Timestamp>,
    /// Only before this event time.
    pub to: Option<Timestamp>,
    /// The latest first instead of the earliest.
    pub newest_first: bool,
    /// At most this many.
    pub limit: usize,
}

impl Store {
    /// Stores findings in one transaction. A finding replaces the one with the same asset,
    /// device, kind and event time, so a replay changes nothing.
    pub async fn put_findings(&self, findings: Vec<Finding>) -> Result<(), HistorianError> {
        if findings.is_empty() {
            return Ok(());
        }
        let inner = self.0.clone();
        blocking(move || {
            let stored_at = inner.now();
            put(&mut lock(&inner.connection), &findings, stored_at)
        })
        .await
    }

    /// Lists findings in order of event time.
    pub async fn findings(&self, query: FindingQuery) -> Result<Vec<Finding>, HistorianError> {
        self.0
            .pool
            .run(move |connection| select(connection, &query))
            .await
    }
}

fn put(
    connection: &mut Connection,
    findings: &[Finding],
    stored_at: Timestamp,
) -> Result<(), HistorianError> {
    const ACTION: &str = "store findings";
    let tx = sqlite::begin(connection)?;
    let mut upsert = tx
        .prepare(
            "INSERT INTO findings (asset, device, kind, at, stored_at, crc, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (asset, kind, at, device) DO UPDATE SET
                 stored_at = excluded.stored_at, crc = excluded.crc, body = excluded.body",
        )
        .during(ACTION)?;
    for finding in findings {
        let body = serde_json::to_vec(finding).map_err(|source| HistorianError::Encode {
            what: "a finding",
            source,
        })?;
        upsert
            .execute(params![
                finding.asset().as_str(),
                finding.device().as_str(),
                FindingKind::of(finding).as_str(),
                finding.at().as_micros(),
                stored_at.as_micros(),
                crc32c::crc32c(&body),
                body,
            ])
            .during(ACTION)?;
    }
    drop(upsert);
    tx.commit().during(ACTION)
}

fn select(connection: &Connection, query: &FindingQuery) -> Result<Vec<Finding>, HistorianError> {
    const ACTION: &str = "list findings";
    let order = if query.newest_first { "DESC" } else { "ASC" };
    // Only the conditions that are asked for stand in the statement, so that the index that
    // fits them is taken.
    let mut sql = "SELECT rowid, crc, body FROM findings WHERE at >= ?1 AND at < ?2".to_owned();
    let asset = query.asset.as_ref().map(AssetId::as_str);
    let device = query.device.as_ref().map(DeviceId::as_str);
    let kind = query.kind.map(FindingKind::as_str);
    for (given, clause) in [
        (kind, " AND kind = ?3"),
        (asset, " AND asset = ?4"),
        (device, " AND device = ?5"),
    ] {
        if given.is_some() {
            sql.push_str(clause);
        }
    }
    for (separator, column) in [
        (" ORDER BY", "at"),
        (",", "asset"),
        (",", "device"),
        (",", "kind"),
    ] {
        sql.extend([separator, " ", column, " ", order]);
    }
    sql.push_str(" LIMIT ?6");
    let mut statement = connection.prepare(&sql).during(ACTION)?;
    let mut rows = statement
        .query(params![
            query.from.unwrap_or(Timestamp::MIN).as_micros(),
            query.to.unwrap_or(Timestamp::MAX).as_micros(),
            kind,
            asset,
            device,
            i64::try_from(query.limit).unwrap_or(i64::MAX),
        ])
        .during(ACTION)?;
    let mut findings = Vec::new();
    while let Some(row) = rows.next().during(ACTION)? {
        let id = row.get::<_, i64>(0).during(ACTION)? as u64;
        let crc: u32 = row.get(1).during(ACTION)?;
        let body: Vec<u8> = row.get(2).during(ACTION)?;
        if crc32c::crc32c(&body) != crc {
            return Err(HistorianError::corrupt(
                "finding",
                id,
                "its checksum differs",
            ));
        }
        let finding = serde_json::from_slice(&body);
        findings.push(finding.map_err(|error| HistorianError::corrupt("finding", id, error))?);
    }
    Ok(findings)
}

/// Deletes findings by the rule of retention: both their event time and the time they were
/// stored lie before `cutoff`, and event times in the future count for nothing.
pub(crate) fn delete_old(
    connection: &mut Connection,
    now: i64,
    cutoff: i64,
) -> Result<(), HistorianError> {
    connection
        .execute(
            "DELETE FROM findings WHERE stored_at < ?2 AND (at < ?2 OR at > ?1)",
            params![now, cutoff],
        )
        .during("delete old findings")?;
    Ok(())
}
