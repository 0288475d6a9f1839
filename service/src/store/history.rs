//! The past of assets: taking it in, and reading lives out of it and of ended orders.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Row, Sqlite, SqliteConnection, Transaction};
use telemetry::{
    AssetId, AssetModelId, Event, FailureMode, INSTALLED_AT, JournalRecord, JournalWriter, Outcome,
    PortError, Recorded, Timestamp,
};

use super::{Service, commit, failed};
use crate::{
    AssetLives, HistoryKind, HistoryOptions, HistoryRecord, HistoryReport, LivesQuery, Mark,
    ServiceError,
    history::{self, Entry},
    onboard::report::Problems,
};

/// Assets listed that the ledger does not know: enough to see a wrong prefix.
const MAX_STRANGERS: usize = 20;

/// Characters that are shown of a row that cannot be read.
const SHOWN_CHARS: usize = 40;

/// What became of a row.
enum Became {
    New,
    Changed,
    Known,
}

impl Service {
    /// Takes in a file of the past: all of it, or with any error nothing. What follows for those
    /// who watch the machines (what is newly known, and where lives ended and present ones began)
    /// is written down in the same transaction; [`Self::tell_history`] tells it to the journal.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`]. What is wrong with the file is in the report.
    pub async fn import_history(
        &self,
        kind: HistoryKind,
        csv: &[u8],
        options: &HistoryOptions,
    ) -> Result<HistoryReport, ServiceError> {
        let doing = "importing a history";
        let mut problems = Problems::default();
        let (entries, rows) = history::read(csv, kind, options, self.now(), &mut problems);
        let mut report = HistoryReport {
            dry_run: options.dry_run,
            rows,
            ..HistoryReport::default()
        };
        (report.errors, report.more_errors) = problems.into_sorted();
        if !report.errors.is_empty() {
            return Ok(report);
        }
        let mut tx = self.begin(doing).await?;
        let before = self.all_lives(&mut tx).await?;
        let mut events = self.take(&mut tx, &entries, &mut report).await?;
        if options.dry_run {
            // Dropped without a commit: nothing of it is written.
            return Ok(report);
        }
        let after = self.all_lives(&mut tx).await?;
        let ended = history::ended(&before, &after).into_iter();
        events.extend(ended.map(|(asset, at)| Event::Recorded {
            asset,
            at,
            what: Recorded::LifeEnded,
        }));
        let begun = history::begun(&before, &after).into_iter();
        events.extend(begun.map(|(asset, at)| Event::LifeBegan { asset, at }));
        for events in events.chunks(history::EVENTS_AT_ONCE) {
            sqlx::query("INSERT INTO history_outbox (events) VALUES (?)")
                .bind(serde_json::json!(events).to_string())
                .execute(&mut *tx)
                .await
                .map_err(failed(doing))?;
        }
        commit(tx, doing).await?;
        report.applied = true;
        Ok(report)
    }

    /// Tells the journal what imports have to tell, oldest first; also what an import left that
    /// was cut off. Each record is ticked off when the journal has it; one that is told twice, because
    /// the program died in between, changes nothing.
    ///
    /// # Errors
    /// When the database or the journal fails; what is left is told by the next call.
    pub async fn tell_history(&self, journal: &dyn JournalWriter) -> Result<(), PortError> {
        // One at a time: of two at once the later events could come first.
        let _turn = self.inner.telling.lock().await;
        while let Some((number, events)) = self.untold_history().await? {
            let record = JournalRecord {
                events,
                ..JournalRecord::default()
            };
            journal.append(record).await?;
            self.history_told(number).await?;
        }
        Ok(())
    }

