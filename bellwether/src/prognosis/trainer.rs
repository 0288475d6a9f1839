//! The training beside everything else: one job after the other, each on a thread that gives way.
//!
//! A job gathers the lives of a kind of machine asset by asset, keeps what it gathered, fits and
//! puts the model into the registry. When the program stops in between, the job waits in the
//! queue and finds at the next start what it had gathered. The same material and the same seed
//! give the same model, bit for bit.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use analytics::prognosis::{
    cycles::CycleSpec,
    diary::Diary,
    fleet::FleetConfig,
    life::PastLife,
    trained::{Material, Trained, TrainedModel},
};
use anyhow::{Context, Result, bail};
use historian::{
    Background, GiveWay, ModelCard, ModelRegistry, NewJob, NewModel, Provenance, TrainingJob,
};
use serde_json::json;
use service::{AssetLives, LivesQuery};
use telemetry::{AssetId, AssetModel, AssetModelId, Clock, PrognosisSpec, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    drift::DriftWatch,
    gather::{GatheredLife, Sources, diaries, gather, past_lives},
    score::Scorer,
};

/// How often the schedule and the ended lives are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The part of the progress that gathering takes; the rest is fitting.
const GATHERING: f64 = 0.4;
/// Progress is written down when it moved by this much: each note is a commit.
const STEP: f64 = 0.02;
/// Who asks for a scheduled training.
const SCHEDULE: &str = "schedule";

/// The training of a program or of a folder.
pub(crate) struct Trainer {
    pub(crate) sources: Sources,
    pub(crate) registry: ModelRegistry,
    pub(crate) models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How often each kind that has failures on record is trained anew; none only when asked.
    pub(crate) retrain_every: Option<Duration>,
}

impl Trainer {
    /// Works until it is stopped.
    ///
    /// # Errors
    /// Never; what goes wrong with a job is written to the job.
    pub(crate) async fn run(self, mut drift: DriftWatch, stop: CancellationToken) -> Result<()> {
        let mut changes = self.registry.changes();
        let mut scorer = Scorer::default();
        loop {
            if let Err(error) = self.work(&stop).await {
                tracing::warn!(error = format!("{error:#}"), "training waits");
            }
            if let Err(error) = self.schedule().await {
                tracing::warn!(error = format!("{error:#}"), "no training was scheduled");
            }
            if let Err(error) = scorer.look(&self).await {
                tracing::warn!(error = format!("{error:#}"), "forecasts are not scored yet");
            }
            if let Err(error) = drift.look(&self).await {
                tracing::warn!(error = format!("{error:#}"), "drift is not looked at yet");
            }
            changes.mark_unchanged();
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// The versions that serve, by kind of machine.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub(super) async fn champions(&self) -> Result<BTreeMap<AssetModelId, u32>> {
        let mut champions = BTreeMap::new();
        // The first entry of a kind is the newest.
        for promotion in self.registry.promotions(None).await? {
            champions
                .entry(promotion.asset_model)
                .or_insert(promotion.version);
        }
        Ok(champions)
    }

    /// Does the jobs that wait.
    async fn work(&self, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            let Some(job) = self.registry.take_job(self.clock.now()).await? else {
                return Ok(());
            };
            self.finish(&job, stop).await?;
        }
        Ok(())
    }

