//! `/job-plans`: what is done about each failure mode of each kind of machine.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use service::JobPlan;
use telemetry::{AssetModelId, FailureMode};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    list::{Listed, Listing, PageParams},
    page::Page,
    table::Cell,
};
use crate::labels::Text;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlanFilter {
    /// Only of this kind of machine.
    #[param(value_type = Option<String>)]
    asset_model: Option<AssetModelId>,
    /// Only about this failure mode.
    #[param(value_type = Option<String>)]
    failure_mode: Option<FailureMode>,
}

/// What is done about a failure mode.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JobPlanView {
    /// Kind of machine and failure mode.
    pub id: String,
    /// Rises with each change.
    pub version: u32,
    /// The kind of machine; null fits any.
    #[schema(value_type = Option<String>)]
    pub asset_model: Option<AssetModelId>,
    /// What it is done about.
    #[schema(value_type = String)]
    pub failure_mode: FailureMode,
    /// What is done, in a few words.
    pub name: Text,
    /// How many people do it together.
    pub crew: u32,
    /// How long it takes, in seconds.
    pub duration_s: u64,
    /// What the people have to know.
    pub skills: Vec<String>,
    /// How long what is renewed usually lasts, in days; null when nothing is renewed.
    pub life_days: Option<f64>,
    /// What a failure costs with all that follows; null leaves it to the asset model.
    pub failure_cost: Option<f64>,
    /// What can hurt people.
    pub safety: Vec<Text>,
    /// What is done, in order.
    pub steps: Vec<PlanStepView>,
    /// What is needed.
    pub parts: Vec<PlanPartView>,
    /// The price of all parts.
    pub parts_cost: f64,
}

/// One step of a plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanStepView {
    /// How long it takes.
    pub minutes: u32,
    /// What to do.
    pub text: Text,
}

/// A part that a plan needs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanPartView {
    /// Its number or designation.
    pub part: String,
    /// Its name.
    pub name: Text,
    /// How many, or how much.
    pub quantity: f64,
    /// The price of one.
    pub unit_cost: f64,
}

impl From<&JobPlan> for JobPlanView {
    fn from(plan: &JobPlan) -> Self {
        let steps = plan.steps.iter().map(|step| PlanStepView {
            minutes: step.minutes,
            text: Text::of(&step.text),
        });
        let parts = plan.parts.iter().map(|part| PlanPartView {
            part: part.part.clone(),
            name: Text::of(&part.name),
            quantity: part.quantity,
            unit_cost: part.unit_cost,
        });
        Self {
            id: plan.id.clone(),
            version: plan.version,
            asset_model: plan.asset_model.clone(),
            failure_mode: plan.failure_mode.clone(),
            name: Text::of(&plan.name),
            crew: plan.crew,
            duration_s: plan.duration_s,
            skills: plan.skills.clone(),
            life_days: plan.life_days,
            failure_cost: plan.failure_cost,
            safety: plan.safety.iter().map(Text::of).collect(),
            steps: steps.collect(),
            parts: parts.collect(),
            parts_cost: plan.parts_cost(),
        }
    }
}

/// List job plans by id: kind of machine and failure mode.
#[utoipa::path(get, path = "/job-plans", tag = "work orders", params(PlanFilter, PageParams),
    responses((status = 200, description = "A page of job plans", content(
        (Page<JobPlanView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(State(api): State<Shared>, list: Listing<PlanFilter>) -> Response {
    let PlanFilter {
        asset_model,
        failure_mode,
    } = &list.filter;
    let wanted =
        |plan: &&std::sync::Arc<JobPlan>| asset_model.is_none() || plan.asset_model == *asset_model;
    let about = |plan: &&std::sync::Arc<JobPlan>| {
        let asked = failure_mode.as_ref();
        asked.is_none_or(|mode| *mode == plan.failure_mode)
    };
    let plans = api.parts.service.job_plans().iter();
    let plans = plans.filter(wanted).filter(about);
    let mut plans: Vec<JobPlanView> = plans.map(|plan| JobPlanView::from(&**plan)).collect();
    plans.sort_by(|a, b| a.id.cmp(&b.id));
    list.cut(plans, |plan: &JobPlanView| plan.id.clone())
}

impl Listed for JobPlanView {
    const NAME: &'static str = "job-plans";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "version",
        "name_en",
        "name_zh",
        "crew",
        "duration_s",
        "skills",
        "life_days",
        "failure_cost",
        "parts_cost",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.id),
            Cell::plain(self.version),
            Cell::text(self.name.en),
            Cell::text(self.name.zh),
            Cell::plain(self.crew),
            Cell::plain(self.duration_s),
            Cell::text(self.skills.join("; ")),
            Cell::maybe(self.life_days),
            Cell::maybe(self.failure_cost),
            Cell::plain(self.parts_cost),
        ]
    }
}