    /// The oldest events that the journal may not have yet, and their number.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn untold_history(&self) -> Result<Option<(i64, Vec<Event>)>, ServiceError> {
        let doing = "reading what imports have to tell";
        let found: Option<(i64, String)> =
            sqlx::query_as("SELECT number, events FROM history_outbox ORDER BY number LIMIT 1")
                .fetch_optional(&self.inner.read)
                .await
                .map_err(failed(doing))?;
        let Some((number, text)) = found else {
            return Ok(None);
        };
        let events = serde_json::from_str(&text).map_err(|_| ServiceError::Unreadable {
            row: format!("history_outbox {number}"),
            column: "events",
            value: text.chars().take(SHOWN_CHARS).collect(),
        })?;
        Ok(Some((number, events)))
    }

    /// Ticks off what the journal has.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn history_told(&self, number: i64) -> Result<(), ServiceError> {
        let doing = "ticking off what an import had to tell";
        let mut tx = self.begin(doing).await?;
        sqlx::query("DELETE FROM history_outbox WHERE number = ?")
            .bind(number)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        commit(tx, doing).await
    }

    /// The lives of every kind of machine that is learned.
    async fn all_lives(
        &self,
        database: &mut SqliteConnection,
    ) -> Result<Vec<AssetLives>, ServiceError> {
        let mut all = Vec::new();
        for model in self.inner.registry.models().values() {
            let Some(spec) = &model.prognosis else {
                continue;
            };
            let query = LivesQuery {
                model: model.id.clone(),
                component: spec.component.clone(),
            };
            all.extend(self.lives_in(database, &query).await?);
        }
        Ok(all)
    }

    /// Writes the rows down; what they tell comes back.
    async fn take(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        entries: &[Entry],
        report: &mut HistoryReport,
    ) -> Result<Vec<Event>, ServiceError> {
        let mut events = Vec::new();
        for entry in entries {
            let became = match entry {
                Entry::Asset { .. } => put_asset(tx, entry).await?,
                Entry::Record(record) => put_record(tx, record, self.now()).await?,
            };
            // A note that was mended tells nothing new.
            if matches!(
                (&became, entry),
                (Became::New, _) | (Became::Changed, Entry::Asset { .. })
            ) {
                events.extend(told(entry, self.now()));
            }
            match became {
                Became::New => report.new += 1,
                Became::Changed => report.changed += 1,
                Became::Known => report.unchanged += 1,
            }
        }
        report.not_in_ledger = strangers(tx, entries).await?;
        Ok(events)
    }

    /// What was imported about the assets of a kind beside their failures: error codes, renewals of
    /// components, and static facts, in the words of the journal.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn recorded(
        &self,
        model: &AssetModelId,
    ) -> Result<Vec<(AssetId, Timestamp, Recorded)>, ServiceError> {
        let doing = "reading what is on record";
        let found = sqlx::query(
            "WITH of_kind AS (
                 SELECT id AS asset FROM assets WHERE model = ?1
                 UNION SELECT asset FROM history_assets WHERE model = ?1)
             SELECT asset, at, kind, component, code, '' AS facts FROM history_records
                 WHERE kind IN ('maintenance', 'error') AND asset IN of_kind
             UNION ALL SELECT asset, COALESCE(installed_at, 0), 'facts', '',
                     IIF(installed_at IS NULL, '', 'known'), facts
                 FROM history_assets WHERE asset IN of_kind
             ORDER BY 1, 2, 3, 4, 5",
        )
        .bind(model.as_str())
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed(doing))?;
        let recorded = found.iter().filter_map(|row| {
            let asset = AssetId::new(row.get("asset")).ok()?;
            let at = Timestamp::from_micros(row.get("at"));
            let what = match row.get("kind") {
                "facts" => {
                    let installed = (row.get::<&str, _>("code") == "known").then_some(at);
                    let facts = serde_json::from_str(row.get("facts")).ok()?;
                    facts_told(facts, installed)
                }
                kind => recorded(kind, row.get("component"), row.get("code"))?,
            };
            Some((asset, at, what))
        });
        Ok(recorded.collect())
    }

    /// What was imported about an asset, or about all of them, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn history(
        &self,
        asset: Option<&AssetId>,
        limit: u32,
    ) -> Result<Vec<HistoryRecord>, ServiceError> {
        let doing = "reading the history";
        let found = sqlx::query(
            "SELECT asset, at, kind, component, code, note FROM history_records
             WHERE ?1 IS NULL OR asset = ?1 ORDER BY at, asset, kind, component, code LIMIT ?2",
        )
        .bind(asset.map(AssetId::as_str))
        .bind(limit)
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed(doing))?;
        let records = found.iter().map(|row| {
            Some(HistoryRecord {
                asset: AssetId::new(row.get("asset")).ok()?,
                at: Timestamp::from_micros(row.get("at")),
                kind: row.get("kind"),
                component: row.get("component"),
                code: row.get("code"),
                note: row.get("note"),
            })
        });
        // Every id was checked when it was written.
        Ok(records.flatten().collect())
    }

    /// The lives of all assets of a kind: what was imported about them, and how their orders
    /// ended, in the time of the machines' readings. An order that confirmed a fault ends a life
    /// in a failure, one that found another fault ends it without one; either only when the
    /// fault was of the component asked for, as far as that is known.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn lives(&self, query: &LivesQuery) -> Result<Vec<AssetLives>, ServiceError> {
        let acquired = self.inner.read.acquire().await;
        let mut database = acquired.map_err(failed("reading lives"))?;
        self.lives_in(&mut database, query).await
    }

    async fn lives_in(
        &self,
        database: &mut SqliteConnection,
        query: &LivesQuery,
    ) -> Result<Vec<AssetLives>, ServiceError> {
        let doing = "reading lives";
        let found = sqlx::query(
            "WITH of_kind AS (
                 SELECT id AS asset FROM assets WHERE model = ?1
                 UNION SELECT asset FROM history_assets WHERE model = ?1)
             SELECT asset, installed_at AS at, 'installed' AS kind, '' AS code, NULL AS mode
                 FROM history_assets WHERE installed_at IS NOT NULL AND asset IN of_kind
             UNION ALL SELECT asset, at, kind, code, NULL FROM history_records
                 WHERE kind IN ('failure', 'maintenance') AND asset IN of_kind
                   AND (?2 IS NULL OR component = '' OR component = ?2)
             UNION ALL SELECT asset, COALESCE(done_at, updated_at), 'order', outcome,
                     CASE outcome WHEN 'confirmed' THEN COALESCE(found_mode, failure_mode)
                                  ELSE found_mode END
                 FROM work_orders
                 WHERE status = 'completed' AND outcome IS NOT NULL AND asset IN of_kind
             UNION ALL SELECT asset, NULL, IIF(asset IN (SELECT id FROM assets), 'kept', 'gone'), '',
                     NULL FROM of_kind
             ORDER BY 1, 2",
        )
        .bind(query.model.as_str())
        .bind(query.component.as_ref().map(ToString::to_string))
        .fetch_all(&mut *database)
        .await
        .map_err(failed(doing))?;
        let model = self.inner.registry.models().get(&query.model);
        let mut marks: BTreeMap<String, Vec<(Timestamp, Mark)>> = BTreeMap::new();
        let mut gone: BTreeSet<String> = BTreeSet::new();
        for row in &found {
            if row.get::<&str, _>("kind") == "gone" {
                gone.insert(row.get("asset"));
            }
            let marks = marks.entry(row.get("asset")).or_default();
            let at: Option<i64> = row.get("at");
            let mode: Option<&str> = row.get("mode");
            let mode = mode.and_then(|mode| FailureMode::new(mode).ok());
            // What was mended on another component ends no life of this one.
            if model.is_some_and(|model| !model.renews(query.component.as_ref(), mode.as_ref())) {
                continue;
            }
            if let (Some(at), Some(mark)) = (at, mark(row.get("kind"), row.get("code"))) {
                marks.push((Timestamp::from_micros(at), mark));
            }
        }
        let lives = marks.into_iter().filter_map(|(asset, marks)| {
            let mut lives = history::lives(&marks);
            // A machine that failed and is not in the ledger was scrapped, and lives no more.
            let failed_at = lives.iter().rev().nth(1).filter(|life| life.failed);
            let is_over = failed_at.is_some_and(|before| {
                let last = lives.last();
                last.is_some_and(|last| last.to.is_none() && last.from == before.to)
            });
            if is_over && gone.contains(&asset) {
                lives.pop();
            }
            Some(AssetLives {
                asset: AssetId::new(&asset).ok()?,
                lives,
            })
        });
        Ok(lives.collect())
    }
}

