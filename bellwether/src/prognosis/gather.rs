//! From the historian and the lives on record to what a model learns from.
//!
//! The stored readings of a device go through the same [`Fleet`] that watches it live, which
//! cuts them into the same cycles: a model is served exactly what it was trained on. At the
//! beginning of each life the fleet is told so, as the journal tells it live.
//!
//! What was measured from the failure on until the repair belongs to no life. A failed life
//! whose last cycle ended long before the failure was not watched to its end; it is taken as
//! censored, because how much was left at each of its rows is not known.

use std::{collections::BTreeMap, sync::Arc};

use analytics::{
    Assignment, Fleet, WatchedLife,
    prognosis::{
        cycles::Cycle,
        diary::{ARCHIVE_CODES, Diary},
        life::PastLife,
        lives::{CycleRow, Life, LifeEnd},
        trained::Watched,
    },
};
use anyhow::Result;
use historian::{SeriesInfo, SeriesKey, Store};
use serde::{Deserialize, Serialize};
use service::{AssetLives, RecordedLife, Service};
use telemetry::{
    AssetId, AssetModel, AssetModelId, DeviceId, Event, JournalRecord, ReadingBatch, Timestamp,
};

/// Readings taken from the historian at a time: some ten megabytes.
const READINGS_AT_ONCE: u64 = 200_000;
/// The shortest stretch read at a time; a device cannot be asked for less than this usefully.
const SHORTEST_STRETCH_S: f64 = 60.0;
/// A life was watched to its end when its last cycle ended within so many cycles of it.
const WATCHED_TO_THE_END: i64 = 3;
/// Cycles kept of one life: more than any life that is worth a model of cycles.
const MOST_CYCLES: u32 = 100_000;

/// Where is read from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) store: Store,
    pub(crate) service: Service,
    pub(crate) analytics: analytics::Config,
}

/// A life as it was watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GatheredLife {
    /// Whose.
    pub(crate) asset: AssetId,
    /// When it ended; none while it lasts.
    pub(crate) ended_at: Option<Timestamp>,
    /// Cycles before the first row, when known.
    pub(crate) age: Option<f64>,
    /// From, to (microseconds) and the means of each cycle.
    pub(crate) cycles: Vec<(i64, i64, CycleRow)>,
    /// The starts in each.
    pub(crate) starts: Vec<u16>,
    /// When it began, when that is known; microseconds.
    pub(crate) began: Option<i64>,
    /// Whether its end is a failure that was watched.
    pub(crate) failed: bool,
    /// When it failed, watched to its end or not.
    pub(crate) failed_at: Option<i64>,
    /// The error codes the device said in it, and when.
    pub(crate) heard: Vec<(i64, String)>,
}

impl GatheredLife {
    /// As a model learns from it.
    pub(crate) fn life(&self) -> Life {
        Life {
            asset: self.asset.to_string(),
            age: self.age,
            rows: self.cycles.iter().map(|(.., row)| row.clone()).collect(),
            end: if self.failed {
                LifeEnd::Failed
            } else {
                LifeEnd::Censored
            },
        }
    }

    /// What is known beside its rows.
    pub(crate) fn watched(&self, diary: &Arc<Diary>) -> Watched {
        let ends: Vec<i64> = self.cycles.iter().map(|(_, to, _)| *to).collect();
        // After the last cycle nobody looked; a record may know more, and is not asked.
        let last = ends.last().copied().unwrap_or(i64::MIN);
        Watched {
            began: self.began,
            starts: self.starts.clone(),
            failed_at: self.failed_at,
            known_until: self.ended_at.map_or(last, |end| last.min(end.as_micros())),
            ends,
            diary: Arc::clone(diary),
        }
    }
}

/// The watched lives of one asset: of the device that measured most of what is looked at.
///
/// # Errors
/// When the historian or the ledger cannot be read.
pub(crate) async fn gather(
    sources: &Sources,
    model: &Arc<AssetModel>,
    lives: &AssetLives,
) -> Result<Vec<GatheredLife>> {
    let Some(asset) = sources.service.asset(&lives.asset).await? else {
        return Ok(Vec::new());
    };
    let mut best: (f64, Vec<GatheredLife>) = (0.0, Vec::new());
    for device in &asset.devices {
        let gathered = of_device(sources, model, lives, device).await?;
        let measured = measured(&gathered);
        if measured > best.0 {
            best = (measured, gathered);
        }
    }
    Ok(best.1)
}

