//! `bellwether import history`: five years of another maintenance system on the first day.
//!
//! Into a running program, or into the folder of one that stands still. Each file is taken as a
//! whole or not at all, assets first; a file that was taken changes nothing when it comes
//! again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use historian::{Journal, JournalConfig};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use service::{
    HistoryKind, HistoryOptions, HistoryReport, MAX_ONBOARD_BYTES, Service, ServiceConfig,
};
use telemetry::SystemClock;

use crate::{
    app::DataDir,
    pipeline,
    remote::client::{ApiArgs, Client, api_url},
    verbs::print_json,
};

/// Errors that are told one by one; a file with more has one mistake many times.
const TOLD: usize = 20;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("files").required(true).multiple(true)
    .args(["assets", "failures", "maintenance", "errors"])))]
pub(crate) struct HistoryArgs {
    /// CSV of machines: asset, and if known model and installed_at; any other column is a fact
    #[arg(long, value_name = "FILE")]
    assets: Option<PathBuf>,
    /// CSV of failures: asset, at, and if known component, code, note
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
    /// CSV of what was done: asset, at, and if known component, action (replace, repair, inspect), note
    #[arg(long, value_name = "FILE")]
    maintenance: Option<PathBuf>,
    /// CSV of error codes: asset, at, code
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// Another name of a column, as in --map failures.asset=machineID; may be repeated
    #[arg(long, value_name = "TABLE.OURS=THEIRS", value_parser = mapping)]
    map: Vec<Mapping>,
    /// Columns to leave out, as in --ignore failures.cost; may be repeated
    #[arg(long, value_name = "TABLE.COLUMN", value_parser = ignored)]
    ignore: Vec<(HistoryKind, String)>,
    /// TOML file that says the same, with a table for each of them
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Only say what would happen, with every error
    #[arg(long)]
    dry_run: bool,
    /// Print the reports as JSON
    #[arg(long)]
    json: bool,
    /// API of the running Bellwether
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = api_url, conflicts_with = "data")]
    api: String,
    /// Import into the data folder of a program that does not run
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of asset models (*.toml) beside the built-in ones, for --data
    #[arg(long, value_name = "DIR", requires = "data")]
    models: Option<PathBuf>,
}

/// A column of a table under another name.
#[derive(Debug, Clone)]
struct Mapping {
    kind: HistoryKind,
    ours: String,
    theirs: String,
}

fn table(text: &str) -> Result<(HistoryKind, &str), String> {
    let (kind, column) = text
        .split_once('.')
        .ok_or("name the table, as in failures.asset")?;
    let kind = HistoryKind::parse(kind)
        .ok_or_else(|| format!("{kind:?} is none of assets, failures, maintenance, errors"))?;
    Ok((kind, column))
}

fn mapping(text: &str) -> Result<Mapping, String> {
    let (left, theirs) = text
        .split_once('=')
        .ok_or("use TABLE.OURS=THEIRS, as in failures.asset=machineID")?;
    let (kind, ours) = table(left)?;
    Ok(Mapping {
        kind,
        ours: ours.to_owned(),
        theirs: theirs.to_owned(),
    })
}

fn ignored(text: &str) -> Result<(HistoryKind, String), String> {
    table(text).map(|(kind, column)| (kind, column.to_owned()))
}

/// One table of a mapping file: our columns with theirs, and what is left out.
#[derive(Debug, Default, Deserialize)]
struct MappedTable {
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(flatten)]
    columns: BTreeMap<String, String>,
}

/// What came of each file.
#[derive(Debug, Serialize)]
struct Told {
    table: HistoryKind,
    file: PathBuf,
    #[serde(flatten)]
    report: HistoryReport,
}

/// Imports the files.
///
/// # Errors
/// When a file has errors or cannot be read, or nobody takes it.
pub(super) async fn run(args: HistoryArgs) -> Result<()> {
    let mapped = match &args.mapping {
        Some(path) => mapping_file(path)?,
        None => BTreeMap::new(),
    };
    let mut taker = match &args.data {
        Some(dir) => Taker::folder(dir, args.models.as_deref()).await?,
        None => Taker::Api(Client::new(&ApiArgs {
            api: args.api.clone(),
        })?),
    };
    // Assets first: what they are decides which lives there are.
    let files = [
        &args.assets,
        &args.failures,
        &args.maintenance,
        &args.errors,
    ];
    let mut told = Vec::new();
    for (kind, file) in HistoryKind::ALL.into_iter().zip(files) {
        let Some(file) = file else { continue };
        let csv = read(file)?;
        let options = options(&args, kind, mapped.get(kind.as_str()));
        let report = taker.take(kind, csv, &options).await?;
        told.push(Told {
            table: kind,
            file: file.clone(),
            report,
        });
    }
    taker.close().await?;
    tell(&args, &told)
}

fn mapping_file(path: &Path) -> Result<BTreeMap<String, MappedTable>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the mapping {}", path.display()))?;
    let tables: BTreeMap<String, MappedTable> =
        toml::from_str(&text).with_context(|| format!("mapping {}", path.display()))?;
    for name in tables.keys() {
        if HistoryKind::parse(name).is_none() {
            bail!(
                "mapping {}: [{name}] is none of assets, failures, maintenance, errors",
                path.display()
            );
        }
    }
    Ok(tables)
}