    /// Does one job; a job that was cut off stays as it is, for the next start.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub(crate) async fn finish(
        &self,
        job: &TrainingJob,
        stop: &CancellationToken,
    ) -> Result<Option<ModelCard>> {
        tracing::info!(asset_model = %job.asset_model, job = job.id, "training");
        let trained = self.train(job, stop).await;
        if stop.is_cancelled() && trained.is_err() {
            return Ok(None);
        }
        let outcome = match &trained {
            Ok(card) => Ok(card.version),
            Err(error) => Err(format!("{error:#}")),
        };
        match &outcome {
            Ok(version) => {
                tracing::info!(asset_model = %job.asset_model, version, "a model was trained");
            }
            Err(problem) => {
                tracing::warn!(asset_model = %job.asset_model, problem, "no model was trained");
            }
        }
        self.registry
            .end_job(job.id, outcome, self.clock.now())
            .await?;
        Ok(trained.ok())
    }

    async fn train(&self, job: &TrainingJob, stop: &CancellationToken) -> Result<ModelCard> {
        let model = self.models.get(&job.asset_model);
        let model = model.with_context(|| format!("no asset model {}", job.asset_model))?;
        let spec = model.prognosis.as_ref().with_context(|| {
            format!("asset model {} has no section [prognosis]", job.asset_model)
        })?;
        let cycles = CycleSpec::of(model)
            .with_context(|| format!("asset model {} names no signal", job.asset_model))?;
        let (recorded, lives) = self.gather(job, model, spec, stop).await?;
        let service = &self.sources.service;
        let diaries = diaries(service, &job.asset_model, &recorded, &lives).await?;
        let past = Past {
            recorded: &recorded,
            lives: &lives,
            diaries: &diaries,
        };
        let material = material(job, spec, cycles, &past, self.clock.now());
        let calendar_cycle_s = material.cycle_s;
        let learned_from = LearnedFrom::of(&lives, &material.records, calendar_cycle_s);
        let trained = self.fit(job, material, stop).await?;
        let mut new = self.describe(job, spec, learned_from, &trained)?;
        // The calibration counts in cycles; people who read it think in days of the calendar.
        new.metrics["calendar_cycle_s"] = json!(calendar_cycle_s);
        Ok(self.registry.put(new).await?)
    }

    /// The lives on record, and what was watched of them.
    async fn gather(
        &self,
        job: &TrainingJob,
        model: &Arc<AssetModel>,
        spec: &PrognosisSpec,
        stop: &CancellationToken,
    ) -> Result<(Vec<AssetLives>, Vec<GatheredLife>)> {
        let query = LivesQuery {
            model: job.asset_model.clone(),
            component: spec.component.clone(),
        };
        let recorded = self.sources.service.lives(&query).await?;
        let mut lives = Vec::new();
        for (at, asset) in recorded.iter().enumerate() {
            if stop.is_cancelled() {
                bail!("the program is stopping");
            }
            let known = self.registry.material(job.id, asset.asset.as_str())?;
            let known = known.and_then(|bytes| postcard::from_bytes(&bytes).ok());
            let gathered: Vec<GatheredLife> = if let Some(known) = known {
                known
            } else {
                let gathered = gather(&self.sources, model, asset).await?;
                let bytes = postcard::to_allocvec(&gathered)?;
                self.registry
                    .put_material(job.id, asset.asset.as_str(), &bytes)?;
                gathered
            };
            lives.extend(gathered);
            let part = (at + 1) as f64 / recorded.len() as f64;
            self.registry
                .job_progress(job.id, "gathering", GATHERING * part)?;
        }
        Ok((recorded, lives))
    }

    /// Fits on a thread that gives way to whoever waits for an acknowledgement.
    async fn fit(
        &self,
        job: &TrainingJob,
        material: Material,
        stop: &CancellationToken,
    ) -> Result<Trained> {
        let stopped = Arc::new(AtomicBool::new(false));
        let (registry, id, flag) = (self.registry.clone(), job.id, Arc::clone(&stopped));
        let background = Background::start("training", GiveWay::Much)
            .context("cannot start the thread of the training")?;
        let work = background.run(move || {
            let mut told = 0.0;
            let mut progress = |part: f64| {
                if part - told >= STEP {
                    told = part;
                    // Only for people who watch.
                    let whole = GATHERING + (1.0 - GATHERING) * part;
                    let _ = registry.job_progress(id, "fitting", whole);
                }
                if flag.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            TrainedModel::fit(&material, &mut progress)
        });
        let mut work = std::pin::pin!(work);
        let trained = tokio::select! {
            trained = &mut work => trained,
            () = stop.cancelled() => {
                stopped.store(true, Ordering::Relaxed);
                work.await
            }
        };
        Ok(trained??)
    }

    fn describe(
        &self,
        job: &TrainingJob,
        spec: &PrognosisSpec,
        [watched, on_record]: [LearnedFrom; 2],
        trained: &Trained,
    ) -> Result<NewModel> {
        let from = match trained.fleet_problem {
            None => watched,
            Some(_) => on_record,
        };
        let micros = Timestamp::from_micros;
        let bytes = trained.model.encode()?;
        // A model that could not be read again would be found out when it is promoted.
        TrainedModel::decode(&bytes)?;
        Ok(NewModel {
            asset_model: job.asset_model.clone(),
            bytes,
            trained_at: self.clock.now(),
            provenance: Provenance {
                program: format!("bellwether {}", env!("CARGO_PKG_VERSION")),
                seed: job.seed,
                data_from: from.first.map(micros),
                data_to: from.last.map(micros),
                assets: from.assets,
                lives: from.lives,
                failures: from.failures,
                cycles: from.cycles,
                settings: serde_json::to_value(spec)?,
                by: job.by.clone(),
            },
            features: trained.model.features(),
            metrics: json!({
                "rows": trained.rows,
                "rmse_cycles": trained.rmse,
                "baseline_rmse_cycles": trained.baseline_rmse,
                "cycle_s": spec.cycle_s,
                "cap_cycles": trained.cap,
                "fleet": trained.model.metrics(),
                "inputs": trained.model.inputs(),
                "served": trained.model.served(),
                "contests": trained.contests,
                "life": trained.life,
                "fleet_problem": trained.fleet_problem,
            }),
            calibration: serde_json::to_value(&trained.calibration)?,
        })
    }

    /// Asks for what is due.
    async fn schedule(&self) -> Result<()> {
        let Some(every) = self.retrain_every else {
            return Ok(());
        };
        let now = self.clock.now();
        for model in self.models.values() {
            if model.prognosis.is_none() {
                continue;
            }
            let jobs = self.registry.jobs(Some(model.id.clone())).await?;
            let is_due = jobs
                .first()
                .is_none_or(|job| now.since(job.requested_at) >= every);
            if !is_due {
                continue;
            }
            self.registry
                .enqueue(NewJob {
                    asset_model: model.id.clone(),
                    by: SCHEDULE.to_owned(),
                    seed: 1,
                    horizon_s: None,
                    at: now,
                })
                .await?;
        }
        Ok(())
    }
}

