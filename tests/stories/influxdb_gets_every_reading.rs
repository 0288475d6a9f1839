//! Every reading reaches `InfluxDB`, however long it was away: the journal keeps what it missed.
//! The server is victoria-metrics, which takes the same writes and is packaged by Debian.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{Home, mqtt::Publisher, pass_over, ports::free_port, program::signal, tools, until};

const SOON: Duration = Duration::from_mins(2);

/// 2024-03-05T06:00:00Z.
const T: i64 = 1_709_618_400_000;

/// A run of the server; killed with the value.
struct Victoria(Child);

impl Victoria {
    fn start(program: &Path, address: SocketAddr, folder: &Path) -> Result<Self> {
        let child = Command::new(program)
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=100y", "-memory.allowedBytes=64MB"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Asks it to end. Pulling its plug would prove nothing about us: it answers before what it
    /// took is on disk.
    async fn stop(mut self) -> Result<()> {
        signal("TERM", self.0.id())?;
        until("the server to end", SOON, async || Ok(self.0.try_wait()?)).await?;
        Ok(())
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Values by millisecond of the one series of the story.
async fn stored(address: SocketAddr) -> Result<BTreeMap<i64, f64>> {
    let get = async |path: &str| -> Result<String> {
        let url = format!("http://{address}{path}");
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(client
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?)
    };
    get("/internal/force_flush").await?;
    let text = get("/api/v1/export?match[]=reading_flow_l_min&start=0").await?;
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let series: Value = serde_json::from_str(line)?;
        ensure!(series["metric"]["device"] == "pump-1", "{series}");
        let list = |name: &str| series[name].as_array().cloned().context("a list");
        for (at, value) in list("timestamps")?.iter().zip(list("values")?) {
            let at = at.as_i64().context("a time")?;
            all.insert(at, value.as_f64().context("a value")?);
        }
    }
    Ok(all)
}

async fn publish(home: &Home, rows: std::ops::Range<i64>) -> Result<()> {
    let mut device = Publisher::connected("pump-1", home.mqtt()).await?;
    let messages = rows.map(|row| {
        let at = T + row * 1_000;
        (format!(r#"{{"ts":{at},"flow_l_min":{row}.5}}"#), ())
    });
    device.publish_all("telemetry/pump-1", messages).await?;
    device.disconnect().await
}

async fn until_stored(address: SocketAddr, rows: i64) -> Result<()> {
    let expected: BTreeMap<i64, f64> = (0..rows)
        .map(|row| (T + row * 1_000, row as f64 + 0.5))
        .collect();
    let found = until("every reading to be in the server", SOON, async || {
        // A server that is only just starting answers nothing.
        let found = stored(address).await.unwrap_or_default();
        Ok((found.len() == expected.len()).then_some(found))
    })
    .await?;
    ensure!(found == expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_gets_what_it_missed() -> Result<()> {
    let Some(program) = tools::find("victoria-metrics") else {
        return pass_over(
            "influxdb_gets_every_reading",
            "victoria-metrics is not installed",
        );
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let folder = tempfile::tempdir()?;
    let home = Home::new()?
        .with("historian.influxdb.url", &format!("http://{address}"))
        .with("historian.influxdb.flush_interval", "50ms");

    // Nobody listens there yet: readings are taken all the same.
    let running = home.start().await?;
    publish(&home, 0..500).await?;
    let server = Victoria::start(&program, address, folder.path())?;
    until_stored(address, 500).await?;

    // It goes away, and so do we.
    server.stop().await?;
    publish(&home, 500..1_000).await?;
    running.kill()?;
    let _running = home.start().await?;
    publish(&home, 1_000..1_200).await?;
    let _server = Victoria::start(&program, address, folder.path())?;
    until_stored(address, 1_200).await
}
