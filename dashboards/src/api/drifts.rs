//! `/drifts`: do detectors still see what they learned from?
//!
//! Looked at once in a while by whoever watches ([`DriftSources::look`]) and kept on the
//! [`EventBus`]. A fault moves signals too, so what is found on a machine with a standing alarm says
//! so and is neither counted nor told.
//!
//! [`DriftSources::look`]: crate::DriftSources::look
//! [`EventBus`]: crate::EventBus

use std::time::Duration;

use analytics::drift::Word;
use axum::{Json, extract::State};
use serde::Serialize;
use telemetry::{AssetId, AssetModel, AssetModelId, DeviceId, SignalName, Timestamp};
use utoipa::ToSchema;

use super::{Shared, page::Page};
use crate::labels::{Text, signal_label};

/// An input or the score of a detector, as it is now against as it was learned.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DetectionDrift {
    /// The asset.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// What kind of machine it is.
    #[schema(value_type = String)]
    pub asset_model: AssetModelId,
    /// The device that measures.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// The detectors and their versions.
    pub model: String,
    /// What was looked at.
    pub what: DriftOf,
    /// The population stability index, in bins at the deciles of the reference, without what chance
    /// and the quantity's own unrest explain; 0 or above.
    pub psi: f64,
    /// What that means.
    pub word: DriftWord,
    /// Since when it has drifted, in event time, to the day, four weeks back at most; null unless
    /// it has.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// What was learned from; of the score, what it said right after that.
    pub reference: DriftSample,
    /// The last week up to the newest reading.
    pub recent: DriftSample,
    /// Whether a fault stands on the asset, which moves signals by itself: such a drift is not
    /// counted and nobody is told.
    pub alarm_stands: bool,
    /// What it means and what to do.
    pub words: Text,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct DriftOf {
    /// `signal` or `score`.
    pub kind: &'static str,
    /// The signal, when it is one.
    #[schema(value_type = Option<String>)]
    pub signal: Option<SignalName>,
}

impl DriftOf {
    /// A signal, or the score.
    pub fn new(signal: Option<SignalName>) -> Self {
        Self {
            kind: if signal.is_some() { "signal" } else { "score" },
            signal,
        }
    }
}

/// What an index means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftWord {
    /// As it was learned: an index below 0.1.
    Stable,
    /// On its way elsewhere, or wider than it was: 0.1 to 0.25, or too little was learned from to
    /// say more.
    Moving,
    /// Elsewhere: above 0.25.
    Drifted,
}

impl From<Word> for DriftWord {
    fn from(word: Word) -> Self {
        match word {
            Word::Stable => Self::Stable,
            Word::Moving => Self::Moving,
            Word::Drifted => Self::Drifted,
        }
    }
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DriftSample {
    /// The first event time.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// The last event time.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Single readings, evenly over that time while the machine ran; of the score, hours.
    pub points: usize,
}

impl DetectionDrift {
    /// Whether somebody has to be told: it drifted, and no fault explains it.
    pub fn counts(&self) -> bool {
        self.word == DriftWord::Drifted && !self.alarm_stands
    }

    /// What it means and what to do. A reference shorter than `whole` is told as such.
    pub(crate) fn in_words(&self, model: Option<&AssetModel>, whole: Duration) -> Text {
        let name = self.what.signal.as_ref().map_or_else(
            || Text::new("The detection score", "检测评分"),
            |signal| signal_label(model, signal),
        );
        let psi = self.psi;
        let (mut en, mut zh) = match self.word {
            DriftWord::Stable => (
                format!("{} is as it was learned.", name.en),
                format!("{}与学习时一致。", name.zh),
            ),
            DriftWord::Moving => (
                format!(
                    "{} is moving away from what the detectors learned from (index {psi:.2}). \
                     Look again in some days.",
                    name.en
                ),
                format!(
                    "{}正在偏离检测器学习时的分布（指数 {psi:.2}）。请过几天再看。",
                    name.zh
                ),
            ),
            DriftWord::Drifted => (
                format!(
                    "{} is no longer what the detectors learned from (index {psi:.2}, drift \
                     from 0.25), so alarms of this device say less.",
                    name.en
                ),
                format!(
                    "{}已不同于检测器学习时的分布（指数 {psi:.2}，超过 0.25 即为漂移），该设备的报警可信度下降。",
                    name.zh
                ),
            ),
        };
        let mut add = |(more_en, more_zh): (&str, &str)| {
            en.push(' ');
            en.push_str(more_en);
            zh.push_str(more_zh);
        };
        if self.word != DriftWord::Stable && self.alarm_stands {
            add((
                "A fault stands on this machine and moves its values by itself: see to the fault \
                 first, and do not accept this as normal.",
                "该机器存在未消除的故障，数值会随之变化：请先处理故障，不要将其接受为新的正常状态。",
            ));
        } else if self.word == DriftWord::Drifted {
            add((
                "Look at the sensor, its unit and mounting, and at what the process asks of the \
                 machine. When the machine is well and runs like this from now on, accept it as \
                 the new normal.",
                "请检查传感器及其单位与安装，以及工艺对机器的要求。若机器状态良好且今后均如此运行，请将其接受为新的正常状态。",
            ));
        }
        let learned = self.reference.to.since(self.reference.from);
        if self.word != DriftWord::Stable && learned < whole {
            add((
                "Its normal was learned in less than a day: give it more rows \
                 (analytics.learning_rows) before it is learned anew.",
                "其正常状态的学习时间不足一天：重新学习前请增加学习行数（analytics.learning_rows）。",
            ));
        }
        Text { en, zh }
    }
}

/// List whether detectors still see what they learned from, by input and score, what lies farthest
/// away first: the worst thousand. Nothing is listed before the first look after a start, and
/// nothing that was learned or measured too shortly to be judged.
#[utoipa::path(get, path = "/drifts", tag = "rules",
    responses((status = 200, body = Page<DetectionDrift>)))]
pub(crate) async fn list(State(api): State<Shared>) -> Json<Page<DetectionDrift>> {
    Json(Page {
        items: api.parts.events.detection_drifts(),
        next: None,
    })
}
