//! What is asked of the outbox.

use sqlx::Row as _;
use telemetry::MessageId;

use super::{Outbox, OutboxCounts, OutboxQuery, STUCK_AFTER_ATTEMPTS, Sending, State};
use crate::{
    AlertingError,
    notify::{message::Recipient, rows},
    store::failed,
};

impl Outbox {
    /// One message; none when there is no such message.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn get(&self, id: &MessageId) -> Result<Option<Sending>, AlertingError> {
        let found = sqlx::query("SELECT * FROM notifications WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(self.desk.reader())
            .await
            .map_err(failed(&format!("reading notification {id}")))?;
        found.as_ref().map(rows::sending).transpose()
    }

    /// Messages, newest first.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn list(&self, query: &OutboxQuery) -> Result<Vec<Sending>, AlertingError> {
        let found = sqlx::query(
            "SELECT * FROM notifications
             WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR case_id = ?2)
               AND (?3 IS NULL OR recipient = ?3) AND (?4 IS NULL OR number < ?4)
               AND (NOT ?5 OR state = 'stuck' OR (state = 'waiting' AND attempts >= ?6))
             ORDER BY number DESC LIMIT ?7",
        )
        .bind(query.state.map(State::as_str))
        .bind(query.case.as_ref().map(|case| case.as_str().to_owned()))
        .bind(query.recipient.as_ref().map(Recipient::key))
        .bind(query.after)
        .bind(query.stuck)
        .bind(STUCK_AFTER_ATTEMPTS)
        .bind(query.limit)
        .fetch_all(self.desk.reader())
        .await
        .map_err(failed("listing notifications"))?;
        found.iter().map(rows::sending).collect()
    }

    /// How many messages are where.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn counts(&self) -> Result<OutboxCounts, AlertingError> {
        let failed = |source| AlertingError::Database {
            doing: "counting notifications".to_owned(),
            source,
        };
        let found = sqlx::query(
            "SELECT CASE WHEN state = 'waiting' AND attempts >= ? THEN 'stuck' ELSE state END
                 AS word, count(*) AS messages FROM notifications GROUP BY word",
        )
        .bind(STUCK_AFTER_ATTEMPTS)
        .fetch_all(self.desk.reader())
        .await
        .map_err(failed)?;
        let mut counts = OutboxCounts::default();
        for row in found {
            let word: &str = row.try_get("word").map_err(failed)?;
            let messages: i64 = row.try_get("messages").map_err(failed)?;
            let messages = u64::try_from(messages).unwrap_or(0);
            match State::parse(word) {
                Some(State::Waiting) => counts.waiting = messages,
                Some(State::Sent) => counts.sent = messages,
                Some(State::Digested) => counts.digested = messages,
                Some(State::Withdrawn) => counts.withdrawn = messages,
                Some(State::Stuck) => counts.stuck = messages,
                None => {}
            }
        }
        Ok(counts)
    }
}
