//! What forecasts were worth, once the truth has arrived.
//!
//! When a life ends, by an order or by an imported record, the forecasts that were told during it
//! are read from the historian as they were told, and compared with what was left. A challenger
//! (a version newer than the one that serves) is judged on the same life: it is shown the same
//! cycles, as it would have been, and what it would have said is scored beside.
//!
//! A life that ended without a failure shows only that it lasted at least so long; its
//! forecasts are kept with the mark and left out of summaries.

use std::collections::BTreeSet;

use analytics::prognosis::{
    diary::Diary,
    distribution::RulDistribution,
    moment::{Counters, Moment, Past, RECENT},
    serving::{Forecaster, ModelId, Outlook},
};
use anyhow::Result;
use historian::{FindingKind, FindingQuery, ForecastScore};
use service::{AssetLives, LivesQuery, RecordedLife};
use telemetry::{
    AssetId, AssetModelId, DeviceId, FailureWithin, FanQuantile, Finding, Prognosis,
    PrognosisOutcome, Timestamp,
};

use super::{
    gather::{GatheredLife, diaries, gather},
    serve,
    trainer::Trainer,
};

/// Forecasts of a life that are scored: one in so many that at most this many are left.
const MOST: usize = 200;
/// The median counts as right within this part of the truth (α-λ).
const ALPHA: f64 = 0.2;

/// What was scored since the start of the program.
#[derive(Debug, Default)]
pub(super) struct Scorer {
    /// Lives that were looked at, by asset and end.
    seen: BTreeSet<(AssetId, Timestamp)>,
}

impl Scorer {
    /// Scores what has ended since the last look.
    ///
    /// # Errors
    /// When something cannot be read or written; what was not scored is looked at again.
    pub(super) async fn look(&mut self, trainer: &Trainer) -> Result<()> {
        let champions = trainer.champions().await?;
        for (asset_model, champion) in champions {
            self.kind(trainer, &asset_model, champion).await?;
        }
        Ok(())
    }

    async fn kind(
        &mut self,
        trainer: &Trainer,
        asset_model: &AssetModelId,
        champion: u32,
    ) -> Result<()> {
        let Some(model) = trainer.models.get(asset_model) else {
            return Ok(());
        };
        let query = LivesQuery {
            model: asset_model.clone(),
            component: model
                .prognosis
                .as_ref()
                .and_then(|spec| spec.component.clone()),
        };
        for lives in trainer.sources.service.lives(&query).await? {
            for life in &lives.lives {
                let Some(end) = life.to else { continue };
                let key = (lives.asset.clone(), end);
                if self.seen.contains(&key) {
                    continue;
                }
                let told = told(trainer, &lives.asset, life, end).await?;
                if !told.is_empty() {
                    let mut scores = scores_of(asset_model, &told, life, end);
                    scores.extend(shadow(trainer, asset_model, champion, &lives, life).await?);
                    trainer.registry.put_scores(scores).await?;
                }
                self.seen.insert(key);
            }
        }
        Ok(())
    }
}

/// What trained models told of an asset during a life.
async fn told(
    trainer: &Trainer,
    asset: &AssetId,
    life: &RecordedLife,
    end: Timestamp,
) -> Result<Vec<Prognosis>> {
    let query = FindingQuery {
        kind: Some(FindingKind::Prognosis),
        asset: Some(asset.clone()),
        device: None,
        from: life.from,
        to: Some(end),
        newest_first: false,
        limit: usize::MAX,
    };
    let findings = trainer.sources.store.findings(query).await?;
    let told = findings.into_iter().filter_map(|finding| match finding {
        Finding::Prognosis(PrognosisOutcome::Forecast(forecast)) => Some(forecast),
        _ => None,
    });
    Ok(told.filter(|one| one.detail.version.is_some()).collect())
}

