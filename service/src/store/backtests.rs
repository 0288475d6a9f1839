//! The queue of back-tests and their results.

use telemetry::Timestamp;

use super::{Service, commit, failed, not_found, rows};
use crate::{Backtest, BacktestState, NewBacktest, ServiceError};

/// Back-tests that wait: each takes minutes, so more would be forgotten about.
const MAX_QUEUED: i64 = 16;
/// Back-tests that are kept; a result with its cases is some hundred kilobytes.
const MAX_KEPT: i64 = 200;

impl Service {
    /// Asks for a back-test.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`], [`ServiceError::Conflict`] when too many wait already, and
    /// [`ServiceError::Database`].
    pub async fn create_backtest(&self, new: NewBacktest) -> Result<Backtest, ServiceError> {
        let doing = "asking for a back-test";
        new.check()?;
        let mut tx = self.begin(doing).await?;
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM backtests WHERE state = 'queued'")
                .fetch_one(&mut *tx)
                .await
                .map_err(failed(doing))?;
        if waiting >= MAX_QUEUED {
            return Err(ServiceError::Conflict {
                what: "back-test",
                id: "new".to_owned(),
                problem: format!("{MAX_QUEUED} wait already; cancel one or wait"),
            });
        }
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO backtests (state, rules, span_from, span_to, rules_only, actor, requested_at)
             VALUES ('queued', ?, ?, ?, ?, ?, ?) RETURNING number",
        )
        .bind(&new.rules)
        .bind(new.from.as_micros())
        .bind(new.to.as_micros())
        .bind(new.rules_only)
        .bind(new.by.as_str())
        .bind(self.now().as_micros())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed(doing))?;
        sqlx::query(
            "DELETE FROM backtests WHERE number <= ? AND state NOT IN ('queued', 'running')",
        )
        .bind(number - MAX_KEPT)
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        commit(tx, doing).await?;
        self.require_backtest(number.unsigned_abs()).await
    }

    /// Takes the oldest that waits, or one that was cut off by the end of the program: it begins
    /// anew.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn take_backtest(&self) -> Result<Option<Backtest>, ServiceError> {
        let taken: Option<i64> = sqlx::query_scalar(
            "UPDATE backtests SET state = 'running', started_at = ?, progress = 0, readings = 0
             WHERE number = (SELECT min(number) FROM backtests WHERE state IN ('queued', 'running'))
             RETURNING number",
        )
        .bind(self.now().as_micros())
        .fetch_optional(&self.inner.write)
        .await
        .map_err(failed("taking a back-test"))?;
        match taken {
            Some(number) => self.backtest(number.unsigned_abs()).await,
            None => Ok(None),
        }
    }

    /// Notes how far it is. False when somebody stopped it.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn backtest_progress(
        &self,
        id: u64,
        progress: f64,
        readings: u64,
    ) -> Result<bool, ServiceError> {
        let noted = sqlx::query(
            "UPDATE backtests SET progress = ?, readings = ? WHERE number = ? AND state = 'running'",
        )
        .bind(progress)
        .bind(readings.cast_signed())
        .bind(id.cast_signed())
        .execute(&self.inner.write)
        .await
        .map_err(failed("noting how far a back-test is"))?;
        Ok(noted.rows_affected() > 0)
    }

    /// Notes its result, or why there is none. One that was stopped meanwhile stays so.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn end_backtest(
        &self,
        id: u64,
        outcome: Result<String, String>,
    ) -> Result<(), ServiceError> {
        let (state, result, problem) = match outcome {
            Ok(result) => (BacktestState::Done, Some(result), None),
            Err(problem) => (BacktestState::Failed, None, Some(problem)),
        };
        sqlx::query(
            "UPDATE backtests SET state = ?1, result = ?2, problem = ?3, ended_at = ?4,
                 progress = CASE ?1 WHEN 'done' THEN 1 ELSE progress END
             WHERE number = ?5 AND state = 'running'",
        )
        .bind(state.as_str())
        .bind(result)
        .bind(problem)
        .bind(self.now().as_micros())
        .bind(id.cast_signed())
        .execute(&self.inner.write)
        .await
        .map_err(failed("ending a back-test"))?;
        Ok(())
    }

    /// Stops it, whether it waits or runs.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Conflict`] when it has ended, and
    /// [`ServiceError::Database`].
    pub async fn cancel_backtest(&self, id: u64) -> Result<Backtest, ServiceError> {
        let stopped = sqlx::query(
            "UPDATE backtests SET state = 'cancelled', ended_at = ?
             WHERE number = ? AND state IN ('queued', 'running')",
        )
        .bind(self.now().as_micros())
        .bind(id.cast_signed())
        .execute(&self.inner.write)
        .await
        .map_err(failed("cancelling a back-test"))?;
        let found = self.require_backtest(id).await?;
        if stopped.rows_affected() == 0 {
            return Err(ServiceError::Conflict {
                what: "back-test",
                id: id.to_string(),
                problem: format!("has ended: it is {}", found.state.as_str()),
            });
        }
        Ok(found)
    }

    /// One back-test; none when there is no such.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn backtest(&self, id: u64) -> Result<Option<Backtest>, ServiceError> {
        let found = sqlx::query("SELECT * FROM backtests WHERE number = ?")
            .bind(id.cast_signed())
            .fetch_optional(&self.inner.read)
            .await
            .map_err(failed("reading a back-test"))?;
        found.as_ref().map(rows::backtest).transpose()
    }

    /// Every back-test that is kept, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn backtests(&self) -> Result<Vec<Backtest>, ServiceError> {
        let found = sqlx::query("SELECT * FROM backtests ORDER BY number DESC")
            .fetch_all(&self.inner.read)
            .await
            .map_err(failed("listing back-tests"))?;
        found.iter().map(rows::backtest).collect()
    }

    async fn require_backtest(&self, id: u64) -> Result<Backtest, ServiceError> {
        let found = self.backtest(id).await?;
        found.ok_or_else(|| not_found("back-test", &id.to_string()))
    }

    /// What is on record about all assets: failures, repairs, wrong sensors and visits that
    /// found nothing, by imported history and by ended orders, in the time of the machines.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn ends_on_record(
        &self,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<crate::EndOnRecord>, ServiceError> {
        let found = sqlx::query(
            "SELECT asset, COALESCE(done_at, updated_at) AS at, kind, outcome,
                    CASE outcome WHEN 'other_fault_found' THEN found_mode
                                 ELSE COALESCE(found_mode, failure_mode) END AS mode
                 FROM work_orders WHERE status = 'completed'
                   AND COALESCE(done_at, updated_at) >= ?1 AND COALESCE(done_at, updated_at) < ?2
             UNION ALL SELECT asset, at, 'failure', NULL, NULL FROM history_records
                 WHERE kind = 'failure' AND at >= ?1 AND at < ?2
             ORDER BY 2, 1",
        )
        .bind(from.as_micros())
        .bind(to.as_micros())
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed("reading what is on record"))?;
        found.iter().map(rows::end_on_record).collect()
    }
}
