//! What people enter about each other, in the file of the cases: who stands in on call, and the
//! calendars that are subscribed to.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};
use sqlx::{Row as _, sqlite::SqliteRow};
use telemetry::{EngineerId, PersonId, RotaId, Timestamp};

use super::Override;
use crate::{
    AlertingError, CaseDesk,
    store::{commit, failed, person},
};

/// Entries of one rota that are read: some a week for years.
const MAX_OVERRIDES: u32 = 1_000;
/// The longest time somebody stands in; longer is another rota.
const MAX_DAYS: u64 = 366;
/// Calendars of one installation.
const MAX_FEEDS: i64 = 1_000;

/// A calendar that somebody subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarFeed {
    /// Its number.
    pub id: i64,
    /// Whose orders it shows; everybody's when it is none.
    pub engineer: Option<EngineerId>,
    /// Who entered it.
    pub by: String,
    /// When.
    pub entered_at: Timestamp,
}

impl CaseDesk {
    /// Enters that somebody stands in.
    ///
    /// # Errors
    /// [`AlertingError::Invalid`] for a span that is empty or longer than a year, or a name that
    /// is empty or too long, and [`AlertingError::Database`].
    pub async fn stand_in(
        &self,
        rota: &RotaId,
        who: &PersonId,
        (from, until): (Timestamp, Timestamp),
        by: &str,
        at: Timestamp,
    ) -> Result<Override, AlertingError> {
        let by = person(by)?;
        let most = std::time::Duration::from_hours(24 * MAX_DAYS);
        if until <= from || until > from + most {
            return Err(AlertingError::Invalid {
                field: "until",
                rule: "use a time after from, at most a year later",
            });
        }
        let doing = format!("entering who stands in on rota {rota}");
        let mut tx = self.begin(&doing).await?;
        let done = sqlx::query(
            "INSERT INTO rota_overrides (rota, person, from_at, until_at, entered_by, entered_at)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(rota.as_str())
        .bind(who.as_str())
        .bind(from.as_micros())
        .bind(until.as_micros())
        .bind(by)
        .bind(at.as_micros())
        .execute(&mut *tx)
        .await
        .map_err(failed(&doing))?;
        commit(tx, &doing).await?;
        Ok(Override {
            id: Some(done.last_insert_rowid()),
            person: who.clone(),
            from,
            until,
            by: Some(by.to_owned()),
        })
    }

    /// Takes back that somebody stands in; false when there is no such entry.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn stand_in_no_more(&self, rota: &RotaId, id: i64) -> Result<bool, AlertingError> {
        let doing = "taking back who stands in";
        let mut tx = self.begin(doing).await?;
        let done = sqlx::query("DELETE FROM rota_overrides WHERE id = ? AND rota = ?")
            .bind(id)
            .bind(rota.as_str())
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        commit(tx, doing).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Who stands in on which rota, by the order of entry, for spans that end after `after`.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn stand_ins(
        &self,
        after: Timestamp,
    ) -> Result<Vec<(RotaId, Override)>, AlertingError> {
        let doing = "reading who stands in";
        let found =
            sqlx::query("SELECT * FROM rota_overrides WHERE until_at > ? ORDER BY id LIMIT ?")
                .bind(after.as_micros())
                .bind(MAX_OVERRIDES)
                .fetch_all(self.reader())
                .await
                .map_err(failed(doing))?;
        let read = |row: &SqliteRow| -> Result<(RotaId, Override), sqlx::Error> {
            let invalid = |error| sqlx::Error::Decode(Box::new(error));
            let rota: &str = row.try_get("rota")?;
            let who: &str = row.try_get("person")?;
            let one = Override {
                id: Some(row.try_get("id")?),
                person: PersonId::new(who).map_err(invalid)?,
                from: Timestamp::from_micros(row.try_get("from_at")?),
                until: Timestamp::from_micros(row.try_get("until_at")?),
                by: Some(row.try_get("entered_by")?),
            };
            Ok((RotaId::new(rota).map_err(invalid)?, one))
        };
        found
            .iter()
            .map(|row| read(row).map_err(failed(doing)))
            .collect()
    }

    /// Enters a calendar. Who knows the token reads it; only its hash is kept.
    ///
    /// # Errors
    /// [`AlertingError::Invalid`] when there are a thousand, or for a name that is empty or too
    /// long, and [`AlertingError::Database`].
    pub async fn enter_feed(
        &self,
        token: &str,
        engineer: Option<&EngineerId>,
        by: &str,
        at: Timestamp,
    ) -> Result<CalendarFeed, AlertingError> {
        let by = person(by)?;
        let doing = "entering a calendar";
        let mut tx = self.begin(doing).await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM calendar_feeds")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed(doing))?;
        if count >= MAX_FEEDS {
            return Err(AlertingError::Invalid {
                field: "engineer",
                rule: "there are a thousand calendars already; take one away first",
            });
        }
        let done = sqlx::query(
            "INSERT INTO calendar_feeds (token_hash, engineer, entered_by, entered_at)
             VALUES (?, ?, ?, ?)",
        )
        .bind(hash(token))
        .bind(engineer.map(|id| id.as_str().to_owned()))
        .bind(by)
        .bind(at.as_micros())
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        commit(tx, doing).await?;
        Ok(CalendarFeed {
            id: done.last_insert_rowid(),
            engineer: engineer.cloned(),
            by: by.to_owned(),
            entered_at: at,
        })
    }

    /// Takes a calendar away; false when there is none with this number.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn forget_feed(&self, id: i64) -> Result<bool, AlertingError> {
        let doing = "taking a calendar away";
        let mut tx = self.begin(doing).await?;
        let done = sqlx::query("DELETE FROM calendar_feeds WHERE id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        commit(tx, doing).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Every calendar, oldest first.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn feeds(&self) -> Result<Vec<CalendarFeed>, AlertingError> {
        let doing = "listing calendars";
        let found = sqlx::query("SELECT * FROM calendar_feeds ORDER BY id")
            .fetch_all(self.reader())
            .await
            .map_err(failed(doing))?;
        found
            .iter()
            .map(|row| feed(row).map_err(failed(doing)))
            .collect()
    }

    /// The calendar that this token opens; none when it opens none. It is found by the hash, so
    /// the time of the answer tells nothing about the tokens there are.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn feed(&self, token: &str) -> Result<Option<CalendarFeed>, AlertingError> {
        let doing = "looking for a calendar";
        let found = sqlx::query("SELECT * FROM calendar_feeds WHERE token_hash = ?")
            .bind(hash(token))
            .fetch_optional(self.reader())
            .await
            .map_err(failed(doing))?;
        found
            .as_ref()
            .map(|row| feed(row).map_err(failed(doing)))
            .transpose()
    }
}

fn hash(token: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(token.as_bytes()))
}

fn feed(row: &SqliteRow) -> Result<CalendarFeed, sqlx::Error> {
    let engineer: Option<&str> = row.try_get("engineer")?;
    Ok(CalendarFeed {
        id: row.try_get("id")?,
        engineer: engineer
            .map(EngineerId::new)
            .transpose()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        by: row.try_get("entered_by")?,
        entered_at: Timestamp::from_micros(row.try_get("entered_at")?),
    })
}
