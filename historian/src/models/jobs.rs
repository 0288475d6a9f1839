//! Training as a queue: one job a kind of machine at a time.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use telemetry::{AssetModelId, Timestamp};

use super::{ModelRegistry, rows::id};
use crate::error::{During, HistorianError};

/// Jobs that are listed.
const MAX_LISTED: u32 = 200;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its turn.
    Queued,
    /// It is being done.
    Running,
    /// A model came of it.
    Done,
    /// None did.
    Failed,
}

impl JobState {
    fn parse(text: &str) -> Self {
        match text {
            "queued" => Self::Queued,
            "running" => Self::Running,
            "done" => Self::Done,
            _ => Self::Failed,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// Who asks: a person, or `schedule`.
    pub by: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The horizon of the probabilities, in seconds; none as the asset model says.
    pub horizon_s: Option<f64>,
    /// When it was asked for.
    pub at: Timestamp,
}

/// A training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingJob {
    /// Its number.
    pub id: u64,
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// Where it stands.
    pub state: JobState,
    /// Who asked.
    pub by: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The horizon asked for, in seconds.
    pub horizon_s: Option<f64>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What is being done.
    pub step: String,
    /// How much is done, 0 to 1.
    pub progress: f64,
    /// The version that came of it.
    pub version: Option<u32>,
    /// Why none did.
    pub problem: Option<String>,
}

const COLUMNS: &str = "number, asset_model, state, by, seed, horizon_s, requested_at, started_at, \
                       ended_at, step, progress, version, problem";

fn job(row: &Row<'_>) -> rusqlite::Result<TrainingJob> {
    let time = |at: Option<i64>| at.map(Timestamp::from_micros);
    let state: String = row.get(2)?;
    Ok(TrainingJob {
        id: row.get::<_, i64>(0)?.unsigned_abs(),
        asset_model: id(row, 1)?,
        state: JobState::parse(&state),
        by: row.get(3)?,
        seed: row.get::<_, i64>(4)?.cast_unsigned(),
        horizon_s: row.get(5)?,
        requested_at: Timestamp::from_micros(row.get(6)?),
        started_at: time(row.get(7)?),
        ended_at: time(row.get(8)?),
        step: row.get(9)?,
        progress: row.get(10)?,
        version: row.get(11)?,
        problem: row.get(12)?,
    })
}

fn one(connection: &Connection, number: u64) -> Result<Option<TrainingJob>, HistorianError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE number = ?");
    connection
        .query_row(&sql, [number.cast_signed()], job)
        .optional()
        .during("read a training job")
}

