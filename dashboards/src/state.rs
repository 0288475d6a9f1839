//! The one word for how an asset is, out of what its devices say.
//!
//! Each device gives a word of its own: while it learns, `learning`; then the worse of its
//! condition and the zone of its health index, where an alarm is a warning at least. The
//! asset's word is the worst of its devices'. A device that never sent anything says
//! nothing, and when none ever did the asset has `no_data`.
//!
//! `offline` (every device is known to be disconnected) hides `healthy` and `learning` only:
//! a machine that fell silent in an alarm must not sink in the list.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use telemetry::{Assessment, Condition, ConditionState, Prognosis, PrognosisOutcome, Zone};
use utoipa::ToSchema;

use crate::fleet::DeviceLive;

/// How an asset is, in one word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AssetState {
    /// Nothing was ever received.
    NoData,
    /// Inside its limits.
    Healthy,
    /// Its devices are disconnected.
    Offline,
    /// The baseline is being learned.
    Learning,
    /// Worth an eye.
    Watch,
    /// Plan the work.
    Warning,
    /// Act soon.
    Critical,
}

impl AssetState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::NoData,
        Self::Healthy,
        Self::Offline,
        Self::Learning,
        Self::Watch,
        Self::Warning,
        Self::Critical,
    ];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::Healthy => "healthy",
            Self::Offline => "offline",
            Self::Learning => "learning",
            Self::Watch => "watch",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What one device adds to the state of its asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceWord {
    /// Its own state; none when it never sent anything.
    pub state: Option<AssetState>,
    /// Whether it is connected, when that is known.
    pub online: Option<bool>,
}

/// The word of one device. `has_data` tells of stored readings when analytics has not spoken
/// yet, as in the first moments after a start.
pub fn device_word(live: Option<&DeviceLive>, has_data: bool) -> DeviceWord {
    let view = live.and_then(|live| live.view.as_ref());
    let received = live.is_some_and(|live| live.last_received_at.is_some());
    let state = match view {
        Some(view) => Some(spoken(&view.condition, view.assessment.as_ref())),
        None => (has_data || received).then_some(AssetState::Learning),
    };
    DeviceWord {
        state,
        online: live.and_then(|live| live.online),
    }
}

fn spoken(condition: &Condition, assessment: Option<&Assessment>) -> AssetState {
    let by_condition = match condition.state {
        ConditionState::Learning { .. } => return AssetState::Learning,
        ConditionState::Normal => AssetState::Healthy,
        ConditionState::Watch => AssetState::Watch,
        ConditionState::Alarm => AssetState::Warning,
    };
    let by_health = match assessment.map(|assessment| assessment.zone) {
        None | Some(Zone::Healthy) => AssetState::Healthy,
        Some(Zone::Watch) => AssetState::Watch,
        Some(Zone::Warning) => AssetState::Warning,
        Some(Zone::Critical) => AssetState::Critical,
    };
    by_condition.max(by_health)
}

/// The state of an asset out of the words of its devices.
pub fn merge(words: &[DeviceWord]) -> AssetState {
    let Some(worst) = words.iter().filter_map(|word| word.state).max() else {
        return AssetState::NoData;
    };
    let offline = words.iter().all(|word| word.online == Some(false));
    if offline && worst < AssetState::Watch {
        AssetState::Offline
    } else {
        worst
    }
}

/// The worst condition among the devices of an asset: the highest rank, then the highest
/// score, then the one that has lasted longest.
pub fn worst_condition<'a>(
    conditions: impl Iterator<Item = &'a Condition>,
) -> Option<&'a Condition> {
    conditions.max_by(|a, b| {
        let score = |condition: &Condition| {
            let evidence = condition.evidence.as_ref();
            evidence.map_or(f64::NEG_INFINITY, |evidence| evidence.statistics.score)
        };
        rank(a.state)
            .cmp(&rank(b.state))
            .then_with(|| score(a).total_cmp(&score(b)))
            .then_with(|| b.since.cmp(&a.since))
    })
}

