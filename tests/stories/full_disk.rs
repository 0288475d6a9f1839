//! A full disk stops the acknowledgements, not the process; with room again, it goes on.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use rumqttc::mqttbytes::QoS;
use tests::{Home, mqtt::Publisher, pass_over, program::DRAINED_WITHIN, tools, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(90);

/// 2024-03-05T06:00:00Z.
const START_MS: i64 = 1_709_618_400_000;

/// Room for the databases of an empty program and some thousand readings besides the ballast.
const DISK_MIB: usize = 48;
const BALLAST_MIB: usize = 16;

/// Messages a burst, and an upper bound of them: far more than the disk could hold.
const WINDOW: usize = 64;
const MESSAGES: i64 = 400_000;

/// Readings a message, so that the disk is full before the test is old.
const ROWS: i64 = 200;

/// How long no acknowledgement has to come before the disk counts as full.
const SILENCE: Duration = Duration::from_secs(3);

/// `unshare` gives the program a small file system of its own for its data, without root; it
/// vanishes with the process.
async fn can_mount() -> bool {
    let Some(unshare) = tools::find("unshare") else {
        return false;
    };
    let mut probe = Command::new(unshare);
    probe.args([
        "--user",
        "--map-root-user",
        "--mount",
        "mount",
        "-t",
        "tmpfs",
        "none",
        "/mnt",
    ]);
    tools::succeed(&mut probe, SOON).await.is_ok()
}

/// Some hundred numbers that hardly compress, so that what is stored has a size.
fn payload(at: i64) -> String {
    let mut payload = String::from("[");
    for row in 0..ROWS {
        let ts = at * ROWS + row + START_MS;
        let value = (ts as f64 * 0.618_033_988_749_894_9).fract();
        let comma = if row == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(payload, r#"{comma}{{"ts":{ts},"force_kn":{value}}}"#);
    }
    payload + "]"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acknowledgements_not_the_process() -> Result<()> {
    if !can_mount().await {
        return pass_over(
            "a_full_disk_stops_acknowledgements_not_the_process",
            "no small file system can be mounted here (unshare with user namespaces)",
        );
    }
    let home = Home::new()?.on_small_disk(DISK_MIB);
    let mut program = home.start().await?;
    let inside: PathBuf = format!("/proc/{}/root", program.id()).into();
    let data = home.data_dir();
    let ballast = inside.join(data.strip_prefix("/")?).join("ballast");
    fs::write(&ballast, vec![7_u8; BALLAST_MIB << 20]).context("write the ballast")?;

    let mut device = Publisher::new("press-1", home.mqtt(), QoS::AtLeastOnce, WINDOW);
    device.connect().await?;
    let acknowledged = publish_until_silent(&mut device).await?;
    ensure!(
        !acknowledged.is_empty(),
        "nothing was acknowledged before the disk was full"
    );
    ensure!(
        program.is_running()?,
        "the full disk ended the process:\n{}",
        program.log()
    );
    let (status, _) = home.api().text("/healthz").await?;
    ensure!(status == 200, "/healthz says {status}");

    // Room again: what waited is acknowledged, on this connection or on the next one.
    fs::remove_file(&ballast)?;
    until("acknowledgements to come again", SOON, async || {
        if !device.is_connected() {
            device.connect().await?;
        }
        device.drain().await?;
        Ok(Some(()))
    })
    .await?;
    let api = home.api();
    api.caught_up(SOON).await?;
    for at in acknowledged.iter().step_by(97) {
        let from = at * ROWS + START_MS;
        let stored = api
            .readings("press-1", "force_kn", (from, from + ROWS))
            .await?;
        ensure!(
            stored.len() as i64 == ROWS,
            "message {at}: {} of {ROWS} readings",
            stored.len()
        );
    }
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Publishes until acknowledgements stay out; gives the numbers of the acknowledged messages.
async fn publish_until_silent(device: &mut Publisher<i64>) -> Result<Vec<i64>> {
    let mut acknowledged = Vec::new();
    for at in 0..MESSAGES {
        while !device.has_room() {
            match tokio::time::timeout(SILENCE, device.acknowledgements()).await {
                Ok(Ok(more)) => acknowledged.extend(more),
                // Silence, or a connection that was closed because the journal refuses: both
                // keep the promise.
                Ok(Err(_)) | Err(_) => return Ok(acknowledged),
            }
        }
        device.queue("telemetry/press-1", payload(at), at)?;
    }
    bail!("{MESSAGES} messages of {ROWS} readings fit on a disk of {DISK_MIB} MiB")
}
