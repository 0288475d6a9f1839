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
    fleet::{Basis, FleetModel, FleetState},
    life::LifeData,
    lives::{CycleRow, LifeEnd},
    moment::Moment,
    path::features::Aspect,
    serving::{Forecaster, ModelId, Outlook},
};

/// Contributions that are told.
const CONTRIBUTIONS: usize = 8;
/// Similar lives that are told.
const SIMILAR: usize = 5;
/// What a contribution of the records is called, before the name of what is known.
const RECORD_PREFIX: &str = "record/";

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

    fn state(fleet: &FleetModel, bytes: &[u8]) -> FleetState {
        let state = postcard::from_bytes(bytes).ok();
        let fitting = state.filter(|state| fleet.fits(state));
        fitting.unwrap_or_else(|| fleet.start(None))
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

impl Serving {
    /// What the calendar says of a machine whose like nobody measured; none when nobody knows when
    /// its life began.
    fn outlook_of_life(&self, moment: &Moment<'_>) -> Option<Outlook> {
        let life = self.model.life.as_ref()?;
        let lived_s = moment.at.saturating_sub(moment.began?) as f64 / 1e6;
        let (age, known) = (lived_s.max(0.0) / life.unit_s, life.covariates(moment));
        let left = life.model.remaining(age, &known).scaled(life.unit_s);
        let most = life.reach * life.unit_s;
        let mut outlook = self.told(&left, PrognosisFamily::LifeData, most, moment);
        outlook.detail.contributions = of_records(life, age, &known, life.unit_s);
        Some(outlook)
    }

    /// A distribution of calendar seconds in words; where it does not end, `most` is promised.
    fn told(
        &self,
        life: &RulDistribution,
        family: PrognosisFamily,
        most: f64,
        moment: &Moment<'_>,
    ) -> Outlook {
        let quantile = |level: f64| {
            let quantile = life.quantile(level);
            if quantile.is_finite() { quantile } else { most }
        };
        let fan = FAN.iter().map(|&level| (level, life.quantile(level)));
        let fan = fan.filter(|(_, rul_s)| rul_s.is_finite());
        let hazard = life.hazard_now() * 86_400.0;
        let is_calibrated = self.model.doubt.is_none();
        Outlook {
            family,
            quantiles_s: [quantile(0.1), quantile(0.5), quantile(0.9)],
            detail: ForecastDetail {
                component: self.model.component.clone(),
                fan: fan
                    .map(|(level, rul_s)| FanQuantile { level, rul_s })
                    .collect(),
                within: self.within(life, moment),
                hazard_per_day: (is_calibrated && hazard.is_finite()).then_some(hazard),
                ..ForecastDetail::default()
            },
        }
    }
}

impl LifeData {
    fn covariates(&self, moment: &Moment<'_>) -> Vec<f64> {
        self.covariates.row(moment.diaries, moment.began)
    }

    /// Whether what came from outside can be worked with.
    pub(super) fn is_consistent(&self) -> bool {
        let named = self.model.coefficients.iter().map(|one| one.name.clone());
        named.eq(self.covariates.names()) && self.unit_s > 0.0 && self.model.is_consistent()
    }
}

/// By how much each thing that is known of the machine moves the median from that of an average one.
fn of_records(life: &LifeData, age: f64, known: &[f64], unit_s: f64) -> Vec<ForecastContribution> {
    let all = life.model.median_left(age, known);
    let names = life.covariates.names().into_iter().enumerate();
    let told = names.filter(|(at, _)| known[*at].is_finite());
    told.map(|(at, name)| {
        let mut average = known.to_vec();
        average[at] = f64::NAN;
        ForecastContribution {
            feature: format!("{RECORD_PREFIX}{name}"),
            rul_s: (all - life.model.median_left(age, &average)) * unit_s,
        }
    })
    .collect()
}

impl Forecaster for Serving {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn cycles(&self) -> &CycleSpec {
        &self.model.cycles
    }

    fn start(&self, age: Option<f64>) -> Vec<u8> {
        let fleet = self.model.fleet.as_ref();
        fleet.map_or_else(Vec::new, |fleet| Self::encoded(&fleet.start(age)))
    }

    fn push(&self, state: &mut Vec<u8>, row: &CycleRow) {
        // Life data look at the calendar alone.
        let Some(fleet) = &self.model.fleet else {
            return;
        };
        let mut known = Self::state(fleet, state);
        fleet.push(&mut known, row);
        *state = Self::encoded(&known);
    }

    fn outlook(&self, state: &[u8], cycle_s: f64, moment: &Moment<'_>) -> Option<Outlook> {
        let Some(fleet) = &self.model.fleet else {
            return self.outlook_of_life(moment);
        };
        let state = Self::state(fleet, state);
        let forecast = fleet.predict(&state)?;
        let prior = self.model.life.as_ref().zip(state.age());
        let known = prior.map(|(life, age)| (life, age, life.covariates(moment)));
        let prior = known
            .as_ref()
            .map(|(life, age, known)| life.model.remaining(*age, known));
        let seen = Some((&forecast.distribution, PrognosisFamily::Fleet));
        let combined = combine(prior.as_ref(), seen)?;
        let mut notes = Vec::new();
        if forecast.basis == Basis::WindowOnly {
            notes.push("window_only".to_owned());
        }
        if !combined.distribution.quantile(0.9).is_finite() {
            notes.push("beyond_cap".to_owned());
        }
        let mut contributions = Vec::new();
        if let Some((life, age, known)) = known
            && combined.family == PrognosisFamily::Combined
        {
            contributions = of_records(life, age, &known, cycle_s);
        }
        // Nothing was learned beyond the cap, so no more than that is promised.
        let life = combined.distribution.scaled(cycle_s);
        let most = fleet.cap() * cycle_s;
        let mut outlook = self.told(&life, combined.family, most, moment);
        outlook.detail.notes = notes;
        outlook.detail.contributions = contributions;
        Some(outlook)
    }

    fn explain(&self, state: &[u8], cycle_s: f64, detail: &mut ForecastDetail) {
        let fleet = self.model.fleet.as_ref();
        let why = fleet.and_then(|fleet| fleet.explain(&Self::state(fleet, state)));
        let Some(why) = why else {
            return;
        };
        let contributions = why.contributions.iter().take(CONTRIBUTIONS);
        let mut contributions: Vec<_> = contributions
            .map(|part| ForecastContribution {
                feature: match &part.signal {
                    Some(signal) => format!("{signal}:{}", aspect(part.aspect)),
                    None => aspect(part.aspect).to_owned(),
                },
                rul_s: part.cycles * cycle_s,
            })
            .collect();
        contributions.append(&mut detail.contributions);
        detail.contributions = contributions;
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
