//! The engine under measurement: this program as a process of its own, in a scratch folder,
//! wired exactly as `run` wires it: decoding, validation, fsynced journal, historian, analytics.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
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
/// How often it is asked whether it is ready; short, because a restart is measured with it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The readers may be this far behind, in time to catch up, before the figure is given up.
const CATCH_UP: Duration = Duration::from_mins(5);

/// Numbers the scratch folders of one process.
static NTH: AtomicU32 = AtomicU32::new(0);

/// A folder that goes with the value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running engine.
pub(super) struct Engine {
    child: Child,
    // Declared after the child: the folder goes when the process has gone.
    scratch: Scratch,
    settings: Vec<String>,
    mqtt: SocketAddr,
    http: SocketAddr,
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
    connections: u64,
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
    /// Starts an engine on an empty folder and waits until it is ready. Each setting is
    /// `key=value`.
    ///
    /// # Errors
    /// When it cannot be started or is not ready in time.
    pub(super) async fn start(settings: &[&str]) -> Result<Self> {
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let folder = format!("bellwether-bench-{}-{nth}", std::process::id());
        let scratch = Scratch(std::env::temp_dir().join(folder));
        std::fs::create_dir(&scratch.0)
            .with_context(|| format!("cannot make {}", scratch.0.display()))?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mqtt, http) = (probe(any)?, probe(any)?);
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let mut engine = Self {
            child: spawn(&scratch.0, &settings, mqtt, http)?,
            scratch,
            settings,
            mqtt,
            http,
            client: reqwest::Client::new(),
        };
        engine.wait_until_ready().await?;
        Ok(engine)
    }

    /// Starts it again on its folder after [`Self::terminate`] or [`Self::kill`]; gives how long
    /// it took until it was ready.
    ///
    /// # Errors
    /// When it cannot be started or is not ready in time.
    pub(super) async fn start_again(&mut self) -> Result<Duration> {
        let from = Instant::now();
        self.child = spawn(&self.scratch.0, &self.settings, self.mqtt, self.http)?;
        self.wait_until_ready().await?;
        Ok(from.elapsed())
    }

    /// Where it listens for devices.
    pub(super) fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// Where it serves a path of the API.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.http)
    }

    /// Its folder.
    pub(super) fn data(&self) -> PathBuf {
        self.scratch.0.join("data")
    }

    /// The memory it has now (`VmRSS`), in bytes.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(super) fn memory_bytes(&self) -> Result<u64> {
        let pid = self.child.id().context("the engine has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next());
        let kib: u64 = kib.context("no VmRSS")?.parse()?;
        Ok(kib << 10)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let from = Instant::now();
        let url = format!("http://{}/readyz", self.http);
        while from.elapsed() < START {
            if let Some(status) = self.child.try_wait()? {
                bail!("the engine ended at its start: {status}");
            }
            let answer = self.client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the engine was not ready within {} s", START.as_secs());
    }

    async fn status(&self) -> Result<Status> {
        let url = self.url("/status");
        let request = self.client.get(url).timeout(Duration::from_secs(30));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Distinct readings it has stored, and messages it has refused.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn stored(&self) -> Result<(u64, u64)> {
        let status = self.status().await?;
        Ok((status.readings_stored, status.dead_letters))
    }

    /// MQTT connections open now.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn connections(&self) -> Result<u64> {
        Ok(self.status().await?.connections)
    }

    /// Waits until historian and analytics have applied everything.
    ///
    /// # Errors
    /// When that takes too long.
    pub(super) async fn caught_up(&self) -> Result<()> {
        let from = Instant::now();
        while self.status().await?.journal.behind() > 0 {
            if from.elapsed() > CATCH_UP {
                bail!(
                    "historian and analytics did not catch up within {} s",
                    CATCH_UP.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
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

    /// Ends the engine as a supervisor would; its folder stays until the value is dropped.
    ///
    /// # Errors
    /// When it does not end with exit code 0 in time.
    pub(super) async fn terminate(&mut self) -> Result<()> {
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

    /// Ends the engine as a power cut would.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("cannot kill the engine")
    }

    /// Ends the engine and removes its folder.
    ///
    /// # Errors
    /// When it does not end with exit code 0 in time.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.terminate().await
    }
}

fn spawn(scratch: &Path, settings: &[String], mqtt: SocketAddr, http: SocketAddr) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("run")
        .args(["--mqtt", &mqtt.to_string(), "--http", &http.to_string()])
        .args(["--data-dir", &scratch.join("data").to_string_lossy()])
        .args(["--set", "log.level=warn"])
        // Every device of a bench is new, and all come at once.
        .args(["--set", "ingest.checks.new_devices_per_minute=0"])
        .args(["--set", "ingest.checks.new_signals_per_minute=0"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
        .env_remove(crate::config::CONFIG_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the engine")
}

fn probe(any: SocketAddr) -> Result<SocketAddr> {
    // Port 0 binds anything, so ask for a concrete one by way of a taken address.
    let holder = std::net::TcpListener::bind(any)?;
    free_port(holder.local_addr()?)
}