impl ModelRegistry {
    /// Puts a training into the queue. One that waits or runs for the same kind is given back
    /// instead, with `false`.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn enqueue(&self, new: NewJob) -> Result<(TrainingJob, bool), HistorianError> {
        const ACTION: &str = "put a training into the queue";
        self.change(move |connection| {
            let open: Option<i64> = connection
                .query_row(
                    "SELECT number FROM jobs WHERE asset_model = ? AND state IN ('queued', 'running')",
                    [new.asset_model.as_str()],
                    |row| row.get(0),
                )
                .optional()
                .during(ACTION)?;
            let is_new = open.is_none();
            let number = if let Some(open) = open {
                open
            } else {
                connection
                    .execute(
                        "INSERT INTO jobs (asset_model, state, by, seed, horizon_s, requested_at)
                         VALUES (?, 'queued', ?, ?, ?, ?)",
                        params![
                            new.asset_model.as_str(),
                            new.by,
                            new.seed.cast_signed(),
                            new.horizon_s,
                            new.at.as_micros()
                        ],
                    )
                    .during(ACTION)?;
                connection.last_insert_rowid()
            };
            let job = one(connection, number.unsigned_abs())?;
            let job = job.ok_or(HistorianError::Worker(None))?;
            Ok((job, is_new))
        })
        .await
    }

    /// Takes the job that waits longest; it is running from now on.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn take_job(&self, at: Timestamp) -> Result<Option<TrainingJob>, HistorianError> {
        const ACTION: &str = "take a training";
        let taken = self
            .call(move |connection| {
                let number: Option<i64> = connection
                    .query_row(
                        "UPDATE jobs SET state = 'running', started_at = coalesce(started_at, ?)
                         WHERE number = (SELECT min(number) FROM jobs WHERE state = 'queued')
                         RETURNING number",
                        [at.as_micros()],
                        |row| row.get(0),
                    )
                    .optional()
                    .during(ACTION)?;
                let job = number.map(|number| one(connection, number.unsigned_abs()));
                job.transpose().map(Option::flatten)
            })
            .await?;
        Ok(taken)
    }

    /// Notes how far a job is. Blocks; meant for the thread that trains.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn job_progress(&self, job: u64, step: &str, progress: f64) -> Result<(), HistorianError> {
        self.lock()
            .execute(
                "UPDATE jobs SET step = ?, progress = ? WHERE number = ?",
                params![step, progress.clamp(0.0, 1.0), job.cast_signed()],
            )
            .during("note how far a training is")?;
        self.inner.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// A job has ended: with the version that came of it, or the reason why none did. What it
    /// had gathered is dropped.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn end_job(
        &self,
        job: u64,
        outcome: Result<u32, String>,
        at: Timestamp,
    ) -> Result<(), HistorianError> {
        const ACTION: &str = "end a training";
        self.change(move |connection| {
            let (state, version, problem) = match outcome {
                Ok(version) => ("done", Some(version), None),
                Err(problem) => ("failed", None, Some(problem)),
            };
            let number = job.cast_signed();
            connection
                .execute(
                    "UPDATE jobs SET state = ?, version = ?, problem = ?, ended_at = ?, step = '',
                         progress = CASE WHEN ?1 = 'done' THEN 1.0 ELSE progress END
                     WHERE number = ?",
                    params![state, version, problem, at.as_micros(), number],
                )
                .during(ACTION)?;
            connection
                .execute("DELETE FROM job_material WHERE job = ?", [number])
                .during(ACTION)?;
            Ok(())
        })
        .await
    }

    /// The jobs of a kind, or of all, newest first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn jobs(
        &self,
        asset_model: Option<AssetModelId>,
    ) -> Result<Vec<TrainingJob>, HistorianError> {
        const ACTION: &str = "list trainings";
        self.call(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM jobs WHERE ?1 IS NULL OR asset_model = ?1
                 ORDER BY number DESC LIMIT ?2"
            );
            let mut statement = connection.prepare(&sql).during(ACTION)?;
            let asked = asset_model.as_ref().map(AssetModelId::as_str);
            let found = statement
                .query_map(params![asked, MAX_LISTED], job)
                .during(ACTION)?;
            found.collect::<Result<_, _>>().during(ACTION)
        })
        .await
    }

    /// One job.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn job(&self, number: u64) -> Result<Option<TrainingJob>, HistorianError> {
        self.call(move |connection| one(connection, number)).await
    }

    /// Keeps what a job gathered of an asset. Blocks; meant for the thread that trains.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn put_material(&self, job: u64, asset: &str, bytes: &[u8]) -> Result<(), HistorianError> {
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO job_material (job, asset, bytes) VALUES (?, ?, ?)",
                params![job.cast_signed(), asset, bytes],
            )
            .during("keep what a training gathered")?;
        Ok(())
    }

    /// What a job had gathered of an asset before it was cut off. Blocks.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn material(&self, job: u64, asset: &str) -> Result<Option<Vec<u8>>, HistorianError> {
        self.lock()
            .query_row(
                "SELECT bytes FROM job_material WHERE job = ? AND asset = ?",
                params![job.cast_signed(), asset],
                |row| row.get(0),
            )
            .optional()
            .during("read what a training gathered")
    }
}
