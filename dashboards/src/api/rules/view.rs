//! Rules as the API shows them.

use alerting::{
    rules::{Changes, Problem as TextProblem, RuleVersion, SetVersion},
    scoreboard::{Recalibration, Setting, recalibrate::Lever},
};
use serde::Serialize;
use telemetry::{AssetId, AssetModelId, FailureMode, RuleId, Timestamp};
use utoipa::ToSchema;

use super::stored;
use crate::{
    api::recalibrations::{RecalibrationView, WaitView},
    labels::Text,
};

/// A rule in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleView {
    /// Its id.
    #[schema(value_type = String)]
    id: RuleId,
    /// Its name.
    name: Text,
    /// `threshold`, `rate`, `no_data`, `state`, `count`, `zone`, `score`, `health`, `sensor` or
    /// `failure_within`.
    kind: String,
    /// Whether it judges.
    enabled: bool,
    /// The kinds of machines it is for; empty is every kind.
    #[schema(value_type = Vec<String>)]
    asset_models: Vec<AssetModelId>,
    /// The assets it is for; empty is every asset of those kinds.
    #[schema(value_type = Vec<String>)]
    assets: Vec<AssetId>,
    /// `sensor`, `operating` or `machine`.
    verdict: String,
    /// What it says is failing.
    #[schema(value_type = String)]
    failure_mode: FailureMode,
    /// `watch`, `warning` or `critical`.
    severity: String,
    /// Its version, counted from 1.
    version: u32,
    /// `file` or `api`: where this version came from.
    source: &'static str,
    /// When this version was made.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// Who made it.
    changed_by: String,
    /// For how many assets it differs.
    overrides: usize,
    /// How far its limit lies from where it was written, by kind of machine; 1 is not listed.
    factors: Vec<FactorView>,
    /// How long its alerts wait for themselves to pass, by kind of machine and failure mode.
    waits: Vec<WaitView>,
    /// The whole rule: what must hold is in `condition`.
    #[schema(value_type = Object)]
    rule: serde_json::Value,
}

/// How far a limit was moved.
#[derive(Debug, Serialize, ToSchema)]
pub struct FactorView {
    /// On assets of this kind.
    #[schema(value_type = String)]
    asset_model: AssetModelId,
    /// Above 1 is rarer.
    factor: f64,
}

impl RuleView {
    pub(super) fn of(version: &RuleVersion, settings: &[Setting]) -> Option<Self> {
        let rule = stored(version.text.as_deref())?;
        let own = settings
            .iter()
            .filter(|one| one.source.rule() == Some(&rule.id));
        let limits = own.clone().filter(|one| one.lever == Lever::Limit);
        let factor = |one: &Setting| FactorView {
            asset_model: one.asset_model.clone(),
            factor: one.value,
        };
        Some(Self {
            factors: limits.map(factor).collect(),
            waits: own.filter_map(WaitView::of).collect(),
            name: Text {
                en: rule.name.en.clone(),
                zh: rule.name.zh.clone(),
            },
            kind: rule.condition.kind().to_owned(),
            enabled: rule.enabled,
            asset_models: rule.asset_models.clone(),
            assets: rule.assets.clone(),
            verdict: rule.verdict.to_string(),
            failure_mode: rule.failure_mode.clone(),
            severity: rule.severity.to_string(),
            version: version.version,
            source: version.author.source.as_str(),
            changed_at: version.author.at,
            changed_by: version.author.by.clone(),
            overrides: rule.overrides.len(),
            rule: serde_json::to_value(&rule).unwrap_or_default(),
            id: rule.id,
        })
    }
}

/// A rule with everything about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleDetail {
    /// As in the list; null when it was retired.
    rule: Option<RuleView>,
    /// Its text; null when it was retired.
    text: Option<String>,
    /// Every version, newest first.
    history: Vec<RuleVersionView>,
    /// What its orders made of it, newest first.
    recalibrations: Vec<RecalibrationView>,
}

/// A version of a rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleVersionView {
    /// Counted from 1.
    version: u32,
    /// The version of all rules it came with.
    set_version: u32,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who made it.
    by: String,
    /// Why.
    reason: String,
    /// Its text; null when this version retired it.
    text: Option<String>,
}

impl RuleDetail {
    pub(super) fn of(
        history: &[RuleVersion],
        settings: &[Setting],
        moved: Vec<Recalibration>,
    ) -> Self {
        let newest = history.first();
        let version = |one: &RuleVersion| RuleVersionView {
            version: one.version,
            set_version: one.set_version,
            at: one.author.at,
            by: one.author.by.clone(),
            reason: one.author.reason.clone(),
            text: one.text.clone(),
        };
        Self {
            rule: newest.and_then(|newest| RuleView::of(newest, settings)),
            text: newest.and_then(|newest| newest.text.clone()),
            history: history.iter().map(version).collect(),
            recalibrations: moved.into_iter().map(RecalibrationView::from).collect(),
        }
    }
}

/// The text of all rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextView {
    /// The version.
    pub(super) version: u32,
    /// TOML with `[[rule]]` tables.
    pub(super) text: String,
}

/// Which rules a change touches.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ChangesView {
    /// Not in force before.
    #[schema(value_type = Vec<String>)]
    added: Vec<RuleId>,
    /// In force with another text.
    #[schema(value_type = Vec<String>)]
    changed: Vec<RuleId>,
    /// In force no longer.
    #[schema(value_type = Vec<String>)]
    removed: Vec<RuleId>,
}

impl From<Changes> for ChangesView {
    fn from(changes: Changes) -> Self {
        Self {
            added: changes.added,
            changed: changes.changed,
            removed: changes.removed,
        }
    }
}

/// A version of all rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetVersionView {
    /// Counted from 1.
    version: u32,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who made it.
    by: String,
    /// Why.
    reason: String,
    /// `file` or `api`.
    source: &'static str,
    /// Which rules it touched.
    changes: ChangesView,
}

impl From<SetVersion> for SetVersionView {
    fn from(one: SetVersion) -> Self {
        Self {
            version: one.version,
            at: one.author.at,
            by: one.author.by,
            reason: one.author.reason,
            source: one.author.source.as_str(),
            changes: one.changes.into(),
        }
    }
}

/// What a check of a text found.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValidationView {
    /// Whether it may be put in force.
    ok: bool,
    /// How many rules it holds; 0 when it is wrong.
    rules: usize,
    /// What is wrong.
    errors: Vec<TextErrorView>,
    /// What it would change.
    changes: ChangesView,
}

/// Something wrong in a text.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextErrorView {
    /// The line, counted from 1.
    line: u32,
    /// The column, counted from 1.
    column: u32,
    /// What is wrong.
    message: String,
}

impl ValidationView {
    pub(super) fn good(rules: usize, changes: Changes) -> Self {
        Self {
            ok: true,
            rules,
            errors: Vec::new(),
            changes: changes.into(),
        }
    }

    pub(super) fn bad(problems: Vec<TextProblem>) -> Self {
        let error = |one: TextProblem| TextErrorView {
            line: one.line,
            column: one.column,
            message: one.message,
        };
        Self {
            ok: false,
            rules: 0,
            errors: problems.into_iter().map(error).collect(),
            changes: ChangesView::default(),
        }
    }
}
