//! `bellwether train`: a training, asked of the running program or done in a folder.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use historian::{
    Journal, JournalConfig, MODELS_FILE, ModelRegistry, NewJob, Promotion, Store, StoreConfig,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Service, ServiceConfig};
use telemetry::{AssetModelId, Clock, Event, JournalRecord, JournalWriter, SystemClock};
use tokio_util::sync::CancellationToken;

use super::{gather::Sources, trainer::Trainer};
use crate::{
    app::DataDir,
    config::parse_duration,
    pipeline,
    progress::Progress,
    remote::client::{ApiArgs, Client, api_url},
    signals::stop_on_signal,
    verbs::{print_json, start_plain_log},
};

/// How often the running program is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Progress in steps of a tenth of a percent.
const STEPS: f64 = 1_000.0;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Kind of machine; its asset model needs a section "prognosis"
    #[arg(long, value_name = "ID")]
    asset_model: AssetModelId,
    /// A horizon of the probabilities beside those of the asset model, as in 14d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    horizon: Option<Duration>,
    /// Seed of everything random: the same seed and data give the same model
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Who asks
    #[arg(long, default_value = "command line")]
    by: String,
    /// Let the new model serve at once
    #[arg(long)]
    promote: bool,
    /// API of the running Bellwether
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = api_url, conflicts_with = "data")]
    api: String,
    /// Train in the data folder of a program that does not run
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of asset models (*.toml) beside the built-in ones, for --data
    #[arg(long, value_name = "DIR", requires = "data")]
    models: Option<PathBuf>,
    /// Print the model's card as JSON
    #[arg(long)]
    json: bool,
}

/// Trains.
///
/// # Errors
/// When there is too little to learn from, or the program or folder cannot be reached.
pub(crate) async fn run(args: TrainArgs) -> Result<()> {
    start_plain_log("warn");
    let stop = stop_on_signal()?;
    let card = match &args.data {
        Some(dir) => in_folder(&args, dir, &stop).await?,
        None => in_program(&args, &stop).await?,
    };
    if args.json {
        return print_json(&card);
    }
    let number = |path: &str| {
        card.pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    println!(
        "{} version {}: {} lives, {} of them failed; error {:.1} cycles on machines it had not seen \
         ({:.1} without a look)",
        args.asset_model,
        number("/version"),
        number("/provenance/lives"),
        number("/provenance/failures"),
        number("/metrics/rmse_cycles"),
        number("/metrics/baseline_rmse_cycles"),
    );
    if let Some(life) = card
        .pointer("/metrics/life")
        .filter(|life| life.is_object())
    {
        tell_of_life(&card, life);
    }
    if let Some(reason) = card
        .pointer("/metrics/served/reason/en")
        .and_then(Value::as_str)
    {
        println!("its probabilities are not shown, only ranks: {reason}");
    }
    if args.promote {
        println!("it serves from now on");
    }
    Ok(())
}

/// What the maintenance history alone says, and which facts of machines count.
fn tell_of_life(card: &Value, life: &Value) {
    let number = |of: &Value, key: &str| of[key].as_f64().unwrap_or(f64::NAN);
    println!(
        "life data: {} lives, {} of them failed, shape {:.2}",
        number(life, "lives"),
        number(life, "failures"),
        number(life, "shape")
    );
    if let Some(problem) = card
        .pointer("/metrics/fleet_problem")
        .and_then(Value::as_str)
    {
        println!("  they speak alone: {problem}");
    }
    let effects = life["effects"].as_array().map_or(&[][..], Vec::as_slice);
    for effect in effects {
        println!(
            "  {}: hazard times {:.2} ({:.2} to {:.2}), life times {:.2}",
            effect["name"].as_str().unwrap_or_default(),
            number(effect, "hazard_ratio"),
            number(effect, "hazard_ratio_low"),
            number(effect, "hazard_ratio_high"),
            number(effect, "time_ratio")
        );
    }
    if !effects.is_empty() && life["with_covariates"] == false {
        println!("  not used: machines that were held out are not foreseen better with them");
    }
}

/// A job as the API tells it.
#[derive(Debug, Deserialize)]
struct Job {
    id: u64,
    state: String,
    step: String,
    progress: f64,
    version: Option<u32>,
    problem: Option<String>,
}

async fn in_program(args: &TrainArgs, stop: &CancellationToken) -> Result<Value> {
    let client = Client::new(&ApiArgs {
        api: args.api.clone(),
    })?;
    let body = json!({
        "asset_model": args.asset_model,
        "by": args.by,
        "seed": args.seed,
        "horizon_s": args.horizon.map(|horizon| horizon.as_secs_f64()),
    });
    let request = client.request(Method::POST, "/training-jobs").json(&body);
    let mut job: Job = client.ask(request).await?;
    let mut progress = Progress::new(STEPS as u64, "parts of a thousand");
    while job.state != "done" && job.state != "failed" {
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = stop.cancelled() => bail!("the training goes on in the program (job {})", job.id),
        }
        let path = format!("/training-jobs/{}", job.id);
        job = client.ask(client.request(Method::GET, &path)).await?;
        let step = job.step.clone();
        progress.at((job.progress * STEPS) as u64, || step);
    }
    progress.finish();
    let version = match (job.version, job.problem) {
        (Some(version), _) => version,
        (None, problem) => bail!("no model was trained: {}", problem.unwrap_or_default()),
    };
    let path = format!("/prognosis-models/{}/{version}", args.asset_model);
    if args.promote {
        let body = json!({ "by": args.by });
        let request = client.request(Method::POST, &format!("{path}/promote"));
        let _: Value = client.ask(request.json(&body)).await?;
    }
    client.ask(client.request(Method::GET, &path)).await
}

