//! From state to words: findings and views are made here, and only when somebody gets them.

use telemetry::{
    Assessment, CLOCK_SIGNAL, Condition, ConditionState, Contribution, Evidence, FailureMode,
    FanQuantile, ForecastDetail, HealthIndex, NoPrognosis, Prognosis, PrognosisFamily,
    PrognosisOutcome, SensorFault, SensorReport, SensorState, SensorVerdict, SignalName,
    Statistics, Timestamp,
};

use crate::{
    Config, DeviceView, FalseAlarms, NormalRange, SignalView,
    detection::{
        alarm::{ON, State as AlarmState},
        among::Among,
        bounds::{self, Raised},
        detector::Part,
        learned::{Learned, SMOOTHING},
        sensor::Verdict,
    },
    knowledge::Knowledge,
    monitor::State,
    news::{decimals_of, round},
    prognosis::{self, FAN},
    stage::{Stage, Watching, with_limits},
};

/// Decimals of scores, shares and fits.
const SCORE_DECIMALS: i32 = 3;
/// Decimals of deviations in spreads.
const DEVIATION_DECIMALS: i32 = 2;
/// Decimals of the health index.
const HEALTH_DECIMALS: i32 = 1;
/// Healthy spreads from the baseline to each end of the normal range.
const NORMAL_SPREADS: f64 = 3.0;

const fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

impl State {
    /// The condition as of the last sample.
    pub(crate) fn condition(&self, config: &Config, knowledge: &Knowledge) -> Condition {
        let (state, since, evidence) = match &self.stage {
            Stage::Learning(learned) => {
                let (from, _) = learned.span();
                let from = if learned.rows() == 0 { self.at } else { from };
                match self.bounds.raised() {
                    Raised {
                        state: AlarmState::Normal,
                        ..
                    } => {
                        let state = ConditionState::Learning {
                            rows: learned.rows(),
                            needed: learned.needed(),
                        };
                        (state, from, None)
                    }
                    raised => {
                        let evidence = self.early_evidence((raised, from), learned, config);
                        (told_state(raised.state), raised.since, Some(evidence))
                    }
                }
            }
            Stage::Watching(watching) => {
                let state = told_state(watching.state());
                let evidence = self.evidence(watching, config, knowledge);
                (state, watching.since(), Some(evidence))
            }
        };
        Condition {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: time(self.at),
            state,
            since: time(since),
            operating: self.operating.state(),
            evidence,
        }
    }

    /// What fixed limits rest on while there is no normal yet.
    fn early_evidence(
        &self,
        (raised, from): (Raised, i64),
        learned: &Learned,
        config: &Config,
    ) -> Evidence {
        let mode = self.early_mode.clone();
        let (failure_mode, fit) = mode.unwrap_or((FailureMode::unclassified(), 0.0));
        Evidence {
            model: bounds::NAME.to_owned(),
            window_from: time(raised.since),
            window_to: time(self.at),
            baseline_from: time(from),
            baseline_to: time(self.at),
            baseline_rows: learned.rows(),
            operating: self.operating.state(),
            statistics: Statistics {
                score: round(raised.score, SCORE_DECIMALS),
                on: ON,
                off: config.off,
            },
            views: self.bounds.told().collect(),
            failure_mode,
            failure_mode_fit: round(fit, SCORE_DECIMALS),
            contributions: Vec::new(),
            suspects: Vec::new(),
            peers: None,
        }
    }

    /// Deviations of the last sample as signatures are compared with them.
    fn deviations(&self, watching: &Watching) -> Vec<f64> {
        let z = watching.deviations();
        let signals = with_limits(z.len(), |slot| z[slot], &self.bounds);
        signals.chain(self.feature_deviations()).collect()
    }

