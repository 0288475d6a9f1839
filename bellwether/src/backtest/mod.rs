//! Rules tried on the stored past: as a job of the running program and as a verb.
//!
//! The past is read beside everything else, from the files of the historian, on a thread that
//! gives way. Jobs are done one after the other; one that was cut off begins anew.

mod past;
pub(crate) mod verb;
mod work;

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use alerting::{
    CaseSettings,
    backtest::{Comparison, Prices},
    rules::{Problem, RuleBook, WrittenRule, parse},
};
use anyhow::{Context, Result, bail};
use historian::{Background, GiveWay, StoreReader};
use service::{NewBacktest, Service};
use telemetry::{AssetId, AssetModel, AssetModelId};
use tokio_util::sync::CancellationToken;

use work::{Trials, WARM_UP, Watched};

/// How often jobs are looked for, and how far one is noted.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a visit costs against planned work where only that is known.
const VISIT_SHARE: f64 = 0.3;

/// Where the past is, and what is known of the machines.
#[derive(Clone)]
pub(crate) struct Archive {
    pub(crate) store: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) service: Service,
    pub(crate) models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    pub(crate) analytics: analytics::Config,
    pub(crate) settings: CaseSettings,
}

/// How far a back-test is, written by the thread that does it.
#[derive(Debug, Default)]
struct Meter {
    /// In millionths.
    done: AtomicU64,
    readings: AtomicU64,
    stop: AtomicBool,
}

impl Meter {
    fn progress(&self) -> (f64, u64) {
        let done = self.done.load(Ordering::Relaxed) as f64 / 1e6;
        (done, self.readings.load(Ordering::Relaxed))
    }
}

/// The rules of a text, or what is wrong with it by line and column.
///
/// # Errors
/// Every problem in one text.
pub(crate) fn rules(text: &str) -> Result<Vec<WrittenRule>> {
    let told = |problem: &Problem| {
        format!(
            "line {}, column {}: {}",
            problem.line, problem.column, problem.message
        )
    };
    parse(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(told).collect();
        anyhow::anyhow!("the rules are not valid: {}", lines.join("; "))
    })
}

impl Archive {
    /// Does a back-test on a thread of its own; none when `meter` was told to stop.
    async fn test(
        &self,
        asked: &NewBacktest,
        in_force: Vec<WrittenRule>,
        meter: Arc<Meter>,
    ) -> Result<Option<Comparison>> {
        let proposed = rules(&asked.rules)?;
        let (store, journal) = (self.store.clone(), self.journal.clone());
        let (prices, currency) = self.prices().await?;
        let ends = self
            .service
            .ends_on_record((asked.from - WARM_UP, asked.to))
            .await
            .context("what is on record could not be read")?;
        let (service, models) = (self.service.clone(), Arc::clone(&self.models));
        let (analytics, span) = (self.analytics.clone(), (asked.from, asked.to));
        let (rules_only, settings) = (asked.rules_only, self.settings.clone());
        let work = move || {
            let reader = StoreReader::open(&store, &journal)?;
            let mut watched = Watched::new();
            for key in reader.series() {
                if let Some(known) = crate::models::assignment(&service, &models, &key.device) {
                    watched.insert(key.device.clone(), known);
                }
            }
            if watched.is_empty() {
                bail!("no device of any asset has stored readings");
            }
            let trials = Trials {
                reader,
                service,
                settings,
                span,
                watched,
                ends,
                proposed,
                in_force,
                rules_only,
                analytics,
                prices,
                currency,
            };
            trials.run(|share, readings| {
                meter.done.store((share * 1e6) as u64, Ordering::Relaxed);
                meter.readings.store(readings, Ordering::Relaxed);
                if meter.stop.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        };
        let background = Background::start("back-test", GiveWay::Much)
            .context("cannot start the thread of the back-test")?;
        background.run(work).await?
    }

    /// What work and failures cost on each asset, as far as its kind of machine says.
    async fn prices(&self) -> Result<(BTreeMap<AssetId, Prices>, String)> {
        let mut prices = BTreeMap::new();
        let mut after = None;
        loop {
            let query = service::AssetQuery {
                after: after.take(),
                limit: service::AssetQuery::MAX_LIMIT,
                ..service::AssetQuery::default()
            };
            let page = self.service.assets(query).await?;
            for asset in &page {
                let model = self.models.get(&asset.model);
                if let Some(costs) = model.and_then(|model| model.prognosis.as_ref()) {
                    let costs = costs.costs;
                    let price = Prices {
                        planned: costs.planned,
                        failure: costs.failure,
                        inspection: VISIT_SHARE * costs.planned,
                    };
                    prices.insert(asset.id.clone(), price);
                }
            }
            if page.len() < service::AssetQuery::MAX_LIMIT as usize {
                return Ok((prices, String::new()));
            }
            after = page.last().map(|asset| asset.id.clone());
        }
    }
}

/// The jobs of the running program.
pub(crate) struct Backtests {
    pub(crate) archive: Archive,
    /// Where the rules in force are.
    pub(crate) book: RuleBook,
}

impl Backtests {
    /// Works until it is stopped.
    ///
    /// # Errors
    /// Never; what goes wrong with a job is written to the job.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        loop {
            if let Err(error) = self.work(&stop).await {
                tracing::warn!(error = format!("{error:#}"), "back-tests wait");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn work(&self, stop: &CancellationToken) -> Result<()> {
        let service = &self.archive.service;
        while let Some(job) = service.take_backtest().await? {
            let meter = Arc::new(Meter::default());
            let in_force = self.book.text(self.book.version().await?).await?;
            let in_force = rules(&in_force)?;
            let test = self.archive.test(&job.asked, in_force, Arc::clone(&meter));
            let outcome = self.watch(test, job.id, &meter, stop).await?;
            if stop.is_cancelled() {
                // It stays as it is and begins anew at the next start.
                return Ok(());
            }
            let outcome = match outcome {
                Ok(Some(comparison)) => Ok(serde_json::to_string(&comparison)?),
                Ok(None) => Err("it was stopped".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            };
            service.end_backtest(job.id, outcome).await?;
        }
        Ok(())
    }

    /// Notes how far a job is until it ends, and stops it when somebody wants that.
    async fn watch(
        &self,
        test: impl Future<Output = Result<Option<Comparison>>>,
        job: u64,
        meter: &Meter,
        stop: &CancellationToken,
    ) -> Result<Result<Option<Comparison>>> {
        let mut test = std::pin::pin!(test);
        loop {
            tokio::select! {
                ended = &mut test => return Ok(ended),
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled(), if !meter.stop.load(Ordering::Relaxed) => {
                    meter.stop.store(true, Ordering::Relaxed);
                    continue;
                }
            }
            let (done, readings) = meter.progress();
            if !self
                .archive
                .service
                .backtest_progress(job, done, readings)
                .await?
            {
                meter.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}
