//! What cases were opened from, as whoever froze it wrote it.

use sqlx::Row;
use telemetry::CaseId;

use super::{commit, failed, rows};
use crate::{AlertingError, Case, CaseDesk};

impl CaseDesk {
    /// Keeps what a case was opened from. A case that opens again is frozen again, and what it
    /// opened from before gives way.
    ///
    /// # Errors
    /// [`AlertingError::Database`], also when there is no such case.
    pub async fn keep_capsule(&self, case: &CaseId, capsule: &[u8]) -> Result<(), AlertingError> {
        let doing = "keeping what a case was opened from";
        let mut tx = self.begin(doing).await?;
        sqlx::query(
            "INSERT INTO case_capsules (case_id, capsule) VALUES (?, ?)
             ON CONFLICT (case_id) DO UPDATE SET capsule = excluded.capsule",
        )
        .bind(case.as_str())
        .bind(capsule)
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        commit(tx, doing).await
    }

    /// What a case was opened from; none when nothing was frozen with it.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn capsule(&self, case: &CaseId) -> Result<Option<Vec<u8>>, AlertingError> {
        let doing = "reading what a case was opened from";
        let row = sqlx::query("SELECT capsule FROM case_capsules WHERE case_id = ?")
            .bind(case.as_str())
            .fetch_optional(self.reader())
            .await
            .map_err(failed(doing))?;
        row.map(|row| row.try_get("capsule").map_err(failed(doing)))
            .transpose()
    }

    /// Open cases with which nothing was frozen, the newest first.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn open_without_capsule(&self) -> Result<Vec<Case>, AlertingError> {
        // A crash leaves those of its last seconds; more were opened by an earlier release.
        const MOST: i64 = 1_000;
        let found = sqlx::query(
            "SELECT * FROM cases WHERE status <> 'closed'
               AND NOT EXISTS (SELECT 1 FROM case_capsules WHERE case_id = cases.id)
             ORDER BY number DESC LIMIT ?",
        )
        .bind(MOST)
        .fetch_all(self.reader())
        .await
        .map_err(failed("looking for cases without a capsule"))?;
        found.iter().map(rows::case).collect()
    }
}
