//! A real server from Debian that takes `/api/v2/write`: victoria-metrics.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{ports::free_port, program::signal, tools, until};

const SOON: Duration = Duration::from_mins(1);

/// A server in a folder of its own; killed when it is dropped.
#[derive(Debug)]
pub(super) struct Victoria {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    child: Option<Child>,
    client: reqwest::Client,
}

impl Victoria {
    /// A server that does not run yet; none when it is not installed.
    pub(super) fn installed() -> Result<Option<Self>> {
        let Some(program) = tools::find("victoria-metrics") else {
            return Ok(None);
        };
        Ok(Some(Self {
            program,
            folder: tempfile::Builder::new()
                .prefix("bellwether-victoria-")
                .tempdir()?,
            address: (Ipv4Addr::LOCALHOST, free_port()?).into(),
            child: None,
            client: reqwest::Client::new(),
        }))
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) async fn start(&mut self) -> Result<()> {
        let child = Command::new(&self.program)
            .arg(format!(
                "-storageDataPath={}",
                self.folder.path().join("data").display()
            ))
            .arg(format!("-httpListenAddr={}", self.address))
            // What is written is years old, and what is sent again has the same time.
            .args(["-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start victoria-metrics")?;
        self.child = Some(child);
        let url = format!("{}/health", self.url());
        until("victoria-metrics to be up", SOON, async || {
            Ok(self
                .client
                .get(&url)
                .send()
                .await?
                .status()
                .is_success()
                .then_some(()))
        })
        .await
    }

    /// Asks it to end, upon which it writes down what it has.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        signal("TERM", child.id())?;
        until("victoria-metrics to end", SOON, async || {
            Ok(child.try_wait()?)
        })
        .await?;
        Ok(())
    }

    /// Every reading of a signal: milliseconds and value, by device.
    pub(super) async fn readings(&self, signal: &str) -> Result<BTreeMap<String, Vec<(i64, f64)>>> {
        // What was just written is searchable only after a flush.
        let flush = format!("{}/internal/force_flush", self.url());
        self.client.get(flush).send().await?.error_for_status()?;
        let url = format!("{}/api/v1/export?match[]=reading_{signal}", self.url());
        let text = self
            .client
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        let mut found = BTreeMap::<String, Vec<(i64, f64)>>::new();
        for line in text.lines() {
            let series: Value = serde_json::from_str(line)?;
            let device = series["metric"]["device"].as_str().context("no device")?;
            let (times, values) = (series["timestamps"].as_array(), series["values"].as_array());
            let (times, values) = (times.context("no times")?, values.context("no values")?);
            ensure!(
                times.len() == values.len(),
                "{} times, {} values",
                times.len(),
                values.len()
            );
            let pairs = times
                .iter()
                .zip(values)
                .filter_map(|(at, value)| Some((at.as_i64()?, value.as_f64()?)));
            found.entry(device.to_owned()).or_default().extend(pairs);
        }
        Ok(found)
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
