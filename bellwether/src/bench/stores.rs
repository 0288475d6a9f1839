//! The stores that are compared, as a client of line protocol sees them: write, count, size.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use historian::DiskUse;
use serde::Deserialize;
use serde_json::Value;

use super::engine::Engine;

/// A request takes milliseconds; one that takes this long hangs.
const REQUEST: Duration = Duration::from_mins(2);
/// What was written has to be found within this.
const FOUND_WITHIN: Duration = Duration::from_mins(10);
/// A database has to be there within this after it was ordered.
const MADE_WITHIN: Duration = Duration::from_secs(30);
/// How often the count is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A folder whose size has not changed for this long is not being compacted.
const QUIET: Duration = Duration::from_secs(15);
/// No store merges this little data for longer.
const QUIET_WITHIN: Duration = Duration::from_mins(5);

/// Numbers the databases of this process.
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(1);

/// A store under measurement.
pub(super) enum Store {
    /// This program, through its HTTP ingestion: acknowledged means fsynced.
    Bellwether(Box<Engine>),
    /// `VictoriaMetrics`.
    Victoria {
        /// Its address.
        url: String,
        /// Its folder, when it is known.
        data: Option<PathBuf>,
    },
    /// `InfluxDB` 1.x.
    Influx {
        /// Its address.
        url: String,
        /// Its folder, when it is known.
        data: Option<PathBuf>,
        /// The database that is written to, by its number.
        database: AtomicU32,
    },
}

/// The size of a store on disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bytes {
    /// All of it.
    pub(super) file: u64,
    /// What of it was not sent but found: no other store says anything of its readings.
    pub(super) findings: u64,
}

impl Bytes {
    fn of(file: u64) -> Self {
        Self { file, findings: 0 }
    }
}

impl Store {
    /// Its name in the results.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Bellwether(_) => "bellwether",
            Self::Victoria { .. } => "victoria-metrics",
            Self::Influx { .. } => "influxdb",
        }
    }

    /// Empties it as far as a client can, so that counts begin at zero.
    ///
    /// # Errors
    /// When it refuses.
    pub(super) async fn empty(&self, client: &reqwest::Client) -> Result<()> {
        match self {
            Self::Bellwether(_) => Ok(()),
            Self::Victoria { url, .. } => {
                let all = [("match[]", "{device!=\"\"}")];
                let url = format!("{url}/api/v1/admin/tsdb/delete_series");
                let done = client.post(url).query(&all).send().await?;
                done.error_for_status()?;
                Ok(())
            }
            Self::Influx { url, database, .. } => {
                // A name of its own: one that was just dropped cannot always be made again.
                let nth = NEXT_DATABASE.fetch_add(1, Ordering::Relaxed);
                database.store(nth, Ordering::Relaxed);
                influx_create(client, url, &named(nth)).await
            }
        }
    }

    /// Writes a body and waits for the acknowledgement.
    ///
    /// # Errors
    /// When it is refused.
    pub(super) async fn write(&self, client: &reqwest::Client, body: Vec<u8>) -> Result<()> {
        let (url, query) = match self {
            Self::Bellwether(engine) => (engine.url("/readings"), [("device", named(0))]),
            Self::Victoria { url, .. } => {
                (format!("{url}/write"), [("precision", "ns".to_owned())])
            }
            Self::Influx { url, database, .. } => {
                let database = named(database.load(Ordering::Relaxed));
                (format!("{url}/write"), [("db", database)])
            }
        };
        let request = client.post(url).query(&query);
        let request = request.header("content-type", "text/plain; charset=utf-8");
        let done = request.body(body).timeout(REQUEST).send().await?;
        let status = done.status();
        ensure!(
            status.is_success(),
            "{} refused a body: {status}: {}",
            self.name(),
            done.text().await.unwrap_or_default()
        );
        Ok(())
    }

    /// Waits until a query finds `values` values, neither fewer nor more.
    ///
    /// # Errors
    /// When it finds more, or does not find them in time.
    pub(super) async fn finds(&self, client: &reqwest::Client, values: u64) -> Result<()> {
        let from = Instant::now();
        if let Self::Victoria { url, .. } = self {
            // What was just written would be searchable a second later.
            let flush = format!("{url}/internal/force_flush");
            client.get(flush).send().await?.error_for_status()?;
        }
        loop {
            let found = self.count(client).await?;
            if found == values {
                return Ok(());
            }
            ensure!(
                found < values,
                "{} finds {found} values, {values} were written",
                self.name()
            );
            if from.elapsed() > FOUND_WITHIN {
                bail!("{} finds {found} of {values} values", self.name());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many values a query finds.
    async fn count(&self, client: &reqwest::Client) -> Result<u64> {
        match self {
            Self::Bellwether(engine) => {
                let (stored, refused) = engine.stored().await?;
                ensure!(refused == 0, "{refused} messages were refused");
                Ok(stored)
            }
            Self::Victoria { url, .. } => victoria_count(client, url).await,
            Self::Influx { url, database, .. } => {
                influx_count(client, url, &named(database.load(Ordering::Relaxed))).await
            }
        }
    }

    /// Its size once it has written everything down and merged what it merges; none when its
    /// folder is not known. Ends the engine.
    ///
    /// # Errors
    /// When the folder cannot be read or never comes to rest.
    pub(super) async fn size(&mut self, client: &reqwest::Client) -> Result<Option<Bytes>> {
        match self {
            Self::Bellwether(engine) => {
                let data = engine.data();
                // What the analytics says of the readings lies beside them.
                engine.caught_up().await?;
                settled(&data, "historian.db").await?;
                engine.terminate().await?;
                let file = folder_size(&data, "historian.db")?;
                let findings = DiskUse::of(&data.join("historian.db"))?.findings;
                Ok(Some(Bytes { file, findings }))
            }
            Self::Victoria { url, data } => {
                let Some(data) = data else { return Ok(None) };
                for order in ["force_flush", "force_merge"] {
                    let url = format!("{url}/internal/{order}");
                    client.get(url).send().await?.error_for_status()?;
                }
                settled(data, "").await.map(|file| Some(Bytes::of(file)))
            }
            Self::Influx { data, .. } => match data {
                Some(data) => settled(data, "").await.map(|file| Some(Bytes::of(file))),
                None => Ok(None),
            },
        }
    }

    /// Ends the engine, if it is one that was started here.
    ///
    /// # Errors
    /// When it does not end well.
    pub(super) async fn stop(self) -> Result<()> {
        match self {
            Self::Bellwether(engine) => engine.stop().await,
            Self::Victoria { .. } | Self::Influx { .. } => Ok(()),
        }
    }
}

/// Numbered databases, so that each measurement begins with an empty one.
fn named(nth: u32) -> String {
    format!("bench{nth}")
}

/// The size of the files below a folder whose name begins so.
fn folder_size(folder: &Path, prefix: &str) -> Result<u64> {
    let mut size = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Files come and go while a store merges.
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with(prefix) {
                size += meta.len();
            }
        }
    }
    Ok(size)
}

