//! Silences on disk, and how many alarms people got.

use std::collections::BTreeMap;

use sqlx::{Row, SqliteConnection};
use telemetry::Timestamp;

use super::{CaseDesk, commit, person, rows, treat::checked_note};
use crate::{
    AlertingError, NewSilence, Silence, SuppressionReason,
    rates::{self, AlarmRates, STALE_AFTER, Slot, Standing, Watcher},
    shelving::check_until,
};

/// Silences that may be in force at once: far more than people keep in mind, few enough to
/// hold against every case.
const MAX_SILENCES: usize = 1_000;
/// Silences on one page.
const MAX_LISTED: u32 = 1_000;

impl CaseDesk {
    /// Enters a silence. What it fits is kept quiet from the next review on.
    ///
    /// # Errors
    /// [`AlertingError::Invalid`] when it fits everything, ends in the past, before it begins or
    /// too late, when there are too many, and for names and notes that are too long; and
    /// [`AlertingError::Database`].
    pub async fn silence(&self, new: NewSilence) -> Result<Silence, AlertingError> {
        let doing = "entering a silence";
        let now = self.now();
        let by = person(&new.by)?;
        let note = checked_note(&new.note)?;
        check_until(new.until, now, self.inner.settings.shelve_most)?;
        let rule = if new.matcher.is_empty() {
            Some((
                "matcher",
                "name at least one of asset, site, model and failure_mode",
            ))
        } else if new.until <= new.from {
            Some(("until", "use a time after from"))
        } else {
            None
        };
        if let Some((field, rule)) = rule {
            return Err(AlertingError::Invalid { field, rule });
        }
        let mut slot = self.inner.desk.lock().await;
        slot.take();
        let mut tx = self.begin(doing).await?;
        if not_over(&mut tx, now).await?.len() >= MAX_SILENCES {
            return Err(AlertingError::Invalid {
                field: "silence",
                rule: "end some first: 1,000 silences are in force",
            });
        }
        let matcher = &new.matcher;
        let row = sqlx::query(
            "INSERT INTO silences (asset, site, model, failure_mode, from_at, until_at, author,
                 note, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(matcher.asset.as_ref().map(ToString::to_string))
        .bind(matcher.site.as_ref().map(ToString::to_string))
        .bind(matcher.model.as_ref().map(ToString::to_string))
        .bind(matcher.failure_mode.as_ref().map(ToString::to_string))
        .bind(new.from.as_micros())
        .bind(new.until.as_micros())
        .bind(by)
        .bind(note)
        .bind(now.as_micros())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed(doing))?;
        let silence = rows::silence(&row)?;
        drop(row);
        commit(tx, doing).await?;
        Ok(silence)
    }

