//! `bellwether backtest`: rules tried on the past of the running program or of a folder.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use alerting::backtest::{Comparison, Interval, Side};
use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use service::{Name, NewBacktest, Service, ServiceConfig};
use telemetry::{Clock, SystemClock, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Archive, Meter};
use crate::{
    app::DataDir,
    progress::Progress,
    remote::client::{ApiArgs, Client, api_url},
    signals::stop_on_signal,
    verbs::{print_json, start_plain_log},
};

/// How often it is looked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Progress in steps of a tenth of a percent.
const STEPS: f64 = 1_000.0;

#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// Rules to try (TOML)
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// From this time on, as in 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Timestamp,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Timestamp,
    /// Leave the detectors out: faster, and rules about what they find never tell
    #[arg(long)]
    rules_only: bool,
    /// Who asks
    #[arg(long, default_value = "command line")]
    by: Name,
    /// API of the running Bellwether
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = api_url, conflicts_with = "data")]
    api: String,
    /// Try them in the data folder of a program that does not run
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of asset models (*.toml) beside the built-in ones, for --data
    #[arg(long, value_name = "DIR", requires = "data")]
    models: Option<PathBuf>,
    /// Rules to compare with, for --data; none are in force when it is left out
    #[arg(long, value_name = "FILE", requires = "data")]
    against: Option<PathBuf>,
    /// Print the whole result as JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Tries rules.
///
/// # Errors
/// When the rules are not valid, or the program or folder cannot be reached.
pub(crate) async fn run(args: BacktestArgs) -> Result<()> {
    start_plain_log("warn");
    let stop = stop_on_signal()?;
    let text = read(&args.rules)?;
    // What is wrong with them is said here, where the file is.
    super::rules(&text).with_context(|| args.rules.display().to_string())?;
    let found = match &args.data {
        Some(dir) => in_folder(&args, &text, dir, &stop).await?,
        None => in_program(&args, &text, &stop).await?,
    };
    if args.json {
        return print_json(&found);
    }
    print!("{}", told(&found));
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A job as the API tells it.
#[derive(Debug, Deserialize)]
struct Job {
    id: u64,
    state: String,
    progress: f64,
    readings: u64,
    problem: Option<String>,
    result: Option<Comparison>,
}

async fn in_program(
    args: &BacktestArgs,
    text: &str,
    stop: &CancellationToken,
) -> Result<Comparison> {
    let client = Client::new(&ApiArgs {
        api: args.api.clone(),
    })?;
    let body = json!({
        "rules": text,
        "from": args.from,
        "to": args.to,
        "rules_only": args.rules_only,
        "by": args.by,
    });
    let request = client.request(Method::POST, "/backtests").json(&body);
    let mut job: Job = client.ask(request).await?;
    let path = format!("/backtests/{}", job.id);
    let mut progress = Progress::new(STEPS as u64, "parts of a thousand");
    while matches!(job.state.as_str(), "queued" | "running") {
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = stop.cancelled() => {
                let request = client.request(Method::POST, &format!("{path}/cancel"));
                let _: Job = client.ask(request).await?;
                bail!("stopped");
            }
        }
        job = client.ask(client.request(Method::GET, &path)).await?;
        let readings = job.readings;
        progress.at((job.progress * STEPS) as u64, || {
            format!("{readings} readings")
        });
    }
    progress.finish();
    match (job.result, job.problem) {
        (Some(result), _) => Ok(result),
        (None, Some(problem)) => bail!("{problem}"),
        (None, None) => bail!("it is {}", job.state),
    }
}

async fn in_folder(
    args: &BacktestArgs,
    text: &str,
    dir: &Path,
    stop: &CancellationToken,
) -> Result<Comparison> {
    let held = DataDir::lock(dir)?;
    let models = Arc::new(crate::models::by_id(args.models.as_deref())?);
    let config = ServiceConfig {
        models: Arc::clone(&models),
        ..ServiceConfig::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let service = Service::open(&held.file("service.db"), config, clock)
        .await
        .context("cannot open the service system")?;
    let archive = Archive {
        store: held.file("historian.db"),
        journal: held.file("journal.db"),
        service: service.clone(),
        models,
        analytics: analytics::Config::default(),
        settings: alerting::CaseSettings::default(),
    };
    let in_force = match &args.against {
        Some(file) => super::rules(&read(file)?)?,
        None => Vec::new(),
    };
    let asked = NewBacktest {
        rules: text.to_owned(),
        from: args.from,
        to: args.to,
        rules_only: args.rules_only,
        by: args.by.clone(),
    };
    let meter = Arc::new(Meter::default());
    let found = watched(&archive, &asked, in_force, &meter, stop).await;
    service.close().await;
    found?.context("stopped")
}

/// Shows how far it is until it ends.
async fn watched(
    archive: &Archive,
    asked: &NewBacktest,
    in_force: Vec<alerting::rules::WrittenRule>,
    meter: &Arc<Meter>,
    stop: &CancellationToken,
) -> Result<Option<Comparison>> {
    let mut progress = Progress::new(STEPS as u64, "parts of a thousand");
    let mut test = std::pin::pin!(archive.test(asked, in_force, Arc::clone(meter)));
    loop {
        tokio::select! {
            ended = &mut test => {
                progress.finish();
                return ended;
            }
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = stop.cancelled(), if !meter.stop.load(Ordering::Relaxed) => {
                meter.stop.store(true, Ordering::Relaxed);
            }
        }
        let (done, readings) = meter.progress();
        progress.at((done * STEPS) as u64, || format!("{readings} readings"));
    }
}

/// Both sides as a table.
fn told(found: &Comparison) -> String {
    let mut text = format!(
        "{} readings in {:.1} s, {:.0} a second\n{:26}{:>22}{:>22}\n",
        found.readings,
        found.seconds,
        found.readings as f64 / found.seconds.max(1e-9),
        "",
        "proposed",
        "in force"
    );
    let share = |share: Option<Interval>| {
        share.map_or("-".to_owned(), |one| {
            format!(
                "{:.0} % [{:.0}, {:.0}]",
                100.0 * one.value,
                100.0 * one.low,
                100.0 * one.high
            )
        })
    };
    let days = |seconds: Option<f64>| {
        seconds.map_or("-".to_owned(), |seconds| {
            format!("{:.1}", seconds / 86_400.0)
        })
    };
    let money = |money: Option<f64>| {
        money.map_or("-".to_owned(), |money| {
            format!("{money:.0} {}", found.currency)
        })
    };
    let mut line = |what: &str, figure: &dyn Fn(&Side) -> String| {
        let (left, right) = (figure(&found.proposed), figure(&found.in_force));
        let _ = writeln!(text, "{what:26}{left:>22}{right:>22}");
    };
    line("cases", &|side| side.cases.to_string());
    line("orders", &|side| side.orders.to_string());
    line("orders a week", &|side| {
        format!("{:.2}", side.orders_per_week)
    });
    line("confirmed", &|side| side.confirmed.to_string());
    line("false", &|side| side.false_alarms.to_string());
    line("too late to tell", &|side| side.unknown.to_string());
    line("problems on record", &|side| side.problems.to_string());
    line("missed", &|side| side.missed.to_string());
    line("precision", &|side| share(side.precision));
    line("recall", &|side| share(side.recall));
    line("lead time, median days", &|side| days(side.lead_time_s));
    line("net money", &|side| money(side.net_money));
    text
}
