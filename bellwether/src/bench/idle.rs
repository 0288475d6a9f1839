//! `bench ingest --idle`: what a connected device costs that says nothing.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::{process::Command, task::JoinSet};

use super::{engine::Engine, load::dial, rounded};
use crate::verbs::print_json;

/// Dialling at the same moment: less than the backlog any server listens with.
const DIAL_AT_ONCE: usize = 64;
/// Descriptors a process needs besides its connections.
const OTHER_FILES: u32 = 200;
/// What was allocated while connecting has been given back after this.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(3);

#[derive(Debug, Serialize)]
struct Idle {
    asked: u32,
    connections: u32,
    /// Why there are not as many as were asked for.
    limited_by: Option<String>,
    memory_before_bytes: u64,
    memory_bytes: u64,
    bytes_per_connection: f64,
}

/// Holds `asked` idle connections, or as many as the machine allows, and tells the memory the
/// engine has for each.
///
/// # Errors
/// When the engine fails or refuses a connection.
pub(super) async fn run(asked: u32, json: bool) -> Result<()> {
    let (connections, limited_by) = allowed(asked).await?;
    let most = format!("ingest.listener.max_connections={}", connections + 10);
    let each = format!(
        "ingest.listener.max_connections_per_address={}",
        connections + 10
    );
    let engine = Engine::start(&[&most, &each]).await?;
    let mut held = Vec::new();
    // One connection comes and goes first, so that what is allocated once is not counted.
    drop(dial(engine.mqtt(), "idle-first".to_owned()).await?);
    tokio::time::sleep(SETTLE).await;
    let before = engine.memory_bytes()?;
    let mut dialling = JoinSet::new();
    for nth in 0..connections {
        if dialling.len() == DIAL_AT_ONCE
            && let Some(dialled) = dialling.join_next().await
        {
            held.push(dialled??);
        }
        dialling.spawn(dial(engine.mqtt(), format!("idle-{nth}")));
    }
    while let Some(dialled) = dialling.join_next().await {
        held.push(dialled??);
    }
    tokio::time::sleep(SETTLE).await;
    let after = engine.memory_bytes()?;
    let open = engine.connections().await?;
    if open != u64::from(connections) {
        bail!("{connections} connections were made, the engine has {open}");
    }
    let idle = Idle {
        asked,
        connections,
        limited_by,
        memory_before_bytes: before,
        memory_bytes: after,
        bytes_per_connection: rounded(after.saturating_sub(before) as f64 / f64::from(connections)),
    };
    drop(held);
    engine.stop().await?;
    if json {
        return print_json(&idle);
    }
    println!(
        "{} idle connections: {:.1} KiB each ({:.1} MiB with none, {:.1} MiB with all)",
        idle.connections,
        idle.bytes_per_connection / 1024.0,
        before as f64 / f64::from(1 << 20),
        after as f64 / f64::from(1 << 20)
    );
    if let Some(limit) = &idle.limited_by {
        println!("{asked} were asked for: {limit}");
    }
    Ok(())
}

/// How many connections one process may hold here, after asking for more descriptors.
async fn allowed(asked: u32) -> Result<(u32, Option<String>)> {
    let wanted = asked + OTHER_FILES;
    // What this process may open, the engine may too: limits are inherited.
    let this = std::process::id().to_string();
    let _ = Command::new("prlimit")
        .args(["--pid", &this, &format!("--nofile={wanted}:")])
        .output()
        .await;
    if files()? < wanted {
        // Root may raise the hard limit as well.
        let _ = Command::new("prlimit")
            .args(["--pid", &this, &format!("--nofile={wanted}:{wanted}")])
            .output()
            .await;
    }
    let files = files()?;
    if files >= wanted {
        return Ok((asked, None));
    }
    let limit = format!("a process may open {files} files here (ulimit -n)");
    Ok((files.saturating_sub(OTHER_FILES).max(1), Some(limit)))
}

/// The soft limit of open files.
fn files() -> Result<u32> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    let soft = soft.context("no limit of open files")?;
    Ok(soft.parse().unwrap_or(u32::MAX))
}