/// What a row that was taken in tells those who watch the machine; failures are told as lives.
fn told(entry: &Entry, now: Timestamp) -> Option<Event> {
    let (asset, at, what) = match entry {
        Entry::Asset {
            asset,
            installed_at,
            facts,
            ..
        } => (asset, now, facts_told(facts.clone(), *installed_at)),
        Entry::Record(record) => {
            let what = recorded(&record.kind, &record.component, &record.code)?;
            (&record.asset, record.at, what)
        }
    };
    Some(Event::Recorded {
        asset: asset.clone(),
        at,
        what,
    })
}

/// Facts with when the machine was installed among them.
fn facts_told(mut facts: BTreeMap<String, String>, installed_at: Option<Timestamp>) -> Recorded {
    if let Some(at) = installed_at {
        facts.insert(INSTALLED_AT.to_owned(), at.to_string());
    }
    Recorded::Facts { facts }
}

/// An inspection renews nothing, and a renewal of the machine as a whole is a life of its own.
fn recorded(kind: &str, component: &str, code: &str) -> Option<Recorded> {
    match (kind, code) {
        ("error", _) => Some(Recorded::Code {
            code: code.to_owned(),
        }),
        ("maintenance", "replace" | "repair") if !component.is_empty() => Some(Recorded::Renewed {
            component: component.to_owned(),
        }),
        _ => None,
    }
}