fn rank(state: ConditionState) -> u8 {
    match state {
        ConditionState::Normal => 0,
        ConditionState::Learning { .. } => 1,
        ConditionState::Watch => 2,
        ConditionState::Alarm => 3,
    }
}

/// The lowest health among the devices of an asset.
pub fn worst_health<'a>(
    assessments: impl Iterator<Item = &'a Assessment>,
) -> Option<&'a Assessment> {
    assessments.min_by(|a, b| a.health.get().total_cmp(&b.health.get()))
}

/// The prognosis that runs out first; when there is none, the latest reason why.
pub fn first_prognosis<'a>(
    outcomes: impl Iterator<Item = &'a PrognosisOutcome>,
) -> Option<&'a PrognosisOutcome> {
    let ends = |prognosis: &Prognosis| prognosis.date_of(prognosis.rul_p50_s);
    outcomes.min_by(|a, b| match (a, b) {
        (PrognosisOutcome::Forecast(a), PrognosisOutcome::Forecast(b)) => ends(a).cmp(&ends(b)),
        (PrognosisOutcome::Forecast(_), PrognosisOutcome::None(_)) => Ordering::Less,
        (PrognosisOutcome::None(_), PrognosisOutcome::Forecast(_)) => Ordering::Greater,
        (PrognosisOutcome::None(a), PrognosisOutcome::None(b)) => b.at.cmp(&a.at),
    })
}

/// The learning that is furthest from its end, as `(rows, needed)`.
pub fn slowest_learning<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Option<(u32, u32)> {
    conditions
        .filter_map(|condition| match condition.state {
            ConditionState::Learning { rows, needed } => Some((rows, needed)),
            _ => None,
        })
        .min_by_key(|&(rows, needed)| std::cmp::Reverse(needed.saturating_sub(rows)))
}

#[cfg(test)]
mod tests {
    use telemetry::{
        AssetId, DeviceId, ForecastDetail, HealthIndex, NoPrognosis, PrognosisFamily, Timestamp,
    };

    use super::{AssetState::*, *};

    fn condition(state: ConditionState) -> Condition {
        Condition {
            asset: AssetId::new("pump-1").unwrap(),
            device: DeviceId::new("dev-1").unwrap(),
            at: Timestamp::from_secs(60),
            state,
            since: Timestamp::EPOCH,
            operating: telemetry::OperatingState::Unknown,
            evidence: None,
        }
    }

    fn assessment(health: f64) -> Assessment {
        let health = HealthIndex::new(health);
        Assessment {
            asset: AssetId::new("pump-1").unwrap(),
            device: DeviceId::new("dev-1").unwrap(),
            at: Timestamp::EPOCH,
            health,
            zone: health.zone(),
            score: 0.0,
            components: Vec::new(),
        }
    }

    const LEARNING: ConditionState = ConditionState::Learning { rows: 1, needed: 9 };

    #[test]
    fn a_device_says_the_worse_of_condition_and_health() {
        for (state, health, expected) in [
            (LEARNING, None, Learning),
            (LEARNING, Some(10.0), Learning),
            (ConditionState::Normal, Some(95.0), Healthy),
            (ConditionState::Normal, Some(70.0), Watch),
            (ConditionState::Watch, Some(95.0), Watch),
            (ConditionState::Alarm, Some(95.0), Warning),
            (ConditionState::Alarm, Some(45.0), Warning),
            (ConditionState::Alarm, Some(10.0), Critical),
            (ConditionState::Normal, None, Healthy),
        ] {
            let health = health.map(assessment);
            let said = spoken(&condition(state), health.as_ref());
            assert_eq!(said, expected, "{state:?} {health:?}");
        }
    }

