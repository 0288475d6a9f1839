//! From state to words: findings and views are made here, and only when somebody gets them.

use telemetry::{
    Assessment, Condition, ConditionState, Contribution, Evidence, FailureMode, HealthIndex,
    NoPrognosis, OperatingState, Prognosis, PrognosisOutcome, Statistics, Timestamp, ViewScore,
};

use crate::{
    Config, DeviceView, NormalRange, SignalView,
    detection::{
        alarm::{ON, State as AlarmState},
        scorer::SMOOTHING,
        signature::Signatures,
    },
    monitor::State,
    news::{decimals_of, round},
    prognosis,
    stage::{Stage, Watching},
};

/// The detector and its version in evidence.
const MODEL: &str = "pca-t2-q/1";
/// Decimals of scores, shares and fits.
const SCORE_DECIMALS: i32 = 3;
/// Decimals of deviations in spreads.
const DEVIATION_DECIMALS: i32 = 2;
/// Decimals of the health index.
const HEALTH_DECIMALS: i32 = 1;
/// Healthy spreads from the baseline to each end of the normal range.
const NORMAL_SPREADS: f64 = 3.0;

fn view(name: &str, score: f64, limit: f64) -> ViewScore {
    ViewScore {
        view: name.to_owned(),
        version: 1,
        score: round(score, SCORE_DECIMALS),
        limit: round(limit, SCORE_DECIMALS),
    }
}

const fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

impl State {
    /// The condition as of the last sample.
    pub(crate) fn condition(&self, config: &Config, signatures: &Signatures) -> Condition {
        let (state, since, evidence) = match &self.stage {
            Stage::Learning { learning, .. } => {
                let state = ConditionState::Learning {
                    rows: learning.rows,
                    needed: learning.needed,
                };
                let since = if learning.rows == 0 {
                    self.at
                } else {
                    learning.from
                };
                (state, since, None)
            }
            Stage::Watching(watching) => {
                let state = match watching.alarm.state {
                    AlarmState::Normal => ConditionState::Normal,
                    AlarmState::Watch => ConditionState::Watch,
                    AlarmState::Alarm => ConditionState::Alarm,
                };
                let evidence = self.evidence(watching, config, signatures);
                (state, watching.alarm.since, Some(evidence))
            }
        };
        Condition {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: time(self.at),
            state,
            since: time(since),
            operating: OperatingState::Unknown,
            evidence,
        }
    }

    fn evidence(&self, watching: &Watching, config: &Config, signatures: &Signatures) -> Evidence {
        let baseline = &watching.scorer.baseline;
        let last = watching.scorer.last;
        let deviations = watching.scorer.deviations().iter().copied();
        let (failure_mode, failure_mode_fit) = match (&watching.mode, watching.alarm.state) {
            (Some(mode), _) => mode.clone(),
            (None, AlarmState::Watch) => signatures.classify(deviations),
            (None, _) => (FailureMode::unclassified(), 0.0),
        };
        Evidence {
            model: MODEL.to_owned(),
            window_from: time(self.window_from(watching)),
            window_to: time(self.at),
            baseline_from: time(baseline.from),
            baseline_to: time(baseline.to),
            baseline_rows: baseline.rows,
            operating: OperatingState::Unknown,
            statistics: Statistics {
                score: round(last.score, SCORE_DECIMALS),
                on: ON,
                off: config.off,
            },
            views: vec![
                view("t2", last.t2, baseline.t2_limit),
                view("q", last.q, baseline.q_limit),
            ],
            failure_mode,
            failure_mode_fit: round(failure_mode_fit, SCORE_DECIMALS),
            contributions: self.contributions(watching),
            suspects: Vec::new(),
        }
    }

    /// The window of a verdict: since the state began if it is beyond a limit, else the rows
    /// the smoothing averages over.
    fn window_from(&self, watching: &Watching) -> i64 {
        if watching.alarm.state != AlarmState::Normal {
            return watching.alarm.since;
        }
        let span = self.framer.interval() * (2.0 / SMOOTHING - 1.0);
        self.at.saturating_sub(span as i64)
    }

    fn contributions(&self, watching: &Watching) -> Vec<Contribution> {
        let shares = watching.scorer.shares();
        let mut contributions: Vec<Contribution> = shares
            .iter()
            .map(|share| {
                let decimals = decimals_of(share.spread);
                let value = |value| round(value, decimals);
                let reach = NORMAL_SPREADS * share.spread;
                Contribution {
                    signal: self.signals[share.slot].clone(),
                    share: round(share.share, SCORE_DECIMALS),
                    deviation: round(share.z, DEVIATION_DECIMALS),
                    value: value(share.value),
                    normal: value(share.base),
                    normal_low: value(share.base - reach),
                    normal_high: value(share.base + reach),
                }
            })
            .collect();
        // Stable, so signals with equal shares stay in slot order.
        contributions.sort_by(|a, b| b.share.total_cmp(&a.share));
        contributions
    }

    /// The health as of the last sample; none while learning.
    pub(crate) fn assessment(&self) -> Option<Assessment> {
        let Stage::Watching(watching) = &self.stage else {
            return None;
        };
        let health = watching.health();
        Some(Assessment {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: time(self.at),
            health: HealthIndex::new(round(health.get(), HEALTH_DECIMALS)),
            zone: health.zone(),
            score: round(watching.scorer.last.score, SCORE_DECIMALS),
            components: Vec::new(),
        })
    }

    /// The last prognosis or why there is none; nothing while learning.
    pub(crate) fn prognosis(&self, config: &Config) -> Option<PrognosisOutcome> {
        let Stage::Watching(watching) = &self.stage else {
            return None;
        };
        let said = watching.prognoser.said;
        let (asset, device) = (self.asset.clone(), self.device.clone());
        Some(match said.what {
            Ok(forecast) => PrognosisOutcome::Forecast(Prognosis {
                asset,
                device,
                at: time(said.at),
                model: prognosis::MODEL.to_owned(),
                limit: config.health_limit,
                rul_p10_s: forecast.p10,
                rul_p50_s: forecast.p50,
                rul_p90_s: forecast.p90,
                loss_per_day: forecast.loss_per_day,
                window_from: time(forecast.window_from),
                p_value: forecast.p_value,
            }),
            Err(reason) => PrognosisOutcome::None(NoPrognosis {
                asset,
                device,
                at: time(said.at),
                reason: reason.as_str().to_owned(),
            }),
        })
    }

    /// Everything known now; none before the first row was believed.
    pub(crate) fn view(&self, config: &Config, signatures: &Signatures) -> Option<DeviceView> {
        let newest = self.reorder.newest()?;
        let ranges = match &self.stage {
            Stage::Learning { .. } => Vec::new(),
            Stage::Watching(watching) => watching.scorer.shares(),
        };
        let normal = |slot: usize| {
            let share = ranges.iter().find(|share| share.slot == slot)?;
            Some(NormalRange {
                low: share.base - NORMAL_SPREADS * share.spread,
                high: share.base + NORMAL_SPREADS * share.spread,
            })
        };
        let signal = |(slot, name): (usize, &telemetry::SignalName)| SignalView {
            signal: name.clone(),
            last: self.framer.last(slot).map(|(at, value)| (time(at), value)),
            normal: normal(slot),
        };
        Some(DeviceView {
            device: self.device.clone(),
            condition: self.condition(config, signatures),
            assessment: self.assessment(),
            prognosis: self.prognosis(config),
            last_measured_at: time(newest),
            signals: self.signals.iter().enumerate().map(signal).collect(),
        })
    }
}