fn scores_of(
    asset_model: &AssetModelId,
    told: &[Prognosis],
    life: &RecordedLife,
    end: Timestamp,
) -> Vec<ForecastScore> {
    let step = told.len().div_ceil(MOST).max(1);
    let scored = told.iter().step_by(step).filter_map(|forecast| {
        let said = Said {
            at: forecast.at,
            device: &forecast.device,
            quantiles_s: [forecast.rul_p10_s, forecast.rul_p50_s, forecast.rul_p90_s],
            fan: &forecast.detail.fan,
            within: &forecast.detail.within,
        };
        let version = forecast.detail.version?;
        score(
            (asset_model, version, false),
            &forecast.asset,
            &said,
            (life, end),
        )
    });
    scored.collect()
}

/// What the challengers would have said of the same life.
async fn shadow(
    trainer: &Trainer,
    asset_model: &AssetModelId,
    champion: u32,
    lives: &AssetLives,
    life: &RecordedLife,
) -> Result<Vec<ForecastScore>> {
    let cards = trainer.registry.list(Some(asset_model.clone())).await?;
    let mut scores = Vec::new();
    let (Some(model), Some(end)) = (trainer.models.get(asset_model), life.to) else {
        return Ok(scores);
    };
    let newer: Vec<_> = cards
        .iter()
        .filter(|card| card.version > champion)
        .collect();
    if newer.is_empty() {
        return Ok(scores);
    }
    let gathered = gather(&trainer.sources, model, lives).await?;
    let service = &trainer.sources.service;
    let own = std::slice::from_ref(lives);
    let diaries = diaries(service, asset_model, own, &gathered).await?;
    let Some(watched) = gathered.iter().find(|one| one.ended_at == life.to) else {
        return Ok(scores);
    };
    let diary = diaries.get(&lives.asset).map(|diary| &**diary);
    let assets = trainer.sources.service.asset(&lives.asset).await?;
    let Some(device) = assets.and_then(|asset| asset.devices.first().cloned()) else {
        return Ok(scores);
    };
    for card in newer {
        let id = ModelId {
            asset_model: asset_model.clone(),
            version: card.version,
            checksum: card.checksum.clone(),
        };
        let forecaster = serve::load(&id, &trainer.registry)?;
        let outlooks = replay(&*forecaster, watched, diary);
        let step = outlooks.len().div_ceil(MOST).max(1);
        for (at, outlook) in outlooks.iter().step_by(step) {
            let said = Said {
                at: *at,
                device: &device,
                quantiles_s: outlook.quantiles_s,
                fan: &outlook.detail.fan,
                within: &outlook.detail.within,
            };
            let of = (asset_model, card.version, true);
            scores.extend(score(of, &lives.asset, &said, (life, end)));
        }
    }
    Ok(scores)
}

/// What a model says after each cycle of a life.
fn replay(
    forecaster: &dyn Forecaster,
    life: &GatheredLife,
    diary: Option<&Diary>,
) -> Vec<(Timestamp, Outlook)> {
    let mut state = forecaster.start(life.age);
    let mut outlooks = Vec::new();
    let first = life.cycles.first().map_or(0, |(from, ..)| *from);
    let means = life.cycles.iter().map(|(.., row)| {
        let both = row.settings.iter().chain(&row.values);
        both.map(|value| *value as f32).collect()
    });
    let means: Vec<Vec<f32>> = means.collect();
    let ends = life.cycles.iter().map(|(_, to, _)| *to);
    let past: Vec<Past<'_>> = ends
        .zip(&means)
        .map(|(at, values)| Past { at, values })
        .collect();
    let mut counters = (life.age == Some(0.0)).then(Counters::default);
    for (index, (_, to, row)) in life.cycles.iter().enumerate() {
        forecaster.push(&mut state, row);
        if let Some(counters) = &mut counters {
            counters.cycles += 1;
            counters.starts += life.starts.get(index).map_or(0, |n| u64::from(*n));
        }
        let cycle_s = to.saturating_sub(first) as f64 / 1e6 / (index + 1) as f64;
        let moment = Moment {
            at: *to,
            began: life.began,
            counters,
            recent: &past[(index + 1).saturating_sub(RECENT)..=index],
            diaries: diary.as_slice(),
        };
        if let Some(outlook) = forecaster.outlook(&state, cycle_s, &moment) {
            outlooks.push((Timestamp::from_micros(*to), outlook));
        }
    }
    outlooks
}