    fn evidence(&self, watching: &Watching, config: &Config, knowledge: &Knowledge) -> Evidence {
        let (failure_mode, failure_mode_fit) = match (&watching.mode, watching.state()) {
            (Some(mode), _) => mode.clone(),
            (None, AlarmState::Watch) => {
                let signatures = knowledge.signatures();
                signatures.classify(&watching.metric, &self.deviations(watching))
            }
            (None, _) => (FailureMode::unclassified(), 0.0),
        };
        let (rows, from, to) = watching.learned;
        let suspects = watching.sensors.suspects();
        let names = self.signals.iter().enumerate();
        Evidence {
            model: if self.bounds.is_empty() {
                watching.views.names()
            } else {
                format!("{}+{}", watching.views.names(), bounds::NAME)
            },
            window_from: time(self.window_from(watching)),
            window_to: time(self.at),
            baseline_from: time(from),
            baseline_to: time(to),
            baseline_rows: rows,
            operating: watching.judged,
            statistics: Statistics {
                score: round(watching.score(), SCORE_DECIMALS),
                on: ON,
                off: config.off,
            },
            views: {
                let mut views = watching.views.told(self.budget.limit * knowledge.rarer());
                views.extend(self.bounds.told());
                views
            },
            failure_mode,
            failure_mode_fit: round(failure_mode_fit, SCORE_DECIMALS),
            contributions: self.contributions(watching),
            suspects: names
                .filter(|(slot, _)| suspects >> slot & 1 == 1)
                .map(|(_, name)| name.clone())
                .collect(),
            peers: watching.views.among().map(Among::peers),
        }
    }

    /// The window of a verdict: since the state began if it is beyond a limit, else the rows
    /// the smoothing averages over.
    fn window_from(&self, watching: &Watching) -> i64 {
        if watching.state() != AlarmState::Normal {
            return watching.since();
        }
        let span = self.framer.interval() * (2.0 / SMOOTHING - 1.0);
        self.at.saturating_sub(span as i64)
    }

    fn contributions(&self, watching: &Watching) -> Vec<Contribution> {
        let tell = |part: &Part| {
            let value = |value| round(value, decimals_of(part.spread));
            let range = normal_range(part);
            Contribution {
                signal: self.signals[part.slot].clone(),
                share: round(part.share, SCORE_DECIMALS),
                deviation: round(part.deviation, DEVIATION_DECIMALS),
                value: value(part.value),
                normal: value(part.normal),
                normal_low: range.low,
                normal_high: range.high,
            }
        };
        let mut contributions: Vec<Contribution> = watching.parts().iter().map(tell).collect();
        // Stable, so signals with equal shares stay in the order of their names.
        contributions.sort_by(|a, b| b.share.total_cmp(&a.share));
        contributions
    }

    /// The health as of the last sample; none while learning.
    pub(crate) fn assessment(&self, knowledge: &Knowledge) -> Option<Assessment> {
        let Stage::Watching(watching) = &self.stage else {
            return None;
        };
        let told = |score: f64| {
            let health = watching.health_of(score).get();
            HealthIndex::new(round(health, HEALTH_DECIMALS))
        };
        let deviations = self.deviations(watching);
        let fits = knowledge.signatures().fits(&watching.metric, &deviations);
        Some(Assessment {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: time(self.at),
            health: told(watching.score()),
            zone: watching.health().zone(),
            score: round(watching.score(), SCORE_DECIMALS),
            components: knowledge.components().assess(watching.score(), &fits, told),
        })
    }

    /// What there is to say about the sensors: those that are not good, and with `is_news`
    /// those that have just changed; none when all are good as they were.
    pub(crate) fn sensors(&self, is_news: bool) -> Option<SensorReport> {
        let mut verdicts: Vec<SensorVerdict> = Vec::new();
        if let Stage::Watching(watching) = &self.stage {
            let changed = if is_news {
                watching.sensors.changed()
            } else {
                0
            };
            let signals = self.signals.iter().enumerate();
            verdicts.extend(signals.filter_map(|(slot, signal)| {
                let verdict = watching.sensors.verdict(slot)?;
                let is_told = verdict.state != SensorState::Good || changed >> slot & 1 == 1;
                is_told.then(|| told_sensor(signal, verdict))
            }));
        }
        verdicts.extend(self.clock_verdict());
        (!verdicts.is_empty()).then(|| SensorReport {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: time(self.at),
            verdicts,
        })
    }

