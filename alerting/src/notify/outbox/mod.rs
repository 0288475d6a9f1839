//! The messages on disk, in the file of the cases and through its one writer.

mod read;
mod write;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use telemetry::{CaseId, ChannelId, MessageId, Timestamp};

use super::{
    allot::{self, Gone, Waiting},
    message::{Message, Recipient},
    rows,
};
use crate::{
    AlertingError, CaseDesk,
    store::{commit, failed},
};
use write::{claim, gather};
pub(super) use write::{insert, put_escalation};

/// How long a message is tried. After a day a person has to look, and the news is old.
pub const TRIED_FOR: Duration = Duration::from_hours(24);
/// A claim that was neither marked nor given back is taken again: longer than the longest attempt.
const LEASE: Duration = Duration::from_mins(1);
/// The first pause after a failure, doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest pause: who mends a server waits no longer for what it missed.
const RETRY_MOST: Duration = Duration::from_mins(5);
/// Attempts after which a message that still waits counts as stuck: the channel is not just slow.
pub const STUCK_AFTER_ATTEMPTS: u32 = 3;
/// Messages looked at in one go; more wait for the next second.
const MAX_WAITING: u32 = 20_000;
/// Claimed messages looked at in one go; ten a recipient are claimed at the most.
const MAX_DUE: u32 = 1_000;
/// Told messages are kept a quarter of a year, for the page of the case.
const KEPT_FOR: Duration = Duration::from_hours(90 * 24);

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For its turn, or for its channel.
    Waiting,
    /// There.
    Sent,
    /// Told together with others.
    Digested,
    /// What it says no longer holds.
    Withdrawn,
    /// Given up; a person has to look.
    Stuck,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Sent,
        Self::Digested,
        Self::Withdrawn,
        Self::Stuck,
    ];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Digested => "digested",
            Self::Withdrawn => "withdrawn",
            Self::Stuck => "stuck",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// The order in which messages were decided.
    pub number: i64,
    /// The message.
    pub message: Message,
    /// Where it is.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// Until when it is tried.
    pub deadline_at: Timestamp,
    /// When it arrived.
    pub sent_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The digest that told it.
    pub digest: Option<MessageId>,
}

impl Sending {
    /// Whether a person has to look: given up, or tried again and again.
    pub fn is_stuck(&self) -> bool {
        self.state == State::Stuck
            || (self.state == State::Waiting && self.attempts >= STUCK_AFTER_ATTEMPTS)
    }
}

/// Which messages to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxQuery {
    /// In this state.
    pub state: Option<State>,
    /// Only those that are stuck, as [`Sending::is_stuck`] says.
    pub stuck: bool,
    /// About this case.
    pub case: Option<CaseId>,
    /// To this recipient.
    pub recipient: Option<Recipient>,
    /// Continue behind the message with this number.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// How many messages are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutboxCounts {
    /// Waiting, stuck ones left out.
    pub waiting: u64,
    /// Arrived.
    pub sent: u64,
    /// Told together with others.
    pub digested: u64,
    /// No longer true.
    pub withdrawn: u64,
    /// For a person to look at, as [`Sending::is_stuck`] says.
    pub stuck: u64,
}

/// The outbox of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    desk: CaseDesk,
}

impl Outbox {
    /// The outbox in the file of the cases.
    pub fn new(desk: CaseDesk) -> Self {
        Self { desk }
    }