/// What is known of each machine of a kind beside its measurements: what was imported, what its
/// devices said, and when its lives ended.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn diaries(
    service: &Service,
    kind: &AssetModelId,
    recorded: &[AssetLives],
    lives: &[GatheredLife],
) -> Result<BTreeMap<AssetId, Arc<Diary>>> {
    let mut diaries: BTreeMap<AssetId, Diary> = BTreeMap::new();
    let empty = || Diary::new(ARCHIVE_CODES);
    for asset in recorded {
        let diary = diaries.entry(asset.asset.clone()).or_insert_with(empty);
        for end in asset.lives.iter().filter_map(|life| life.to) {
            diary.life_ended(end.as_micros());
        }
    }
    for life in lives {
        let diary = diaries.entry(life.asset.clone()).or_insert_with(empty);
        for (at, code) in &life.heard {
            diary.code(*at, code);
        }
    }
    for (asset, at, what) in service.recorded(kind).await? {
        if let Some(diary) = diaries.get_mut(&asset) {
            diary.hear(at.as_micros(), &what);
        }
    }
    let shared = diaries.into_iter();
    Ok(shared
        .map(|(asset, diary)| (asset, Arc::new(diary)))
        .collect())
}

/// The lives on record whose beginning is known, in cycles of so many calendar seconds.
pub(crate) fn past_lives(
    recorded: &[AssetLives],
    diaries: &BTreeMap<AssetId, Arc<Diary>>,
    cycle_s: f64,
    now: Timestamp,
) -> Vec<PastLife> {
    let mut past = Vec::new();
    for asset in recorded {
        let Some(diary) = diaries.get(&asset.asset) else {
            continue;
        };
        for life in &asset.lives {
            let Some(from) = life.from else { continue };
            let lasted = |to: Timestamp| to.secs_from(from) / cycle_s;
            let duration = lasted(life.to.unwrap_or(now));
            if duration <= 0.0 {
                continue;
            }
            let was_replaced = life.to.is_some() && !life.failed;
            past.push(PastLife {
                asset: asset.asset.to_string(),
                began: from.as_micros(),
                duration,
                failed: life.failed,
                watchable: if was_replaced { duration } else { lasted(now) },
                diary: Arc::clone(diary),
            });
        }
    }
    past
}

/// How many values the rows hold.
fn measured(lives: &[GatheredLife]) -> f64 {
    let rows = lives.iter().flat_map(|life| &life.cycles);
    let known = |row: &CycleRow| row.values.iter().filter(|value| !value.is_nan()).count();
    rows.map(|(.., row)| known(row) as f64).sum()
}

async fn of_device(
    sources: &Sources,
    model: &Arc<AssetModel>,
    lives: &AssetLives,
    device: &DeviceId,
) -> Result<Vec<GatheredLife>> {
    let series = sources.store.series(Some(device));
    let Some(span) = Span::of(&series) else {
        return Ok(Vec::new());
    };
    let config = analytics::Config {
        cycles_kept: MOST_CYCLES,
        ..sources.analytics.clone()
    };
    let mut watch = Watch {
        fleet: Fleet::new(config)?,
        asset: lives.asset.clone(),
        model: Arc::clone(model),
    };
    let mut gathered = Vec::new();
    for life in &lives.lives {
        let from = life.from.unwrap_or(Timestamp::MIN);
        let to = life.to.unwrap_or(Timestamp::MAX);
        if let Some(began) = life.from {
            watch.begin(began);
        }
        let (mut at, end) = (from.max(span.first), to.min(span.end));
        while at < end {
            let next = (at + span.stretch).min(end);
            let record = read(&sources.store, device, &series, (at, next)).await?;
            watch.see(&record);
            at = next;
        }
        gathered.extend(watch.lived(life));
        // A life without a known beginning has been seen; the next must not continue it.
        watch.begin(end.max(from));
    }
    Ok(gathered)
}

/// The time a device has measured, and how much of it is read at once.
struct Span {
    first: Timestamp,
    end: Timestamp,
    stretch: std::time::Duration,
}