    /// Ends a silence before its time. One that has ended stays as it is.
    ///
    /// # Errors
    /// [`AlertingError::NoSilence`], [`AlertingError::Invalid`] for the name, and
    /// [`AlertingError::Database`].
    pub async fn end_silence(&self, id: i64, by: &str) -> Result<Silence, AlertingError> {
        let doing = "ending a silence";
        let now = self.now();
        let by = person(by)?;
        let mut slot = self.inner.desk.lock().await;
        slot.take();
        let mut tx = self.begin(doing).await?;
        let row = sqlx::query(
            "UPDATE silences SET ended_at = coalesce(ended_at, ?1),
                 ended_by = coalesce(ended_by, ?2) WHERE number = ?3 RETURNING *",
        )
        .bind(now.as_micros())
        .bind(by)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed(doing))?;
        let silence = row.as_ref().map(rows::silence).transpose()?;
        drop(row);
        let silence = silence.ok_or(AlertingError::NoSilence(id))?;
        commit(tx, doing).await?;
        Ok(silence)
    }

    /// Silences, newest first; only those that are not over unless `all`.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn silences(
        &self,
        all: bool,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Silence>, AlertingError> {
        let found = sqlx::query(
            "SELECT * FROM silences
             WHERE (?1 OR (ended_at IS NULL AND until_at > ?2)) AND (?3 IS NULL OR number < ?3)
             ORDER BY number DESC LIMIT ?4",
        )
        .bind(all)
        .bind(self.now().as_micros())
        .bind(after)
        .bind(limit.min(MAX_LISTED))
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed("listing silences"))?;
        found.iter().map(rows::silence).collect()
    }

    /// How many alarms people got at each site, from `from` to `until`; at most the last
    /// [`rates::MOST`] of that time.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn alarm_rates(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<AlarmRates>, AlertingError> {
        const SLOTS: &str = "
            SELECT c.site AS site, e.seen_at / ?3 AS slot, sum(e.announced) AS alarms,
                sum(1 - e.announced) AS suppressed
            FROM case_events e JOIN cases c ON c.id = e.case_id
            WHERE e.kind IN ('opened', 'reopened', 'returned', 'unsuppressed')
              AND (e.kind <> 'unsuppressed' OR e.announced = 1)
              AND e.seen_at >= ?1 AND e.seen_at <= ?2
            GROUP BY 1, 2";
        let doing = "counting alarms";
        let from = from.max(until - rates::MOST).max(Timestamp::EPOCH);
        let begin = rates::begin_of(rates::slot_of(from));
        let found = sqlx::query(SLOTS)
            .bind(begin.as_micros())
            .bind(until.as_micros())
            .bind(rates::micros())
            .fetch_all(&self.inner.read)
            .await
            .map_err(failed(doing))?;
        let mut slots = Vec::with_capacity(found.len());
        for row in &found {
            let count = |column: &str| -> Result<u64, AlertingError> {
                let count: i64 = row.try_get(column).map_err(failed(doing))?;
                Ok(u64::try_from(count).unwrap_or(0))
            };
            slots.push(Slot {
                of: Watcher::Site(rows::site(row)?),
                number: row.try_get("slot").map_err(failed(doing))?,
                alarms: count("alarms")?,
                suppressed: count("suppressed")?,
            });
        }
        slots.extend(self.messages_sent(begin, until).await?);
        Ok(rates::rates(&slots, &self.standing().await?, from, until))
    }

    /// The messages that went out to each recipient.
    async fn messages_sent(
        &self,
        begin: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Slot>, AlertingError> {
        let doing = "counting messages";
        let found: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT recipient, sent_at / ?3, count(*) FROM notifications
             WHERE state = 'sent' AND sent_at >= ?1 AND sent_at <= ?2 GROUP BY 1, 2",
        )
        .bind(begin.as_micros())
        .bind(until.as_micros())
        .bind(rates::micros())
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed(doing))?;
        let slots = found.into_iter().map(|(recipient, number, count)| Slot {
            of: Watcher::Operator(recipient),
            number,
            alarms: u64::try_from(count).unwrap_or(0),
            suppressed: 0,
        });
        Ok(slots.collect())
    }

    /// What stands now, by site.
    async fn standing(&self) -> Result<BTreeMap<Watcher, Standing>, AlertingError> {
        let now = self.now();
        self.look(|desk| {
            let mut sites: BTreeMap<Watcher, Standing> = BTreeMap::new();
            for case in desk.open_cases().map(|held| &held.case) {
                let site = sites.entry(Watcher::Site(case.site.clone())).or_default();
                match &case.suppressed {
                    None if case.cleared_at.is_none() => {
                        site.standing += 1;
                        let is_stale = now.since(case.seen_at) > STALE_AFTER;
                        site.stale += u64::from(is_stale);
                    }
                    Some(why) if why.reason == SuppressionReason::Flapping => site.chattering += 1,
                    _ => {}
                }
            }
            sites
        })
        .await
    }
}

/// Silences that are in force now or will be.
pub(super) async fn not_over(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<Silence>, AlertingError> {
    let found = sqlx::query(
        "SELECT * FROM silences WHERE ended_at IS NULL AND until_at > ? ORDER BY number",
    )
    .bind(now.as_micros())
    .fetch_all(connection)
    .await
    .map_err(failed("reading the silences"))?;
    found.iter().map(rows::silence).collect()
}

fn failed(doing: &str) -> impl FnOnce(sqlx::Error) -> AlertingError {
    |source| AlertingError::Database {
        doing: doing.to_owned(),
        source,
    }
}
