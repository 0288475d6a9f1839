//! A real broker: mosquitto from Debian, with persistence, in a folder of its own.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{ports::free_port, program::signal, tools, until};

/// Mosquitto starts in milliseconds; a restart reads its database first.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// A mosquitto that can be stopped, killed and started again on the same port with the same
/// database; dies with the value.
#[derive(Debug)]
pub struct Mosquitto {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts a fresh broker; none when mosquitto is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub async fn start() -> Result<Option<Self>> {
        let Some(program) = tools::find("mosquitto") else {
            return Ok(None);
        };
        let folder = tempfile::Builder::new()
            .prefix("bellwether-broker-")
            .tempdir()?;
        let port = free_port()?;
        // Queues without a limit: mosquitto drops what is beyond them after having
        // acknowledged it, and that loss would be put down to us.
        let config = format!(
            "listener {port} 127.0.0.1\n\
             allow_anonymous true\n\
             persistence true\n\
             persistence_location {folder}/\n\
             max_queued_messages 0\n\
             max_queued_bytes 0\n\
             log_dest stderr\n",
            folder = folder.path().display()
        );
        fs::write(folder.path().join("mosquitto.conf"), config)?;
        // Started as root it becomes the user `mosquitto`, who has to be able to write here.
        open_to_all(folder.path())?;
        let mut broker = Self {
            program,
            folder,
            port,
            child: None,
        };
        broker.up().await?;
        Ok(Some(broker))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its URL for a subscriber.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address())
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`].
    ///
    /// # Errors
    /// When it does not listen in time.
    pub async fn up(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("mosquitto.log"))?;
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        self.child = Some(child);
        let address = self.address();
        let listening = until("mosquitto to listen", UP_WITHIN, async || {
            TcpStream::connect(address).await?;
            Ok(Some(()))
        });
        listening.await.map_err(|error| error.context(self.log()))
    }

    /// Asks it to end (SIGTERM), upon which it writes its database.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the broker is down already")?;
        signal("TERM", child.id())?;
        until(
            "mosquitto to end",
            UP_WITHIN,
            async || Ok(child.try_wait()?),
        )
        .await?;
        Ok(())
    }

    /// Has it write its database now (SIGUSR1) and waits until that is on the disk.
    ///
    /// # Errors
    /// When no database appears in time.
    pub async fn save(&self) -> Result<()> {
        let child = self.child.as_ref().context("the broker is down")?;
        let before = self.saved_at();
        until("mosquitto to write its database", UP_WITHIN, async || {
            signal("USR1", child.id())?;
            Ok((self.saved_at() > before).then_some(()))
        })
        .await
    }

    fn saved_at(&self) -> Option<SystemTime> {
        fs::metadata(self.folder.path().join("mosquitto.db"))
            .ok()?
            .modified()
            .ok()
    }

    /// Kills it (SIGKILL): it forgets everything since its last save.
    ///
    /// # Errors
    /// When it is down already.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the broker is down already")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("mosquitto.log")).unwrap_or_default()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        eprintln!("--- mosquitto's log\n{}", self.log());
    }
}

fn open_to_all(folder: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(
        folder,
        fs::Permissions::from_mode(0o777),
    )?)
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::QoS;

    use super::*;
    use crate::{mqtt::Publisher, pass_over};

    /// The publisher's own protocol is checked against a broker that is not ours.
    #[tokio::test]
    async fn a_real_broker_acknowledges_every_quality_and_comes_back_after_stop_and_kill() {
        let Some(mut broker) = Mosquitto::start().await.unwrap() else {
            return pass_over("a_real_broker_acknowledges_every_quality", "no mosquitto").unwrap();
        };
        for (qos, name) in [(QoS::AtLeastOnce, "one"), (QoS::ExactlyOnce, "two")] {
            let mut device = Publisher::new(name, broker.address(), qos, 8);
            device.connect().await.unwrap();
            let messages = (0..100).map(|tag| (tag.to_string(), tag));
            device.publish_all("telemetry/d", messages).await.unwrap();
            assert_eq!(device.resent(), 0);
            device.disconnect().await.unwrap();
        }
        broker.save().await.unwrap();
        broker.kill().unwrap();
        broker.up().await.unwrap();
        broker.stop().await.unwrap();
        broker.up().await.unwrap();
    }
}
