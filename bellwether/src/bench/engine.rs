//! The engine under measurement: this program as a process of its own, in a scratch folder,
//! wired exactly as `run` wires it: decoding, validation, fsynced journal, historian, analytics.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::app::free_port;

/// A fresh engine is ready within this.
const START: Duration = Duration::from_secs(30);
/// And ends within this; a supervisor would not wait longer.
const STOP: Duration = Duration::from_secs(15);
/// The readers may be this far behind, in time to catch up, before the figure is given up.
const CATCH_UP: Duration = Duration::from_mins(5);

/// A running engine.
pub(super) struct Engine {
    child: Child,
    scratch: PathBuf,
    mqtt: SocketAddr,
    api: String,
    client: reqwest::Client,
}

/// How far behind the readers were at the end of a measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lag {
    /// Commits the slowest reader had not applied.
    pub(super) commits: u64,
    /// How long it took to apply them.
    pub(super) drained_in: Duration,
}

#[derive(Deserialize)]
struct Status {
    readings_acknowledged: u64,
    readings_stored: u64,
    dead_letters: u64,
    journal: JournalStatus,
}

#[derive(Deserialize)]
struct JournalStatus {
    committed: u64,
    readers: Vec<Reader>,
}

#[derive(Deserialize)]
struct Reader {
    position: u64,
}

impl JournalStatus {
    fn behind(&self) -> u64 {
        let slowest = self.readers.iter().map(|reader| reader.position).min();
        self.committed - slowest.unwrap_or(self.committed).min(self.committed)
    }
}

impl Engine {
    /// Starts an engine and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started or is not ready in time.
    pub(super) async fn start() -> Result<Self> {
        let scratch = std::env::temp_dir().join(format!("bellwether-bench-{}", std::process::id()));
        std::fs::create_dir(&scratch)
            .with_context(|| format!("cannot make {}", scratch.display()))?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mqtt, http) = (probe(any)?, probe(any)?);
        let child = Command::new(std::env::current_exe()?)
            .arg("run")
            .args(["--mqtt", &mqtt.to_string(), "--http", &http.to_string()])
            .args(["--data-dir", &scratch.join("data").to_string_lossy()])
            .args(["--set", "log.level=warn"])
            .env_remove(crate::config::CONFIG_VARIABLE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the engine")?;
        let mut engine = Self {
            child,
            scratch,
            mqtt,
            api: format!("http://{http}"),
            client: reqwest::Client::new(),
        };
        engine.wait_until_ready().await?;
        Ok(engine)
    }

    /// Where it listens.
    pub(super) fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let from = Instant::now();
        let url = format!("{}/readyz", self.api);
        while from.elapsed() < START {
            if let Some(status) = self.child.try_wait()? {
                bail!("the engine ended at its start: {status}");
            }
            let answer = self.client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the engine was not ready within {} s", START.as_secs());
    }

    async fn status(&self) -> Result<Status> {
        let url = format!("{}/api/v1/status", self.api);
        let request = self.client.get(url).timeout(Duration::from_secs(30));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Waits until historian and analytics have applied everything, and checks that every
    /// reading the generator has an acknowledgement for is stored: `readings` since the start.
    ///
    /// # Errors
    /// When that takes too long, or the figures differ, which would make the rate a lie.
    pub(super) async fn drain(&self, readings: u64) -> Result<Lag> {
        let from = Instant::now();
        let commits = self.status().await?.journal.behind();
        while from.elapsed() < CATCH_UP {
            let status = self.status().await?;
            if status.journal.behind() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let Status {
                readings_acknowledged: acknowledged,
                readings_stored: stored,
                dead_letters,
                ..
            } = status;
            if (acknowledged, stored, dead_letters) != (readings, readings, 0) {
                bail!(
                    "{readings} readings were acknowledged to the generator, the engine counts {acknowledged} \
                     acknowledged, {stored} stored and {dead_letters} messages refused"
                );
            }
            return Ok(Lag {
                commits,
                drained_in: from.elapsed(),
            });
        }
        bail!(
            "historian and analytics did not catch up within {} s",
            CATCH_UP.as_secs()
        );
    }

    /// Ends the engine as a supervisor would.
    ///
    /// # Errors
    /// When it does not end with exit code 0 in time.
    pub(super) async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.child.id() {
            let sent = Command::new("kill")
                .arg("-TERM")
                .arg(pid.to_string())
                .status()
                .await;
            sent.context("cannot send SIGTERM")?;
        }
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        let status = ended.context("the engine did not end in time")??;
        if !status.success() {
            bail!("the engine ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

fn probe(any: SocketAddr) -> Result<SocketAddr> {
    // Port 0 binds anything, so ask for a concrete one by way of a taken address.
    let holder = std::net::TcpListener::bind(any)?;
    free_port(holder.local_addr()?)
}