    /// What there is to say about the clock of the device.
    fn clock_verdict(&self) -> Option<SensorVerdict> {
        let clock = &self.clock;
        if clock.state() == SensorState::Good && !clock.is_new {
            return None;
        }
        let detail = clock.told().into_iter();
        let detail = detail.map(|(name, s)| (name.to_owned(), round(s, SCORE_DECIMALS)));
        Some(SensorVerdict {
            signal: SignalName::new(CLOCK_SIGNAL).ok()?,
            state: clock.state(),
            since: time(clock.since()),
            fault: Some(SensorFault::Clock),
            confidence: round(clock.confidence(), SCORE_DECIMALS),
            value: clock.lead_s().map(|s| round(s, SCORE_DECIMALS)),
            expected: clock.lead_s().map(|_| 0.0),
            detail: detail.collect(),
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
                detail: ForecastDetail {
                    fan: fan_of(&forecast),
                    ..ForecastDetail::default()
                },
                asset,
                device,
                at: time(said.at),
                model: forecast.model().to_owned(),
                family: PrognosisFamily::Trend,
                limit: Some(config.health_limit),
                rul_p10_s: forecast.p10(),
                rul_p50_s: forecast.p50(),
                rul_p90_s: forecast.p90(),
                loss_per_day: Some(forecast.loss_per_day),
                window_from: time(forecast.window_from),
                p_value: Some(forecast.p_value),
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
    pub(crate) fn view(&self, config: &Config, knowledge: &Knowledge) -> Option<DeviceView> {
        let newest = self.reorder.newest()?;
        let parts = match &self.stage {
            Stage::Learning(_) => Vec::new(),
            Stage::Watching(watching) => watching.parts(),
        };
        let normal = |slot: usize| {
            let part = parts.iter().find(|part| part.slot == slot)?;
            Some(normal_range(part))
        };
        let signal = |(slot, name): (usize, &telemetry::SignalName)| SignalView {
            signal: name.clone(),
            last: self.framer.last(slot).map(|(at, value)| (time(at), value)),
            normal: normal(slot),
            features: self.features[slot].values(),
            is_counter: match &self.stage {
                Stage::Learning(_) => false,
                Stage::Watching(watching) => watching.counters >> slot & 1 == 1,
            },
        };
        Some(DeviceView {
            device: self.device.clone(),
            condition: self.condition(config, knowledge),
            assessment: self.assessment(knowledge),
            sensors: self.sensors(false),
            prognosis: self.prognosis(config),
            false_alarms: FalseAlarms {
                measured: self.budget.rate(),
                budget_per_month: config.alarms_per_asset_month,
                limit: self.budget.limit * knowledge.rarer(),
            },
            last_measured_at: time(newest),
            signals: self.signals.iter().enumerate().map(signal).collect(),
        })
    }
}

fn told_sensor(signal: &SignalName, verdict: &Verdict) -> SensorVerdict {
    let number = |value: f64| value.is_finite().then_some(value);
    SensorVerdict {
        signal: signal.clone(),
        state: verdict.state,
        since: time(verdict.since),
        fault: verdict.fault,
        confidence: round(verdict.confidence, SCORE_DECIMALS),
        value: number(verdict.value),
        expected: number(verdict.expected),
        detail: std::collections::BTreeMap::new(),
    }
}

fn told_state(state: AlarmState) -> ConditionState {
    match state {
        AlarmState::Normal => ConditionState::Normal,
        AlarmState::Watch => ConditionState::Watch,
        AlarmState::Alarm => ConditionState::Alarm,
    }
}

/// Where a signal lies while all is well, told to a thousandth of its spread.
fn normal_range(part: &Part) -> NormalRange {
    let decimals = decimals_of(part.spread);
    let reach = NORMAL_SPREADS * part.spread;
    NormalRange {
        low: round(part.normal - reach, decimals),
        high: round(part.normal + reach, decimals),
    }
}

/// The fan of a forecast.
fn fan_of(forecast: &prognosis::Forecast) -> Vec<FanQuantile> {
    let fan = FAN.iter().zip(forecast.fan);
    fan.map(|(&level, rul_s)| FanQuantile { level, rul_s })
        .collect()
}