    #[test]
    fn an_asset_is_as_bad_as_its_worst_device() {
        let word = |state: Option<AssetState>, online: Option<bool>| DeviceWord { state, online };
        let (on, off) = (Some(true), Some(false));
        for (words, expected) in [
            (&[][..], NoData),
            (&[word(None, None)], NoData),
            (&[word(None, off)], NoData),
            (&[word(Some(Healthy), None)], Healthy),
            (&[word(Some(Healthy), off)], Offline),
            (&[word(Some(Learning), off)], Offline),
            (&[word(Some(Warning), off)], Warning),
            (
                &[word(Some(Healthy), off), word(Some(Healthy), None)],
                Healthy,
            ),
            (&[word(Some(Healthy), off), word(None, on)], Healthy),
            (&[word(Some(Healthy), off), word(None, off)], Offline),
            (
                &[word(Some(Healthy), on), word(Some(Learning), on)],
                Learning,
            ),
            (
                &[word(Some(Critical), on), word(Some(Learning), on)],
                Critical,
            ),
            (
                &[word(Some(Watch), None), word(Some(Warning), None)],
                Warning,
            ),
            (&[word(Some(Watch), None), word(None, None)], Watch),
        ] {
            assert_eq!(merge(words), expected, "{words:?}");
        }
    }

    #[test]
    fn readings_without_a_verdict_count_as_learning() {
        assert_eq!(device_word(None, false).state, None);
        assert_eq!(device_word(None, true).state, Some(Learning));
        let heard = DeviceLive {
            last_received_at: Some(Timestamp::EPOCH),
            ..DeviceLive::default()
        };
        assert_eq!(device_word(Some(&heard), false).state, Some(Learning));
        let only_connected = DeviceLive {
            online: Some(true),
            ..DeviceLive::default()
        };
        assert_eq!(device_word(Some(&only_connected), false).state, None);
    }

    #[test]
    fn the_worst_device_speaks_for_the_asset() {
        let all = [
            condition(ConditionState::Normal),
            condition(ConditionState::Alarm),
            condition(LEARNING),
        ];
        let worst = worst_condition(all.iter()).unwrap();
        assert_eq!(worst.state, ConditionState::Alarm);
        let health = [assessment(90.0), assessment(40.0), assessment(60.0)];
        let worst = worst_health(health.iter()).unwrap();
        assert!((worst.health.get() - 40.0).abs() < f64::EPSILON);
        let learning = [
            condition(ConditionState::Learning {
                rows: 90,
                needed: 100,
            }),
            condition(ConditionState::Learning {
                rows: 10,
                needed: 100,
            }),
        ];
        assert_eq!(slowest_learning(learning.iter()), Some((10, 100)));
        assert_eq!(slowest_learning(all[..2].iter()), None);
    }

    #[test]
    fn the_prognosis_that_ends_first_is_shown_and_a_reason_only_without_any() {
        let forecast = |at: i64, p50: f64| {
            PrognosisOutcome::Forecast(Prognosis {
                asset: AssetId::new("pump-1").unwrap(),
                device: DeviceId::new("dev-1").unwrap(),
                at: Timestamp::from_secs(at),
                model: "theil-sen/1".to_owned(),
                family: PrognosisFamily::Trend,
                limit: Some(30.0),
                rul_p10_s: p50 / 2.0,
                rul_p50_s: p50,
                rul_p90_s: p50 * 2.0,
                loss_per_day: Some(1.0),
                window_from: Timestamp::EPOCH,
                p_value: Some(0.01),
                detail: ForecastDetail::default(),
            })
        };
        let none = |at: i64, reason: &str| {
            PrognosisOutcome::None(NoPrognosis {
                asset: AssetId::new("pump-1").unwrap(),
                device: DeviceId::new("dev-1").unwrap(),
                at: Timestamp::from_secs(at),
                reason: reason.to_owned(),
            })
        };
        let all = [
            none(9, "recovered"),
            forecast(5, 1000.0),
            forecast(500, 400.0),
        ];
        assert_eq!(first_prognosis(all.iter()), Some(&all[2]));
        let reasons = [none(1, "too_little_history"), none(2, "recovered")];
        assert_eq!(first_prognosis(reasons.iter()), Some(&reasons[1]));
    }
}
