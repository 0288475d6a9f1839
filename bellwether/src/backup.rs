//! `backup` and `restore`: everything a server keeps as one folder, and back.
//!
//! The server may run meanwhile: the copy is taken from beside it, see [`historian::backup`].

#![allow(
    clippy::doc_markdown,
    reason = "texts of arguments are shown in a terminal as they are written"
)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use historian::backup::{self, Manifest};
use telemetry::{Clock, SystemClock};

use crate::{
    cli::ConfigArgs,
    verbs::{load_config, print_json},
};

/// What follows the journal besides the historian, in the order in which it is copied. Each may
/// be ahead of the journal's copy, because all of them take what they have seen before as seen.
const FOLLOWERS: [&str; 3] = ["cases.db", "service.db", historian::MODELS_FILE];

/// Which data directory.
#[derive(Debug, Args)]
struct Place {
    /// Configuration file (TOML) [env: BELLWETHER_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [key: data_dir]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Place {
    fn data_dir(self) -> Result<PathBuf> {
        let args = ConfigArgs {
            config: self.config,
            data_dir: self.data_dir,
            ..ConfigArgs::default()
        };
        Ok(load_config(&args)?.data_dir)
    }
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    place: Place,
    /// Folder to make; it must not exist yet
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// Print the manifest as JSON on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    place: Place,
    /// Folder that backup has made
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Print the manifest as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Copies the data directory, while its server runs or not.
pub(crate) async fn backup(args: BackupArgs) -> Result<()> {
    let data_dir = args.place.data_dir()?;
    let target = args.target;
    let program = concat!("bellwether ", env!("CARGO_PKG_VERSION"));
    let (from, to) = (data_dir.clone(), target.clone());
    let made = tokio::task::spawn_blocking(move || {
        backup::backup(&from, &to, &FOLLOWERS, program, SystemClock.now())
    });
    let manifest = made
        .await?
        .with_context(|| format!("cannot back up {}", data_dir.display()))?;
    tell(&manifest, "is backed up in", &target, args.json)
}

/// Fills an empty or missing data directory from a backup.
pub(crate) async fn restore(args: RestoreArgs) -> Result<()> {
    let data_dir = args.place.data_dir()?;
    let source = args.source;
    let (from, to) = (source.clone(), data_dir.clone());
    let restored = tokio::task::spawn_blocking(move || backup::restore(&from, &to));
    let manifest = restored
        .await?
        .with_context(|| format!("cannot restore {}", source.display()))?;
    tell(&manifest, "is restored in", &data_dir, args.json)
}

fn tell(manifest: &Manifest, what: &str, folder: &Path, json: bool) -> Result<()> {
    if json {
        return print_json(manifest);
    }
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    println!(
        "the state of {} {what} {}: {} files, {bytes} bytes, {} readings acknowledged in all",
        manifest.created_at,
        folder.display(),
        manifest.files.len(),
        manifest.counts.readings_acknowledged,
    );
    Ok(())
}