/// A forecast as it was told.
struct Said<'a> {
    at: Timestamp,
    device: &'a DeviceId,
    quantiles_s: [f64; 3],
    fan: &'a [FanQuantile],
    within: &'a [FailureWithin],
}

fn score(
    (asset_model, version, shadow): (&AssetModelId, u32, bool),
    asset: &AssetId,
    said: &Said<'_>,
    (life, end): (&RecordedLife, Timestamp),
) -> Option<ForecastScore> {
    let truth_s = end.secs_from(said.at);
    if truth_s <= 0.0 {
        return None;
    }
    let [low, middle, high] = said.quantiles_s;
    let brier = said.within.iter().filter_map(|within| {
        let hit = f64::from(u8::from(truth_s <= within.horizon_s));
        let error = (within.probability? - hit).powi(2);
        Some((within.horizon_s, error))
    });
    Some(ForecastScore {
        asset_model: asset_model.clone(),
        version,
        asset: asset.clone(),
        device: said.device.clone(),
        forecast_at: said.at,
        ended_at: end,
        shadow,
        failed: life.failed,
        truth_s,
        quantiles_s: said.quantiles_s,
        crps_s: distribution(said)?.crps(truth_s),
        in_interval: low <= truth_s && truth_s <= high,
        within_alpha: (middle - truth_s).abs() <= ALPHA * truth_s,
        brier: brier.collect(),
    })
}

/// The distribution behind the fan: straight lines between what was told, level at the ends.
fn distribution(said: &Said<'_>) -> Option<RulDistribution> {
    let mut points: Vec<(f64, f64)> = said
        .fan
        .iter()
        .map(|quantile| (quantile.level, quantile.rul_s))
        .collect();
    if points.is_empty() {
        points = [0.1, 0.5, 0.9].into_iter().zip(said.quantiles_s).collect();
    }
    RulDistribution::from_quantile_function(|level| {
        let above = points.partition_point(|(at, _)| *at < level);
        match (above.checked_sub(1).map(|at| points[at]), points.get(above)) {
            (Some((a, low)), Some(&(b, high))) if b > a => {
                low + (high - low) * (level - a) / (b - a)
            }
            (_, Some(&(_, value))) | (Some((_, value)), _) => value,
            (None, None) => f64::NAN,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<'a>(device: &'a DeviceId, fan: &'a [FanQuantile]) -> Said<'a> {
        Said {
            at: Timestamp::EPOCH,
            device,
            quantiles_s: [80.0, 100.0, 120.0],
            fan,
            within: &[],
        }
    }

    /// A certain forecast scores its absolute error; the levels between are straight lines.
    #[test]
    fn a_forecast_is_scored_against_what_was_left() {
        let device = DeviceId::new("pump-1").unwrap();
        let kind = AssetModelId::new("pump").unwrap();
        let asset = AssetId::new("pump-1").unwrap();
        let certain = [FanQuantile {
            level: 0.5,
            rul_s: 100.0,
        }];
        let life = RecordedLife {
            from: None,
            to: Some(Timestamp::from_secs(130)),
            failed: true,
        };
        let end = Timestamp::from_secs(130);
        let scored = score(
            (&kind, 1, false),
            &asset,
            &said(&device, &certain),
            (&life, end),
        );
        let scored = scored.unwrap();
        assert!((scored.crps_s - 30.0).abs() < 1e-9, "{}", scored.crps_s);
        assert!(!scored.in_interval && !scored.within_alpha);
        let middle = distribution(&said(&device, &[])).unwrap();
        assert!((middle.quantile(0.3) - 90.0).abs() < 0.1);
        // Told after the end: nothing to compare with.
        let before = score(
            (&kind, 1, false),
            &asset,
            &said(&device, &[]),
            (&life, Timestamp::EPOCH),
        );
        assert_eq!(before, None);
    }
}