async fn settled(folder: &Path, prefix: &str) -> Result<u64> {
    let from = Instant::now();
    let (mut size, mut since) = (folder_size(folder, prefix)?, Instant::now());
    while since.elapsed() < QUIET {
        if from.elapsed() > QUIET_WITHIN {
            bail!("{} does not come to rest", folder.display());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = folder_size(folder, prefix)?;
        if now != size {
            (size, since) = (now, Instant::now());
        }
    }
    Ok(size)
}

async fn victoria_count(client: &reqwest::Client, url: &str) -> Result<u64> {
    let query = [
        ("query", "sum(count_over_time({device!=\"\"}[20y]))"),
        ("nocache", "1"),
    ];
    let request = client.get(format!("{url}/api/v1/query")).query(&query);
    let answer: Value = request
        .timeout(REQUEST)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    // No series yet: no value.
    let value = &answer["data"]["result"][0]["value"][1];
    Ok(value.as_str().map_or(Ok(0.0), str::parse::<f64>)? as u64)
}

/// Makes a database and waits until it is listed: an order that failed is answered with 200.
async fn influx_create(client: &reqwest::Client, url: &str, database: &str) -> Result<()> {
    let from = Instant::now();
    loop {
        let made = influx_query(client, url, &format!("CREATE DATABASE {database}")).await?;
        let listed = influx_query(client, url, "SHOW DATABASES").await?;
        if listed["results"][0]["series"][0]["values"]
            .as_array()
            .is_some_and(|rows| rows.iter().any(|row| row[0] == database))
        {
            return Ok(());
        }
        ensure!(
            from.elapsed() < MADE_WITHIN,
            "influxdb does not make {database}: {made}, and lists {listed}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn influx_query(client: &reqwest::Client, url: &str, query: &str) -> Result<Value> {
    let request = client.post(format!("{url}/query")).query(&[("q", query)]);
    let answer = request.timeout(REQUEST).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

async fn influx_count(client: &reqwest::Client, url: &str, database: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Series>,
    }
    #[derive(Deserialize)]
    struct Series {
        #[serde(default)]
        series: Vec<Rows>,
        error: Option<String>,
    }
    #[derive(Deserialize)]
    struct Rows {
        values: Vec<Vec<Value>>,
    }
    let query = [("db", database), ("q", "SELECT count(*) FROM reading")];
    let request = client.get(format!("{url}/query")).query(&query);
    let answer = request.timeout(REQUEST).send().await?.error_for_status()?;
    let answer: Answer = answer.json().await?;
    let mut sum = 0;
    for result in answer.results {
        if let Some(error) = result.error {
            bail!("influxdb: {error}");
        }
        for row in result.series.iter().flat_map(|series| &series.values) {
            // The first column is the time.
            sum += row.iter().skip(1).filter_map(Value::as_u64).sum::<u64>();
        }
    }
    Ok(sum)
}