impl Span {
    fn of(series: &[SeriesInfo]) -> Option<Self> {
        let first = series.iter().map(|one| one.first_at).min()?;
        let last = series.iter().map(|one| one.last_at).max()?;
        let count: u64 = series.iter().map(|one| one.count).sum();
        let seconds = last.secs_from(first).max(1.0);
        let stretch = seconds * READINGS_AT_ONCE as f64 / count.max(1) as f64;
        Some(Self {
            first,
            end: Timestamp::from_micros(last.as_micros().saturating_add(1)),
            stretch: std::time::Duration::from_secs_f64(
                stretch.clamp(SHORTEST_STRETCH_S, seconds.max(SHORTEST_STRETCH_S)),
            ),
        })
    }
}

/// The readings of a device in a stretch of time as rows, in order.
async fn read(
    store: &Store,
    device: &DeviceId,
    series: &[SeriesInfo],
    (from, to): (Timestamp, Timestamp),
) -> Result<JournalRecord> {
    let mut readings = ReadingBatch::new();
    let number = readings.device(device);
    let mut rows: BTreeMap<Timestamp, Vec<(u32, f64)>> = BTreeMap::new();
    for one in series {
        let key = SeriesKey {
            device: one.device.clone(),
            signal: one.signal.clone(),
        };
        let signal = readings.signal(&one.signal);
        for sample in store.range(&key, from, to, usize::MAX).await? {
            rows.entry(sample.at)
                .or_default()
                .push((signal, sample.value));
        }
    }
    for (at, values) in rows {
        for (signal, value) in values {
            readings.push_value(signal, value);
        }
        readings.finish_row(number, at, at);
    }
    Ok(JournalRecord {
        readings,
        ..JournalRecord::default()
    })
}

/// A fleet of one, fed from the past.
struct Watch {
    fleet: Fleet,
    asset: AssetId,
    model: Arc<AssetModel>,
}

impl Watch {
    fn see(&mut self, record: &JournalRecord) {
        let assignment = Assignment {
            asset: self.asset.clone(),
            model: Some(Arc::clone(&self.model)),
        };
        // What is found in the past has been told in the past.
        let mut findings = Vec::new();
        let mut assign = |_: &DeviceId| Some(assignment.clone());
        self.fleet.apply(record, &mut assign, &mut findings);
    }

    fn begin(&mut self, at: Timestamp) {
        let event = Event::LifeBegan {
            asset: self.asset.clone(),
            at,
        };
        self.see(&JournalRecord {
            events: vec![event],
            ..JournalRecord::default()
        });
    }

    /// The life that was just seen.
    fn lived(&self, recorded: &RecordedLife) -> Option<GatheredLife> {
        let watched = self.fleet.lives(&self.asset).into_iter().next()?;
        let WatchedLife {
            age, cycles, heard, ..
        } = watched;
        let began = recorded.from.map_or(i64::MIN, Timestamp::as_micros);
        let rows = cycles.iter().filter(|cycle| cycle.from >= began);
        let starts = rows.clone().map(Cycle::starts).collect();
        let cycles: Vec<_> = rows
            .map(|cycle| (cycle.from, cycle.to, cycle.row()))
            .collect();
        let (_, last, _) = cycles.last()?;
        let length =
            cycles.iter().map(|(from, to, _)| to - from).sum::<i64>() / cycles.len() as i64;
        let watched_to_the_end =
            |end: Timestamp| end.as_micros().saturating_sub(*last) <= WATCHED_TO_THE_END * length;
        let end = recorded.to.map_or(i64::MAX, Timestamp::as_micros);
        let heard = heard.codes(began, end);
        Some(GatheredLife {
            starts,
            began: recorded.from.map(Timestamp::as_micros),
            failed_at: recorded
                .to
                .filter(|_| recorded.failed)
                .map(Timestamp::as_micros),
            heard: heard.map(|(at, code)| (at, code.to_owned())).collect(),
            asset: self.asset.clone(),
            ended_at: recorded.to,
            age: if recorded.from.is_some() { age } else { None },
            failed: recorded.failed && recorded.to.is_some_and(watched_to_the_end),
            cycles,
        })
    }
}

#[cfg(test)]
mod tests;
