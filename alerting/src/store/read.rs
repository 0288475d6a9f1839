//! What the API asks for.

use sqlx::{Row, SqliteConnection, SqlitePool};
use telemetry::{CaseId, Verdict};

use super::rows;
use crate::{AlertingError, Case, CaseCounts, CaseDetail, CaseQuery, CaseStatus, StatusFilter};

/// One case with its log, both as of the same commit.
pub(super) async fn get(
    pool: &SqlitePool,
    id: &CaseId,
) -> Result<Option<CaseDetail>, AlertingError> {
    let failed = |source| AlertingError::Database {
        doing: format!("reading case {id}"),
        source,
    };
    let mut tx = pool.begin().await.map_err(failed)?;
    let Some(case) = get_case(&mut tx, id).await? else {
        return Ok(None);
    };
    let events = sqlx::query("SELECT * FROM case_events WHERE case_id = ? ORDER BY number")
        .bind(id.as_str())
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?;
    let events = events.iter().map(rows::event).collect::<Result<_, _>>()?;
    Ok(Some(CaseDetail { case, events }))
}

/// One case without its log.
pub(super) async fn get_case(
    connection: &mut SqliteConnection,
    id: &CaseId,
) -> Result<Option<Case>, AlertingError> {
    let row = sqlx::query("SELECT * FROM cases WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|source| AlertingError::Database {
            doing: format!("reading case {id}"),
            source,
        })?;
    row.as_ref().map(rows::case).transpose()
}

/// Cases, newest first. An unknown cursor gives an empty page.
pub(super) async fn list(pool: &SqlitePool, query: &CaseQuery) -> Result<Vec<Case>, AlertingError> {
    const ALL: &str = "SELECT * FROM cases
        WHERE (?1 IS NULL OR asset = ?1)
          AND (?2 IS NULL OR (status = 'closed') = ?2)
          AND (?3 IS NULL OR number < (SELECT number FROM cases WHERE id = ?3))
          AND (?5 IS NULL OR site = ?5)
          AND (?6 IS NULL OR verdict = ?6)
          AND (?7 IS NULL OR (suppressed IS NOT NULL) = ?7)
          AND (?8 IS NULL OR (watch_list IS NOT NULL) = ?8)
          AND (?9 IS NULL OR parent = ?9)
        ORDER BY number DESC LIMIT ?4";
    let closed = match query.status {
        StatusFilter::All => None,
        StatusFilter::Open => Some(false),
        StatusFilter::Closed => Some(true),
    };
    let found = sqlx::query(ALL)
        .bind(query.asset.as_ref().map(|asset| asset.as_str().to_owned()))
        .bind(closed)
        .bind(query.after.as_ref().map(|after| after.as_str().to_owned()))
        .bind(query.limit.min(CaseQuery::MAX_LIMIT))
        .bind(query.site.as_ref().map(|site| site.as_str().to_owned()))
        .bind(query.verdict.map(Verdict::as_str))
        .bind(query.suppressed)
        .bind(query.watch_list)
        .bind(
            query
                .parent
                .as_ref()
                .map(|parent| parent.as_str().to_owned()),
        )
        .fetch_all(pool)
        .await
        .map_err(|source| AlertingError::Database {
            doing: "listing cases".to_owned(),
            source,
        })?;
    found.iter().map(rows::case).collect()
}

/// How many cases there are in each status.
pub(super) async fn counts(pool: &SqlitePool) -> Result<CaseCounts, AlertingError> {
    let failed = |source| AlertingError::Database {
        doing: "counting cases".to_owned(),
        source,
    };
    let found = sqlx::query("SELECT status, count(*) AS cases FROM cases GROUP BY status")
        .fetch_all(pool)
        .await
        .map_err(failed)?;
    let mut counts = CaseCounts::default();
    for row in found {
        let status: &str = row.try_get("status").map_err(failed)?;
        let cases: i64 = row.try_get("cases").map_err(failed)?;
        let cases = u64::try_from(cases).unwrap_or(0);
        match CaseStatus::parse(status) {
            Some(CaseStatus::Open) => counts.open = cases,
            Some(CaseStatus::Acknowledged) => counts.acknowledged = cases,
            Some(CaseStatus::Closed) => counts.closed = cases,
            None => {}
        }
    }
    Ok(counts)
}
