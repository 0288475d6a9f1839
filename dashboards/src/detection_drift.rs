//! Whether detectors still see what they learned from: their inputs and their scores, then and now.
//!
//! For each device that is watched, the readings of the time its normal was learned in are held
//! against those of the last week, and the detection scores of the week after that likewise. Weeks
//! end at the newest reading of the device, so recordings that are played back are watched too.
//! Single readings are taken, evenly over the time: means over longer times would lie closer
//! together and be no sample of the same thing. Where the operating state is told, only the time
//! with a normal counts.
//!
//! Nothing is kept between two looks: since when something drifted is found by asking the same
//! question for the weeks that end at each midnight before, so that it survives a restart.

mod samples;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alerting::{CaseDesk, CaseQuery, StatusFilter};
use analytics::{DeviceView, drift::Word};
use historian::{FindingKind, FindingQuery, SeriesKey, Store};
use service::{Asset, AssetQuery, Service};
use telemetry::{
    AssetId, AssetModel, AssetModelId, ConditionState, DeviceId, Evidence, Finding, SignalName,
    Timestamp, Verdict,
};

use samples::{Samples, Span, Told, Watched, ran};

use crate::{
    Problem,
    api::drifts::{DetectionDrift, DriftOf},
    fleet::FleetView,
};

const DAY: Duration = Duration::from_hours(24);
/// The time that is held against what was learned: a plant's week has every shift.
const WEEK: Duration = Duration::from_hours(7 * 24);
/// What was learned in less than a day knows no night, and whatever a day does may leave it: of
/// that nothing more than "moving" is said. A recent time that is shorter is not judged at all.
const WHOLE: Duration = DAY;
/// How far back it is looked for when something began to drift, in days.
const MOST_DAYS: u32 = 28;
/// Readings of one sample: enough that what chance makes on average is a third of the lower limit, and a
/// query of some milliseconds.
const MOST_POINTS: u32 = 500;
/// Conditions read of one span; a device that says nothing new says 168 in a week.
const MOST_WORDS: usize = 20_000;
/// Devices that are looked at; each takes some tens of milliseconds.
const MOST_DEVICES: usize = 10_000;
/// What is kept, the worst: as much as a page of a list holds.
const MOST_KEPT: usize = 1_000;

/// Where it is looked.
#[derive(Debug, Clone)]
pub struct DriftSources {
    /// Assets.
    pub service: Service,
    /// Readings and findings.
    pub store: Store,
    /// Which detectors have learned what.
    pub fleet: FleetView,
    /// Where a fault stands.
    pub cases: CaseDesk,
    /// The known asset models, for names.
    pub models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
}

