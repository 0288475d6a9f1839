//! A trained model under its name, as it serves.

use telemetry::{
    FailureWithin, FanQuantile, ForecastContribution, ForecastDetail, PrognosisFamily, Shown,
    SimilarLife,
};

use super::TrainedModel;
use crate::prognosis::{
    FAN,
    combine::combine,
    cycles::CycleSpec,
    distribution::RulDistribution,
    fleet::{Basis, FleetState},
    lives::{CycleRow, LifeEnd},
    moment::Moment,
    path::features::Aspect,
    serving::{Forecaster, ModelId, Outlook},
};

/// Contributions that are told.
const CONTRIBUTIONS: usize = 8;
/// Similar lives that are told.
const SIMILAR: usize = 5;
/// A model under its name, as it serves.
#[derive(Debug)]
pub struct Serving {
    id: ModelId,
    model: TrainedModel,
}

impl Serving {
    /// Lets a model serve under this name.
    pub fn new(id: ModelId, model: TrainedModel) -> Self {
        Self { id, model }
    }

    fn state(&self, bytes: &[u8]) -> FleetState {
        let state = postcard::from_bytes(bytes).ok();
        let fitting = state.filter(|state| self.model.fleet.fits(state));
        fitting.unwrap_or_else(|| self.model.fleet.start(None))
    }

    fn encoded(state: &FleetState) -> Vec<u8> {
        // Plain numbers: postcard writes them all. An empty state starts over with no age.
        postcard::to_allocvec(state).unwrap_or_default()
    }

    /// Failure within each horizon, by whoever told it better in training.
    fn within(&self, life: &RulDistribution, moment: &Moment<'_>) -> Vec<FailureWithin> {
        let model = &self.model;
        let warnings = model.warnings.as_ref();
        let warned = warnings.map_or_else(Vec::new, |warnings| warnings.say(moment));
        let horizons = model.horizons_s.iter().zip(&model.ranks).enumerate();
        let one = |(at, (horizon, past)): (usize, (&f64, &Vec<f32>))| {
            let warned = warned.get(at).and_then(Option::as_ref);
            let (probability, past, reason) = match warned {
                Some(warned) => (warned.probability, warned.past, warned.doubt),
                None => (
                    life.probability_within(*horizon),
                    &past[..],
                    model.doubt.as_ref(),
                ),
            };
            let shown = match reason {
                None => Shown::Calibrated,
                Some(_) => Shown::Rank,
            };
            let less = past.partition_point(|said| f64::from(*said) < probability);
            FailureWithin {
                horizon_s: *horizon,
                probability: (shown == Shown::Calibrated).then_some(probability),
                rank: (!past.is_empty()).then(|| less as f64 / past.len() as f64),
                shown,
                family: warned.map(|_| PrognosisFamily::Classifier),
                reason: reason.cloned(),
            }
        };
        horizons.map(one).collect()
    }
}

impl Forecaster for Serving {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn cycles(&self) -> &CycleSpec {
        &self.model.cycles
    }

    fn start(&self, age: Option<f64>) -> Vec<u8> {
        Self::encoded(&self.model.fleet.start(age))
    }

    fn push(&self, state: &mut Vec<u8>, row: &CycleRow) {
        let mut known = self.state(state);
        self.model.fleet.push(&mut known, row);
        *state = Self::encoded(&known);
    }

    fn outlook(&self, state: &[u8], cycle_s: f64, moment: &Moment<'_>) -> Option<Outlook> {
        let state = self.state(state);
        let forecast = self.model.fleet.predict(&state)?;
        let prior = self.model.life.as_ref().zip(state.age());
        let prior = prior.map(|(life, age)| life.remaining(age, &[]));
        let seen = Some((&forecast.distribution, PrognosisFamily::Fleet));
        let combined = combine(prior.as_ref(), seen)?;
        let mut notes = Vec::new();
        if forecast.basis == Basis::WindowOnly {
            notes.push("window_only".to_owned());
        }
        if !combined.distribution.quantile(0.9).is_finite() {
            notes.push("beyond_cap".to_owned());
        }
        // Nothing was learned beyond the cap, so no more than that is promised.
        let life = combined.distribution.scaled(cycle_s);
        let most = self.model.fleet.cap() * cycle_s;
        let quantile = |level: f64| {
            let quantile = life.quantile(level);
            if quantile.is_finite() { quantile } else { most }
        };
        let fan = FAN.iter().map(|&level| (level, life.quantile(level)));
        let fan = fan.filter(|(_, rul_s)| rul_s.is_finite());
        let hazard = life.hazard_now() * 86_400.0;
        let is_calibrated = self.model.doubt.is_none();
        Some(Outlook {
            family: combined.family,
            quantiles_s: [quantile(0.1), quantile(0.5), quantile(0.9)],
            detail: ForecastDetail {
                component: self.model.component.clone(),
                fan: fan
                    .map(|(level, rul_s)| FanQuantile { level, rul_s })
                    .collect(),
                within: self.within(&life, moment),
                hazard_per_day: (is_calibrated && hazard.is_finite()).then_some(hazard),
                notes,
                ..ForecastDetail::default()
            },
        })
    }

    fn explain(&self, state: &[u8], cycle_s: f64, detail: &mut ForecastDetail) {
        let Some(why) = self.model.fleet.explain(&self.state(state)) else {
            return;
        };
        let contributions = why.contributions.iter().take(CONTRIBUTIONS);
        detail.contributions = contributions
            .map(|part| ForecastContribution {
                feature: match &part.signal {
                    Some(signal) => format!("{signal}:{}", aspect(part.aspect)),
                    None => aspect(part.aspect).to_owned(),
                },
                rul_s: part.cycles * cycle_s,
            })
            .collect();
        let similar = why.similar.iter().take(SIMILAR);
        detail.similar = similar
            .map(|life| SimilarLife {
                asset: life.asset.clone(),
                failed: life.end == LifeEnd::Failed,
                rul_s: f64::from(life.remained) * self.model.cycles.cycle_s,
                similarity: (-life.distance).exp(),
            })
            .collect();
    }
}

fn aspect(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Age => "age",
        Aspect::Level => "level",
        Aspect::Trend => "trend",
        Aspect::Spread => "spread",
        Aspect::SinceNew => "since_new",
        Aspect::Course => "course",
    }
}