/// What a model was learned from, in numbers.
struct LearnedFrom {
    first: Option<i64>,
    last: Option<i64>,
    assets: u32,
    lives: u32,
    failures: u32,
    cycles: u64,
}

impl LearnedFrom {
    /// Of the lives that were watched, and of those on record.
    fn of(watched: &[GatheredLife], on_record: &[PastLife], cycle_s: f64) -> [Self; 2] {
        let number = |assets: BTreeSet<&str>| assets.len() as u32;
        let times = || watched.iter().flat_map(|life| &life.cycles);
        let end = |life: &PastLife| life.began + (life.duration * cycle_s * 1e6) as i64;
        [
            Self {
                first: times().map(|(from, ..)| *from).min(),
                last: times().map(|(_, to, _)| *to).max(),
                assets: number(watched.iter().map(|life| life.asset.as_str()).collect()),
                lives: watched.len() as u32,
                failures: watched.iter().filter(|life| life.failed).count() as u32,
                cycles: times().count() as u64,
            },
            Self {
                first: on_record.iter().map(|life| life.began).min(),
                last: on_record.iter().map(end).max(),
                assets: number(on_record.iter().map(|life| life.asset.as_str()).collect()),
                lives: on_record.len() as u32,
                failures: on_record.iter().filter(|life| life.failed).count() as u32,
                cycles: 0,
            },
        ]
    }
}

/// The past of the machines of a kind.
struct Past<'a> {
    recorded: &'a [AssetLives],
    lives: &'a [GatheredLife],
    diaries: &'a BTreeMap<AssetId, Arc<Diary>>,
}

/// What a job learns from.
fn material(
    job: &TrainingJob,
    spec: &PrognosisSpec,
    cycles: CycleSpec,
    Past {
        recorded,
        lives,
        diaries,
    }: &Past<'_>,
    now: Timestamp,
) -> Material {
    let lengths: Vec<f64> = lives
        .iter()
        .flat_map(|life| &life.cycles)
        .map(|(from, to, _)| (to - from) as f64 / 1e6)
        .collect();
    let cycle_s = if lengths.is_empty() {
        cycles.cycle_s
    } else {
        lengths.iter().sum::<f64>() / lengths.len() as f64
    };
    let mut horizons_s = spec.horizons_s.clone();
    if let Some(horizon) = job.horizon_s {
        horizons_s.push(horizon);
        horizons_s.sort_by(f64::total_cmp);
        horizons_s.dedup();
    }
    // Every asset with a life has a diary, if only an empty one.
    let watched = lives.iter().filter_map(|life| {
        let diary = diaries.get(&life.asset)?;
        Some(life.watched(diary))
    });
    Material {
        cycles,
        component: spec.component.clone(),
        horizons_s,
        cap: spec.cap_cycles,
        fleet: FleetConfig::default(),
        records: past_lives(recorded, diaries, cycle_s, now),
        lives: lives.iter().map(GatheredLife::life).collect(),
        watched: watched.collect(),
        cycle_s,
        seed: job.seed,
    }
}
