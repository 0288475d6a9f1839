//! From the log of the cases to messages, and from chains to the log.

use std::sync::Arc;

use serde_json::json;
use sqlx::Row as _;
use telemetry::{CaseId, Timestamp};

use super::{
    driver::{Facts, NotifierError},
    message::CaseFacts,
    outbox::{insert, put_escalation},
    plan::{News, Office, Planned, plan},
    rows,
};
use crate::{
    AlertingError, CaseDesk,
    people::Escalation,
    store::{commit, failed, logged},
};

/// Lines taken in one transaction: a flood of thousands must not hold the writer for long.
const LINES: u32 = 200;
/// Running escalations looked at in one go.
const MAX_RUNNING: u32 = 20_000;

/// Follows the case log from where it has come to.
#[derive(Debug)]
pub(super) struct Follower {
    desk: CaseDesk,
    office: Arc<Office>,
}

impl Follower {
    /// A follower of this desk's log.
    pub(super) fn new(desk: CaseDesk, office: Arc<Office>) -> Self {
        Self { desk, office }
    }

    /// Turns new lines of the log into messages.
    ///
    /// # Errors
    /// [`NotifierError`]; what was done before is kept, the rest follows with the next call.
    pub(super) async fn follow(
        &self,
        facts: &dyn Facts,
        now: Timestamp,
    ) -> Result<(), NotifierError> {
        let mut position = self.position().await?;
        let entered = self.desk.stand_ins(now).await?;
        let office = Office {
            directory: self.office.directory.with(&entered),
            channels: self.office.channels.clone(),
        };
        loop {
            let lines = self.lines(position).await?;
            let Some(last) = lines.last().map(|(number, _, _)| *number) else {
                return Ok(());
            };
            let mut news = Vec::with_capacity(lines.len());
            for (number, id, event) in lines {
                let Some(case) = self.desk.case(&id).await? else {
                    continue;
                };
                let facts = match facts.of_case(&case).await {
                    Ok(facts) => facts,
                    Err(error) if error.is_transient() => return Err(error.into()),
                    Err(error) => {
                        // People had better be told without names than not at all.
                        tracing::error!(case = %id, %error, "names are missing in notifications");
                        CaseFacts::bare(&case)
                    }
                };
                news.push(News {
                    number,
                    event,
                    case,
                    facts,
                });
            }
            self.take(&office, &news, last, now).await?;
            position = last;
        }
    }

    async fn take(
        &self,
        office: &Office,
        news: &[News],
        last: i64,
        now: Timestamp,
    ) -> Result<(), AlertingError> {
        let doing = "following the case log";
        let mut tx = self.desk.begin(doing).await?;
        for one in news {
            let known = sqlx::query("SELECT * FROM escalations WHERE case_id = ?")
                .bind(one.case.id.as_str())
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed(doing))?;
            let known = known.as_ref().map(rows::escalation).transpose()?;
            let known = known.map(|(_, state)| state);
            let Planned {
                escalation,
                messages,
            } = plan(office, one, known.clone(), now);
            if escalation != known
                && let Some(state) = &escalation
            {
                put_escalation(&mut tx, &one.case.id, state).await?;
            }
            for message in &messages {
                insert(&mut tx, message).await?;
            }
        }
        sqlx::query("INSERT OR REPLACE INTO notify_progress (only, position) VALUES (1, ?)")
            .bind(last)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        commit(tx, doing).await
    }

    /// How far the log was followed. A file that was never followed is followed from its end on:
    /// nobody wants to be told of last year when the first channel is configured.
    async fn position(&self) -> Result<i64, AlertingError> {
        let doing = "reading how far the case log was followed";
        let known: Option<i64> =
            sqlx::query_scalar("SELECT position FROM notify_progress WHERE only = 1")
                .fetch_optional(self.desk.reader())
                .await
                .map_err(failed(doing))?;
        if let Some(known) = known {
            return Ok(known);
        }
        let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM case_events")
            .fetch_one(self.desk.reader())
            .await
            .map_err(failed(doing))?;
        self.take(&self.office, &[], newest, Timestamp::EPOCH)
            .await?;
        Ok(newest)
    }

    async fn lines(
        &self,
        position: i64,
    ) -> Result<Vec<(i64, CaseId, crate::CaseEvent)>, AlertingError> {
        let doing = "reading the case log";
        let found =
            sqlx::query("SELECT * FROM case_events WHERE number > ? ORDER BY number LIMIT ?")
                .bind(position)
                .bind(LINES)
                .fetch_all(self.desk.reader())
                .await
                .map_err(failed(doing))?;
        found
            .iter()
            .map(|row| {
                let number = row.try_get("number").map_err(failed(doing))?;
                let (case, event) = logged(row)?;
                Ok((number, case, event))
            })
            .collect()
    }

    /// Lets every chain whose time has come write its next step into the log of its case.
    ///
    /// # Errors
    /// [`AlertingError`]; the rest follows with the next call.
    pub(super) async fn escalate(&self, now: Timestamp) -> Result<(), AlertingError> {
        let found = sqlx::query("SELECT * FROM escalations WHERE closed = 0 LIMIT ?")
            .bind(MAX_RUNNING)
            .fetch_all(self.desk.reader())
            .await
            .map_err(failed("reading the running escalations"))?;
        for row in &found {
            let (case, state) = rows::escalation(row)?;
            for step in self.due(&state, now) {
                let detail = json!({ "chain": state.chain, "step": step.0, "to": step.1 });
                match self.desk.escalated(&case, detail, now).await {
                    Ok(_) => {}
                    // It was closed meanwhile; the log says so in a moment.
                    Err(AlertingError::NotFound(_) | AlertingError::Illegal { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn due(&self, state: &Escalation, now: Timestamp) -> Vec<(u16, crate::people::Target)> {
        let Some(chain) = self.office.directory.chain(&state.chain) else {
            return Vec::new();
        };
        let due = state.due(chain, now);
        due.into_iter()
            .map(|step| (step, chain.steps[usize::from(step)].to.clone()))
            .collect()
    }
}

impl CaseDesk {
    /// Where each of these cases stands in its chain, and of all that are running when none are
    /// named; at most twenty thousand.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn escalations(
        &self,
        case: Option<&CaseId>,
    ) -> Result<Vec<(CaseId, Escalation)>, AlertingError> {
        let found = sqlx::query(
            "SELECT * FROM escalations WHERE (?1 IS NULL AND closed = 0) OR case_id = ?1
             ORDER BY since LIMIT ?2",
        )
        .bind(case.map(|case| case.as_str().to_owned()))
        .bind(MAX_RUNNING)
        .fetch_all(self.reader())
        .await
        .map_err(failed("reading escalations"))?;
        found.iter().map(rows::escalation).collect()
    }
}