fn options(args: &HistoryArgs, kind: HistoryKind, mapped: Option<&MappedTable>) -> HistoryOptions {
    let mut options = HistoryOptions {
        dry_run: args.dry_run,
        ..HistoryOptions::default()
    };
    if let Some(mapped) = mapped {
        options.columns.extend(mapped.columns.clone());
        options.ignore.clone_from(&mapped.ignore);
    }
    for one in args.map.iter().filter(|one| one.kind == kind) {
        options.columns.retain(|(ours, _)| *ours != one.ours);
        options.columns.push((one.ours.clone(), one.theirs.clone()));
    }
    let ignored = args.ignore.iter().filter(|(of, _)| *of == kind);
    options
        .ignore
        .extend(ignored.map(|(_, column)| column.clone()));
    options
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let csv = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if csv.len() > MAX_ONBOARD_BYTES {
        bail!(
            "{} has {} bytes; the limit is {MAX_ONBOARD_BYTES}: divide it",
            path.display(),
            csv.len()
        );
    }
    Ok(csv)
}

/// Who takes the files.
enum Taker {
    /// A running program.
    Api(Client),
    /// A folder nobody else uses.
    Folder(Box<Folder>),
}

struct Folder {
    service: Service,
    journal: Journal,
    _held: DataDir,
}

impl Taker {
    async fn folder(dir: &Path, models: Option<&Path>) -> Result<Self> {
        let held = DataDir::lock(dir)?;
        let models = Arc::new(crate::models::by_id(models)?);
        let journal = Journal::open(JournalConfig::at(held.file("journal.db")))
            .context("cannot open the journal")?;
        // The analytics hears at its next start when lives began.
        journal.register_reader(pipeline::READER).await?;
        let config = ServiceConfig {
            models,
            ..ServiceConfig::default()
        };
        let service = Service::open(&held.file("service.db"), config, Arc::new(SystemClock))
            .await
            .context("cannot open the service system")?;
        Ok(Self::Folder(Box::new(Folder {
            service,
            journal,
            _held: held,
        })))
    }

    async fn take(
        &mut self,
        kind: HistoryKind,
        csv: Vec<u8>,
        options: &HistoryOptions,
    ) -> Result<HistoryReport> {
        match self {
            Self::Api(client) => {
                let mut query = vec![("dry_run".to_owned(), options.dry_run.to_string())];
                for (ours, theirs) in &options.columns {
                    query.push(("map".to_owned(), format!("{ours}:{theirs}")));
                }
                for column in &options.ignore {
                    query.push(("ignore".to_owned(), column.clone()));
                }
                let request = client
                    .request(Method::POST, &format!("/history/{}", kind.as_str()))
                    .query(&query)
                    .header(reqwest::header::CONTENT_TYPE, "text/csv")
                    .body(csv);
                let reported = (StatusCode::UNPROCESSABLE_ENTITY, "errors");
                client.ask_or(request, reported).await
            }
            Self::Folder(folder) => folder.take(kind, &csv, options).await,
        }
    }

    async fn close(self) -> Result<()> {
        if let Self::Folder(folder) = self {
            folder.service.close().await;
            folder.journal.close().await?;
        }
        Ok(())
    }
}

impl Folder {
    async fn take(
        &self,
        kind: HistoryKind,
        csv: &[u8],
        options: &HistoryOptions,
    ) -> Result<HistoryReport> {
        let report = self.service.import_history(kind, csv, options).await?;
        self.service.tell_history(&self.journal).await?;
        Ok(report)
    }
}

fn tell(args: &HistoryArgs, told: &[Told]) -> Result<()> {
    if args.json {
        print_json(&told)?;
    }
    let mut wrong = 0;
    for one in told {
        let report = &one.report;
        wrong += report.errors.len() as u64 + report.more_errors;
        if args.json {
            continue;
        }
        for error in report.errors.iter().take(TOLD) {
            eprintln!("{}: {error}", one.file.display());
        }
        let more = report.errors.len().saturating_sub(TOLD) as u64 + report.more_errors;
        if more > 0 {
            eprintln!("{}: and {more} more errors", one.file.display());
        }
        if report.errors.is_empty() {
            let done = if report.applied { "" } else { "would be " };
            println!(
                "{}: {} rows: {done}new {}, changed {}, known {}",
                one.file.display(),
                report.rows,
                report.new,
                report.changed,
                report.unchanged
            );
            if !report.not_in_ledger.is_empty() {
                let names: Vec<&str> = report
                    .not_in_ledger
                    .iter()
                    .map(telemetry::AssetId::as_str)
                    .collect();
                println!("  not in the ledger: {}", names.join(", "));
            }
        }
    }
    match wrong {
        0 => Ok(()),
        1 => bail!("1 error; nothing of its file was written"),
        _ => bail!("{wrong} errors; nothing of their files was written"),
    }
}