async fn in_folder(args: &TrainArgs, dir: &Path, stop: &CancellationToken) -> Result<Value> {
    let held = DataDir::lock(dir)?;
    let models = Arc::new(crate::models::by_id(args.models.as_deref())?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = Journal::open(JournalConfig::at(held.file("journal.db")))
        .context("cannot open the journal")?;
    journal.register_reader(pipeline::READER).await?;
    let store = Store::open(StoreConfig::at(held.file("historian.db")), &journal)
        .await
        .context("cannot open the historian")?;
    let config = ServiceConfig {
        models: Arc::clone(&models),
        ..ServiceConfig::default()
    };
    let service = Service::open(&held.file("service.db"), config, Arc::clone(&clock))
        .await
        .context("cannot open the service system")?;
    let registry = ModelRegistry::open(&held.file(MODELS_FILE))
        .context("cannot open the registry of models")?;
    let trainer = Trainer {
        sources: Sources {
            store,
            service: service.clone(),
            analytics: analytics::Config::default(),
        },
        registry: registry.clone(),
        models,
        clock: Arc::clone(&clock),
        retrain_every: None,
    };
    let card = train(args, &trainer, stop).await;
    if let (Ok(card), true) = (&card, args.promote) {
        promote(args, &journal, &registry, card, &*clock).await?;
    }
    service.close().await;
    journal.close().await?;
    card
}

/// Puts a job into the queue of the folder and does it, with what an earlier one had gathered.
async fn train(args: &TrainArgs, trainer: &Trainer, stop: &CancellationToken) -> Result<Value> {
    let registry = &trainer.registry;
    let new = NewJob {
        asset_model: args.asset_model.clone(),
        by: args.by.clone(),
        seed: args.seed,
        horizon_s: args.horizon.map(|horizon| horizon.as_secs_f64()),
        at: trainer.clock.now(),
    };
    let (job, is_new) = registry.enqueue(new).await?;
    if !is_new {
        eprintln!(
            "going on with the training that was asked for at {}",
            job.requested_at
        );
    }
    let teller = tokio::spawn(tell(registry.clone(), job.id));
    // Jobs of other kinds that wait in this folder are the program's.
    let card = trainer.finish(&job, stop).await;
    teller.abort();
    if let Some(card) = card? {
        return Ok(as_told(&card)?);
    }
    let job = registry.job(job.id).await?;
    match job.and_then(|job| job.problem) {
        Some(problem) => bail!("no model was trained: {problem}"),
        None => bail!("cut off; the next training of this kind goes on from here"),
    }
}

fn as_told(card: &impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(card)
}

async fn tell(registry: ModelRegistry, job: u64) {
    let mut progress = Progress::new(STEPS as u64, "parts of a thousand");
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        if let Ok(Some(job)) = registry.job(job).await {
            progress.at((job.progress * STEPS) as u64, || job.step);
        }
    }
}

async fn promote(
    args: &TrainArgs,
    journal: &Journal,
    registry: &ModelRegistry,
    card: &Value,
    clock: &dyn Clock,
) -> Result<()> {
    let version = card["version"].as_u64().unwrap_or_default() as u32;
    let promotion = Promotion {
        asset_model: args.asset_model.clone(),
        version,
        checksum: card["checksum"].as_str().unwrap_or_default().to_owned(),
        at: clock.now(),
        by: args.by.clone(),
        note: String::new(),
    };
    let event = Event::ModelPromoted {
        asset_model: promotion.asset_model.clone(),
        version,
        checksum: promotion.checksum.clone(),
        at: promotion.at,
    };
    journal
        .append(JournalRecord {
            events: vec![event],
            ..JournalRecord::default()
        })
        .await?;
    registry.promoted(promotion).await?;
    Ok(())
}