fn mark(kind: &str, code: &str) -> Option<Mark> {
    match (kind, code) {
        ("installed", _) => Some(Mark::Installed),
        ("failure", _) => Some(Mark::Failed),
        ("maintenance", "replace" | "repair") => Some(Mark::Renewed),
        ("order", code) if code == Outcome::Confirmed.as_str() => Some(Mark::Failed),
        ("order", code) if code == Outcome::OtherFaultFound.as_str() => Some(Mark::Renewed),
        _ => None,
    }
}

async fn put_asset(
    tx: &mut Transaction<'static, Sqlite>,
    entry: &Entry,
) -> Result<Became, ServiceError> {
    let Entry::Asset {
        asset,
        model,
        installed_at,
        facts,
    } = entry
    else {
        return Ok(Became::Known);
    };
    let failed = failed("importing an asset");
    let known: Option<(Option<String>, Option<i64>, String)> =
        sqlx::query_as("SELECT model, installed_at, facts FROM history_assets WHERE asset = ?")
            .bind(asset.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(failed)?;
    let said = (
        model.as_ref().map(ToString::to_string),
        installed_at.map(Timestamp::as_micros),
        serde_json::json!(facts).to_string(),
    );
    if known.as_ref() == Some(&said) {
        return Ok(Became::Known);
    }
    sqlx::query(
        "INSERT INTO history_assets (asset, model, installed_at, facts) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (asset) DO UPDATE SET model = ?2, installed_at = ?3, facts = ?4",
    )
    .bind(asset.as_str())
    .bind(&said.0)
    .bind(said.1)
    .bind(&said.2)
    .execute(&mut **tx)
    .await
    .map_err(super::failed("importing an asset"))?;
    Ok(match known {
        Some(_) => Became::Changed,
        None => Became::New,
    })
}

async fn put_record(
    tx: &mut Transaction<'static, Sqlite>,
    record: &HistoryRecord,
    now: Timestamp,
) -> Result<Became, ServiceError> {
    let doing = "importing a record";
    let note: Option<String> = sqlx::query_scalar(
        "SELECT note FROM history_records
         WHERE asset = ? AND at = ? AND kind = ? AND component = ? AND code = ?",
    )
    .bind(record.asset.as_str())
    .bind(record.at.as_micros())
    .bind(&record.kind)
    .bind(&record.component)
    .bind(&record.code)
    .fetch_optional(&mut **tx)
    .await
    .map_err(failed(doing))?;
    if note.as_ref() == Some(&record.note) {
        return Ok(Became::Known);
    }
    sqlx::query(
        "INSERT INTO history_records (asset, at, kind, component, code, note, imported_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (asset, at, kind, component, code) DO UPDATE SET note = ?6, imported_at = ?7",
    )
    .bind(record.asset.as_str())
    .bind(record.at.as_micros())
    .bind(&record.kind)
    .bind(&record.component)
    .bind(&record.code)
    .bind(&record.note)
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await
    .map_err(failed(doing))?;
    Ok(if note.is_some() {
        Became::Changed
    } else {
        Became::New
    })
}

async fn strangers(
    tx: &mut Transaction<'static, Sqlite>,
    entries: &[Entry],
) -> Result<Vec<AssetId>, ServiceError> {
    let assets: BTreeSet<&AssetId> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Asset { asset, .. } => asset,
            Entry::Record(record) => &record.asset,
        })
        .collect();
    let mut strangers = Vec::new();
    for asset in assets {
        if strangers.len() == MAX_STRANGERS {
            break;
        }
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM assets WHERE id = ?)")
            .bind(asset.as_str())
            .fetch_one(&mut **tx)
            .await
            .map_err(failed("looking for assets in the ledger"))?;
        if !known {
            strangers.push(asset.clone());
        }
    }
    Ok(strangers)
}