    /// Puts messages in. One that is there already stays as it is.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn put(&self, messages: &[Message]) -> Result<(), AlertingError> {
        let doing = "writing notifications";
        let mut tx = self.desk.begin(doing).await?;
        for message in messages {
            insert(&mut tx, message).await?;
        }
        commit(tx, doing).await
    }

    /// Claims may have been made by a process that is gone: they are tried at once.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn reclaim(&self, now: Timestamp) -> Result<(), AlertingError> {
        let doing = "taking notifications up again";
        let mut tx = self.desk.begin(doing).await?;
        sqlx::query(
            "UPDATE notifications SET next_at = ? WHERE state = 'waiting' AND claimed = 1
                 AND next_at > ?",
        )
        .bind(now.as_micros())
        .bind(now.as_micros())
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        commit(tx, doing).await
    }

    /// Gives every waiting message its turn, holds it back, tells it together with others, or
    /// withdraws it because `holds` says that its case wants nobody any more.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn allot(
        &self,
        now: Timestamp,
        holds: impl Fn(&CaseId) -> bool,
    ) -> Result<(), AlertingError> {
        let doing = "allotting notifications";
        let found = sqlx::query(
            "SELECT id, recipient, case_id, part, severity, joins, created_at FROM notifications
             WHERE state = 'waiting' AND claimed = 0 ORDER BY number LIMIT ?",
        )
        .bind(MAX_WAITING)
        .fetch_all(self.desk.reader())
        .await
        .map_err(failed(doing))?;
        if found.is_empty() {
            return Ok(());
        }
        let mut withdrawn = Vec::new();
        let mut waiting: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
        for row in &found {
            let (recipient, case, one) = rows::waiting(row)?;
            if one.joins && case.is_some_and(|case| !holds(&case)) {
                withdrawn.push(one.id);
            } else {
                waiting.entry(recipient).or_default().push(one);
            }
        }
        let gone = self.gone(now).await?;
        let none = Vec::new();
        let mut tx = self.desk.begin(doing).await?;
        for id in &withdrawn {
            let moved = "UPDATE notifications SET state = 'withdrawn' WHERE id = ?";
            sqlx::query(moved)
                .bind(id.as_str())
                .execute(&mut *tx)
                .await
                .map_err(failed(doing))?;
        }
        for (recipient, waiting) in waiting {
            let plan = allot::allot(now, waiting, gone.get(&recipient).unwrap_or(&none));
            for id in &plan.send {
                claim(&mut tx, id, now).await?;
            }
            if !plan.digest.is_empty() {
                gather(&mut tx, &plan.digest, now).await?;
            }
        }
        commit(tx, doing).await
    }

    /// What went to each recipient in the last window, and what is claimed.
    async fn gone(&self, now: Timestamp) -> Result<BTreeMap<String, Vec<Gone>>, AlertingError> {
        let found = sqlx::query(
            "SELECT recipient, part, kind, sent_at FROM notifications
             WHERE state = 'sent' AND sent_at > ?
             UNION ALL
             SELECT recipient, part, kind, NULL FROM notifications
             WHERE state = 'waiting' AND claimed = 1",
        )
        .bind((now - allot::WINDOW).as_micros())
        .fetch_all(self.desk.reader())
        .await
        .map_err(failed("reading what was sent"))?;
        let mut gone: BTreeMap<String, Vec<Gone>> = BTreeMap::new();
        for row in &found {
            let (recipient, one) = rows::gone(row, now)?;
            gone.entry(recipient).or_default().push(one);
        }
        Ok(gone)
    }

    /// Claimed messages whose time has come, oldest first, at most `room` and by each channel at
    /// most what `by_channel` leaves free of `most`; each is leased, so that the next call leaves
    /// it alone while it is sent.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn due(
        &self,
        now: Timestamp,
        room: usize,
        by_channel: &BTreeMap<ChannelId, usize>,
        most: usize,
    ) -> Result<Vec<Sending>, AlertingError> {
        let doing = "claiming notifications";
        let due = "SELECT * FROM notifications WHERE state = 'waiting' AND claimed = 1
                 AND next_at <= ? ORDER BY next_at, number LIMIT ?";
        let found = sqlx::query(due)
            .bind(now.as_micros())
            .bind(MAX_DUE)
            .fetch_all(self.desk.reader())
            .await
            .map_err(failed(doing))?;
        let mut by_channel = by_channel.clone();
        let mut taken = Vec::new();
        for row in &found {
            let mut one = rows::sending(row)?;
            let flying = by_channel.entry(one.message.channel.clone()).or_default();
            if taken.len() < room && *flying < most {
                *flying += 1;
                one.attempts += 1;
                taken.push(one);
            }
        }
        if taken.is_empty() {
            return Ok(taken);
        }
        let mut tx = self.desk.begin(doing).await?;
        for one in &taken {
            sqlx::query(
                "UPDATE notifications SET next_at = ?, attempts = attempts + 1 WHERE number = ?",
            )
            .bind((now + LEASE).as_micros())
            .bind(one.number)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        }
        commit(tx, doing).await?;
        Ok(taken)
    }

    /// Marks a message as arrived.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn sent(&self, id: &MessageId, at: Timestamp) -> Result<(), AlertingError> {
        let doing = format!("marking notification {id} as sent");
        let mut tx = self.desk.begin(&doing).await?;
        sqlx::query(
            "UPDATE notifications SET state = 'sent', sent_at = ?, last_error = NULL
             WHERE id = ? AND state IN ('waiting', 'stuck')",
        )
        .bind(at.as_micros())
        .bind(id.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed(&doing))?;
        commit(tx, &doing).await
    }

    /// Notes that a message did not arrive: tried again after `pause`, or given up without one and
    /// beyond its deadline.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn not_sent(
        &self,
        one: &Sending,
        error: &str,
        pause: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), AlertingError> {
        let id = &one.message.id;
        let doing = format!("noting that notification {id} did not arrive");
        let next = pause.map(|pause| now + pause);
        let next = next.filter(|next| *next < one.deadline_at);
        let state = if next.is_some() {
            State::Waiting
        } else {
            State::Stuck
        };
        let error: String = error.chars().take(500).collect();
        let mut tx = self.desk.begin(&doing).await?;
        sqlx::query(
            "UPDATE notifications SET state = ?, next_at = ?, last_error = ?
             WHERE id = ? AND state = 'waiting'",
        )
        .bind(state.as_str())
        .bind(next.unwrap_or(now).as_micros())
        .bind(error)
        .bind(id.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed(&doing))?;
        commit(tx, &doing).await
    }

    /// Has a message that waits or is stuck tried at once, for another day. None when there is no
    /// such message.
    ///
    /// # Errors
    /// [`AlertingError::Invalid`] when it has arrived or is not to, and [`AlertingError::Database`].
    pub async fn retry(
        &self,
        id: &MessageId,
        now: Timestamp,
    ) -> Result<Option<Sending>, AlertingError> {
        let doing = format!("trying notification {id} again");
        let mut tx = self.desk.begin(&doing).await?;
        let done = sqlx::query(
            "UPDATE notifications SET state = 'waiting', claimed = 1, next_at = ?,
                 deadline_at = ? WHERE id = ? AND state IN ('waiting', 'stuck')",
        )
        .bind(now.as_micros())
        .bind((now + TRIED_FOR).as_micros())
        .bind(id.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed(&doing))?;
        commit(tx, &doing).await?;
        let found = self.get(id).await?;
        if done.rows_affected() == 0 && found.is_some() {
            return Err(AlertingError::Invalid {
                field: "id",
                rule: "only a message that waits or is stuck can be tried again",
            });
        }
        Ok(found)
    }

    /// Forgets what was told long ago. Notices of visits stay: one that lies far ahead would be
    /// told again.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn prune(&self, now: Timestamp) -> Result<(), AlertingError> {
        let doing = "forgetting old notifications";
        let mut tx = self.desk.begin(doing).await?;
        sqlx::query(
            "DELETE FROM notifications WHERE number IN (SELECT number FROM notifications
                 WHERE state IN ('sent', 'digested', 'withdrawn') AND kind <> 'visit'
                   AND created_at < ? LIMIT 10000)",
        )
        .bind((now - KEPT_FOR).as_micros())
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        commit(tx, doing).await
    }
}

/// The pause after so many attempts: doubled each time, cut, and spread over its second half by
/// `chance` from 0 to 1, so that messages that failed together are not tried together.
pub fn pause_after(attempts: u32, chance: f64) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled
        .min(RETRY_MOST)
        .mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}
