//! `/training-jobs`: learning remaining life from the past of a kind of machine.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use historian::{JobState, NewJob, TrainingJob};
use serde::{Deserialize, Serialize};
use service::Name;
use telemetry::{AssetModelId, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Number},
    list::{Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    prognosis_models::ModelFilter,
    table::Cell,
};

/// Where a training stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStateWord {
    /// It waits for its turn.
    Queued,
    /// It is being done.
    Running,
    /// A model came of it.
    Done,
    /// None did.
    Failed,
}

impl JobStateWord {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A training.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TrainingJobView {
    /// Its number.
    pub id: u64,
    /// The kind of machine.
    #[schema(value_type = String)]
    pub asset_model: AssetModelId,
    /// Where it stands.
    pub state: JobStateWord,
    /// Who asked.
    pub by: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The horizon asked for, in seconds.
    pub horizon_s: Option<f64>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// What is being done: `gathering`, `fitting`, `calibrating`; empty before and after.
    pub step: String,
    /// How much is done, 0 to 1.
    pub progress: f64,
    /// The version that came of it.
    pub version: Option<u32>,
    /// Why none did.
    pub problem: Option<String>,
}

impl From<TrainingJob> for TrainingJobView {
    fn from(job: TrainingJob) -> Self {
        Self {
            id: job.id,
            asset_model: job.asset_model,
            state: match job.state {
                JobState::Queued => JobStateWord::Queued,
                JobState::Running => JobStateWord::Running,
                JobState::Done => JobStateWord::Done,
                JobState::Failed => JobStateWord::Failed,
            },
            by: job.by,
            seed: job.seed,
            horizon_s: job.horizon_s,
            requested_at: job.requested_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            step: job.step,
            progress: job.progress,
            version: job.version,
            problem: job.problem,
        }
    }
}

/// A training to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTraining {
    /// The kind of machine.
    #[schema(value_type = String)]
    asset_model: AssetModelId,
    /// Who asks.
    #[schema(value_type = String)]
    by: Name,
    /// The seed of everything random; 1 when it is left out.
    #[serde(default)]
    seed: Option<u64>,
    /// The horizon of the probabilities in seconds; as the asset model says when it is left out.
    #[serde(default)]
    horizon_s: Option<f64>,
}

/// List trainings, the newest first.
#[utoipa::path(get, path = "/training-jobs", tag = "prognosis", params(ModelFilter, PageParams),
    responses((status = 200, description = "A page of trainings", content(
        (Page<TrainingJobView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<ModelFilter>,
) -> Result<Response, Problem> {
    let jobs = api
        .parts
        .registry
        .jobs(list.filter.asset_model.clone())
        .await?;
    let views = jobs.into_iter().map(TrainingJobView::from).collect();
    Ok(list.cut(views, |job: &TrainingJobView| {
        format!("{:020}", u64::MAX - job.id)
    }))
}

impl Listed for TrainingJobView {
    const NAME: &'static str = "training-jobs";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "asset_model",
        "state",
        "requested_at",
        "ended_at",
        "progress",
        "version",
        "problem",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::plain(self.id),
            Cell::text(self.asset_model.to_string()),
            Cell::plain(self.state.as_str()),
            Cell::plain(self.requested_at),
            Cell::maybe(self.ended_at),
            Cell::plain(self.progress),
            Cell::maybe(self.version),
            Cell::text(self.problem.unwrap_or_default()),
        ]
    }
}

/// Get one training.
#[utoipa::path(get, path = "/training-jobs/{id}", tag = "prognosis",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = TrainingJobView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<Json<TrainingJobView>, Problem> {
    let job = api.parts.registry.job(id).await?;
    let job = job.ok_or_else(|| Problem::no_such("training", id))?;
    Ok(Json(job.into()))
}

/// Begin a training.
///
/// It runs beside everything else. One that waits or runs for the same kind of machine is
/// given back instead of a second one.
#[utoipa::path(post, path = "/training-jobs", tag = "prognosis", request_body = NewTraining,
    responses((status = 202, description = "It waits or runs", body = TrainingJobView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewTraining>,
) -> Result<(StatusCode, Json<TrainingJobView>), Problem> {
    let model = api.parts.model(&new.asset_model);
    let model = model.ok_or_else(|| Problem::no_such("asset model", &new.asset_model))?;
    if model.prognosis.is_none() {
        let problem = format!(
            "asset model {} has no section [prognosis]: it says neither what a cycle is nor what to look at",
            new.asset_model
        );
        return Err(Problem::invalid_value(problem).at_field("asset_model"));
    }
    if new.horizon_s.is_some_and(|h| !(h > 0.0 && h.is_finite())) {
        let problem = "the horizon is a number of seconds above 0";
        return Err(Problem::invalid_value(problem).at_field("horizon_s"));
    }
    let job = NewJob {
        asset_model: new.asset_model,
        by: new.by.as_str().to_owned(),
        seed: new.seed.unwrap_or(1),
        horizon_s: new.horizon_s,
        at: api.parts.clock.now(),
    };
    let (job, _) = api.parts.registry.enqueue(job).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}