impl DriftSources {
    /// Looks at every input and every score, the worst first.
    ///
    /// # Errors
    /// When the ledger, the cases or the historian cannot be read.
    pub async fn look(&self) -> Result<Vec<DetectionDrift>, Problem> {
        let mut found = Vec::new();
        let (mut after, mut devices) = (None, 0);
        'plant: loop {
            let query = AssetQuery {
                after: after.take(),
                limit: AssetQuery::MAX_LIMIT,
                ..AssetQuery::default()
            };
            let page = self.service.assets(query).await?;
            let full = page.len() == AssetQuery::MAX_LIMIT as usize;
            after = page.last().map(|asset| asset.id.clone());
            for asset in &page {
                devices += asset.devices.len();
                if devices > MOST_DEVICES {
                    tracing::warn!(devices = MOST_DEVICES, "no more is watched for drift");
                    break 'plant;
                }
                found.extend(self.asset(asset).await?);
            }
            if !full {
                break;
            }
        }
        found.sort_by(|a: &DetectionDrift, b| b.psi.total_cmp(&a.psi));
        found.truncate(MOST_KEPT);
        Ok(found)
    }

    async fn asset(&self, asset: &Asset) -> Result<Vec<DetectionDrift>, Problem> {
        let Some(live) = self.fleet.get(&asset.id) else {
            return Ok(Vec::new());
        };
        let views = live
            .devices
            .values()
            .filter_map(|device| device.view.as_ref());
        let in_alarm = |view: &DeviceView| view.condition.state == ConditionState::Alarm;
        let alarm_stands = views.clone().any(in_alarm) || self.has_case(&asset.id).await?;
        let mut found = Vec::new();
        for view in views {
            // Fixed limits speak while the normal is still learned; its evidence is none.
            let evidence = view.condition.evidence.as_ref();
            let Some(evidence) = evidence.filter(|_| view.assessment.is_some()) else {
                continue;
            };
            let series = self.store.series(Some(&view.device));
            let Some(last) = series.iter().map(|one| one.last_at).max() else {
                continue;
            };
            let watched = self.watched((asset, &view.device, evidence), last).await?;
            let counted = view.signals.iter();
            let inputs = counted.filter(|one| one.normal.is_some() && !one.is_counter);
            let names = inputs.map(|one| Some(&one.signal)).chain([None]);
            for signal in names {
                found.extend(self.judge(&watched, signal, alarm_stands).await?);
            }
        }
        Ok(found)
    }

    async fn has_case(&self, asset: &AssetId) -> Result<bool, Problem> {
        let query = CaseQuery {
            status: StatusFilter::Open,
            asset: Some(asset.clone()),
            verdict: Some(Verdict::Machine),
            limit: 1,
            ..CaseQuery::default()
        };
        Ok(!self.cases.list(query).await?.is_empty())
    }

    async fn watched<'a>(
        &self,
        (asset, device, evidence): (&'a Asset, &'a DeviceId, &'a Evidence),
        last: Timestamp,
    ) -> Result<Watched<'a>, Problem> {
        let end = last + Duration::from_micros(1);
        let (from, to) = (evidence.baseline_from, evidence.baseline_to + WEEK);
        let lately = (end - WEEK - MOST_DAYS * DAY).max(from);
        Ok(Watched {
            asset,
            device,
            evidence,
            end,
            then: self.told((asset, device), (from, to), from).await?,
            lately: self.told((asset, device), (lately, end), from).await?,
        })
    }

    /// What a device said in a span, the word before it first, in order.
    async fn told(
        &self,
        (asset, device): (&Asset, &DeviceId),
        (from, to): Span,
        baseline_from: Timestamp,
    ) -> Result<Vec<Told>, Problem> {
        let query = |from: Option<Timestamp>, to, limit| FindingQuery {
            kind: Some(FindingKind::Condition),
            asset: Some(asset.id.clone()),
            device: Some(device.clone()),
            from,
            to: Some(to),
            newest_first: from.is_none(),
            limit,
        };
        let mut said = self.store.findings(query(None, from, 1)).await?;
        said.extend(
            self.store
                .findings(query(Some(from), to, MOST_WORDS))
                .await?,
        );
        let told = said.iter().filter_map(|finding| match finding {
            Finding::Condition(condition) => Some(Told::of(condition, baseline_from)),
            _ => None,
        });
        Ok(told.collect())
    }

    /// Holds a signal, or the score when none is named, against what was learned.
    async fn judge(
        &self,
        watched: &Watched<'_>,
        signal: Option<&SignalName>,
        alarm_stands: bool,
    ) -> Result<Option<DetectionDrift>, Problem> {
        let samples = self.samples(watched, signal, watched.end).await?;
        let Some(found) = samples.judge() else {
            return Ok(None);
        };
        let since = if found.word == Word::Drifted {
            Some(self.since(watched, signal).await?)
        } else {
            None
        };
        let asset = watched.asset;
        let mut drift = DetectionDrift {
            asset: asset.id.clone(),
            asset_model: asset.model.clone(),
            device: watched.device.clone(),
            model: watched.evidence.model.clone(),
            what: DriftOf::new(signal.cloned()),
            psi: found.value,
            word: found.word.into(),
            since,
            reference: samples.told(0),
            recent: samples.told(1),
            alarm_stands,
            words: crate::labels::Text::new("", ""),
        };
        let model = self.models.get(&asset.model).map(AsRef::as_ref);
        drift.words = drift.in_words(model, WHOLE);
        Ok(Some(drift))
    }

    async fn samples(
        &self,
        watched: &Watched<'_>,
        signal: Option<&SignalName>,
        end: Timestamp,
    ) -> Result<Samples, Problem> {
        let Some(signal) = signal else {
            return Ok(watched.score_samples(end));
        };
        let key = SeriesKey {
            device: watched.device.clone(),
            signal: signal.clone(),
        };
        let spans = [watched.learned(), watched.recent(end)];
        Ok(Samples {
            values: [
                self.readings(&key, spans[0], &watched.then).await?,
                self.readings(&key, spans[1], &watched.lately).await?,
            ],
            spans,
        })
    }

    /// Readings of a span while the machine ran, evenly over the time.
    async fn readings(
        &self,
        key: &SeriesKey,
        (from, to): Span,
        told: &[Told],
    ) -> Result<Vec<f64>, Problem> {
        let parts = self.store.buckets(key, from, to, MOST_POINTS).await?;
        let running = parts.iter().filter(|part| ran(told, (part.from, part.to)));
        Ok(running.map(|part| part.last).collect())
    }

    /// The first of the midnights in a row by which it had drifted; the newest reading when it had
    /// not by the last one.
    async fn since(
        &self,
        watched: &Watched<'_>,
        signal: Option<&SignalName>,
    ) -> Result<Timestamp, Problem> {
        let day = DAY.as_micros() as i64;
        let midnight = Timestamp::from_micros(watched.end.as_micros().div_euclid(day) * day);
        let mut since = watched.end - Duration::from_micros(1);
        for back in 0..MOST_DAYS {
            let end = midnight - back * DAY;
            if end <= watched.evidence.baseline_to {
                break;
            }
            let found = self.samples(watched, signal, end).await?.judge();
            if found.is_none_or(|found| found.word != Word::Drifted) {
                break;
            }
            since = end;
        }
        Ok(since)
    }
}

/// What drifted and had not before, where no fault stands.
pub(crate) fn news(before: &[DetectionDrift], now: &[DetectionDrift]) -> Vec<DetectionDrift> {
    let key = |one: &DetectionDrift| (one.device.clone(), one.what.clone());
    let known: BTreeSet<_> = before.iter().filter(|one| one.counts()).map(key).collect();
    let drifted = now.iter().filter(|one| one.counts());
    drifted
        .filter(|one| !known.contains(&key(one)))
        .cloned()
        .collect()
}
