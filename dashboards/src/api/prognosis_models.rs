//! `/prognosis-models`: what was learned about remaining life, which version serves, and what its
//! forecasts were worth.

pub mod scores;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request},
    response::Response,
};
use historian::{ModelCard, Promotion, ScoreSummary};
use serde::{Deserialize, Serialize};
use service::{Name, Note};
use telemetry::{AssetModelId, Event, JournalRecord, JournalWriter, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Body, Id},
    list::{Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};
use crate::labels::{self, Text};

/// What a version is to its kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It serves.
    Champion,
    /// It is newer than what serves and is judged beside it.
    Challenger,
    /// Neither.
    Retired,
}

/// Where a model comes from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProvenanceView {
    /// The program and its version.
    pub program: String,
    /// The seed of everything random.
    pub seed: u64,
    /// Event time of the first cycle learned from.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub data_from: Option<Timestamp>,
    /// Event time of the last one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub data_to: Option<Timestamp>,
    /// Assets learned from.
    pub assets: u32,
    /// Lives, those included that still last.
    pub lives: u32,
    /// Lives that ended in a failure.
    pub failures: u32,
    /// Cycles.
    pub cycles: u64,
    /// The settings it was trained with, as JSON text.
    pub settings: String,
    /// Who asked for it.
    pub by: String,
}

/// Squared error of a probability.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BrierView {
    /// The horizon, in seconds.
    pub horizon_s: f64,
    /// The error, 0 to 1; lower is better.
    pub error: f64,
}

fn brier(pairs: &[(f64, f64)]) -> Vec<BrierView> {
    let view = |(horizon_s, error): &(f64, f64)| BrierView {
        horizon_s: *horizon_s,
        error: *error,
    };
    pairs.iter().map(view).collect()
}

/// What the forecasts of a version were worth on lives that ended since in a failure.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScoresView {
    /// Forecasts scored.
    pub forecasts: u64,
    /// Lives they were about.
    pub lives: u64,
    /// Mean continuous ranked probability score, seconds.
    pub crps_s: Option<f64>,
    /// Part of the truths inside the 80 % interval.
    pub coverage: Option<f64>,
    /// Part of the medians within a fifth of the truth.
    pub alpha: Option<f64>,
    /// Mean squared error of the probabilities.
    pub brier: Vec<BrierView>,
    /// Median lead of the first forecast that spoke of the failure, seconds.
    pub lead_s: Option<f64>,
}

impl From<&ScoreSummary> for ScoresView {
    fn from(summary: &ScoreSummary) -> Self {
        Self {
            forecasts: summary.forecasts,
            lives: summary.lives,
            crps_s: summary.crps_s,
            coverage: summary.coverage,
            alpha: summary.alpha,
            brier: brier(&summary.brier),
            lead_s: summary.lead_s,
        }
    }
}

/// A version of a model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PrognosisModelView {
    /// The kind of machine.
    #[schema(value_type = String)]
    pub asset_model: AssetModelId,
    /// Its name.
    pub name: Option<Text>,
    /// The version, counted from 1.
    pub version: u32,
    /// What it is to its kind.
    pub state: Standing,
    /// SHA-256 of its bytes.
    pub checksum: String,
    /// The length of its bytes.
    pub bytes: u64,
    /// When it was trained.
    #[schema(value_type = String, format = DateTime)]
    pub trained_at: Timestamp,
    /// What it was trained on and with.
    pub provenance: ProvenanceView,
    /// Its features in order.
    pub features: Vec<String>,
    /// How well it forecasts lives it had not seen, as measured in training.
    #[schema(value_type = Object)]
    pub metrics: serde_json::Value,
    /// Its calibration: reliability table, coverage, and how its numbers are served.
    #[schema(value_type = Option<Object>)]
    pub calibration: serde_json::Value,
    /// What its forecasts were worth.
    pub scores: ScoresView,
}

/// A version of a model with the times it began to serve.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PrognosisModelDetail {
    /// The model.
    #[serde(flatten)]
    pub model: PrognosisModelView,
    /// When it began to serve, newest first.
    pub promotions: Vec<PromotionView>,
}

/// A model began to serve.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PromotionView {
    /// The kind of machine.
    #[schema(value_type = String)]
    pub asset_model: AssetModelId,
    /// The version.
    pub version: u32,
    /// Its checksum.
    pub checksum: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// Why, in their words.
    pub note: String,
}

impl From<Promotion> for PromotionView {
    fn from(promotion: Promotion) -> Self {
        Self {
            asset_model: promotion.asset_model,
            version: promotion.version,
            checksum: promotion.checksum,
            at: promotion.at,
            by: promotion.by,
            note: promotion.note,
        }
    }
}

/// Who lets a model serve, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// The person.
    #[schema(value_type = String)]
    by: Name,
    /// Why.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    note: Option<Note>,
}

/// A version in a path.
#[derive(Debug)]
pub(crate) struct Version {
    asset_model: AssetModelId,
    version: u32,
}

impl<S: Send + Sync> FromRequestParts<S> for Version {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        let Path((model, version)) = Path::<(String, u32)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid_parameter("version", "the version is a whole number"))?;
        let asset_model = AssetModelId::new(&model)
            .map_err(|error| Problem::invalid_parameter("id", error.to_string()))?;
        Ok(Self {
            asset_model,
            version,
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ModelFilter {
    /// Only of this kind of machine.
    #[param(value_type = Option<String>)]
    pub(super) asset_model: Option<AssetModelId>,
}

/// List trained models by kind of machine, the newest version first.
#[utoipa::path(get, path = "/prognosis-models", tag = "prognosis", params(ModelFilter, PageParams),
    responses((status = 200, description = "A page of models", content(
        (Page<PrognosisModelView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<ModelFilter>,
) -> Result<Response, Problem> {
    let registry = &api.parts.registry;
    let cards = registry.list(list.filter.asset_model.clone()).await?;
    let promotions = registry.promotions(list.filter.asset_model.clone()).await?;
    let mut views = Vec::with_capacity(cards.len());
    for card in cards {
        views.push(view(&api, card, &promotions).await?);
    }
    let key =
        |view: &PrognosisModelView| format!("{} {:010}", view.asset_model, u32::MAX - view.version);
    Ok(list.cut(views, key))
}

impl Listed for PrognosisModelView {
    const NAME: &'static str = "prognosis-models";
    const COLUMNS: &'static [&'static str] = &[
        "asset_model",
        "version",
        "state",
        "trained_at",
        "lives",
        "failures",
        "checksum",
    ];

    fn row(self) -> Vec<Cell> {
        let state = match self.state {
            Standing::Champion => "champion",
            Standing::Challenger => "challenger",
            Standing::Retired => "retired",
        };
        vec![
            Cell::text(self.asset_model.to_string()),
            Cell::plain(self.version),
            Cell::plain(state),
            Cell::plain(self.trained_at),
            Cell::plain(self.provenance.lives),
            Cell::plain(self.provenance.failures),
            Cell::text(self.checksum),
        ]
    }
}

/// Get one version of a model.
#[utoipa::path(get, path = "/prognosis-models/{id}/{version}", tag = "prognosis",
    params(("id" = String, Path, description = "The kind of machine"),
        ("version" = u32, Path, description = "The version")),
    responses((status = 200, body = PrognosisModelDetail),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    asked: Version,
) -> Result<Json<PrognosisModelDetail>, Problem> {
    let card = card(&api, &asked).await?;
    let promotions = api
        .parts
        .registry
        .promotions(Some(asked.asset_model))
        .await?;
    let model = view(&api, card, &promotions).await?;
    let of_version = promotions
        .into_iter()
        .filter(|promotion| promotion.version == asked.version);
    Ok(Json(PrognosisModelDetail {
        model,
        promotions: of_version.map(PromotionView::from).collect(),
    }))
}

/// Let a version serve from now on.
///
/// The word goes through the journal, so that a replay forecasts with the same model from the
/// same place. Machines of the kind are shown to it from the beginning of their lives.
#[utoipa::path(post, path = "/prognosis-models/{id}/{version}/promote", tag = "prognosis",
    request_body = Promote,
    params(("id" = String, Path, description = "The kind of machine"),
        ("version" = u32, Path, description = "The version")),
    responses((status = 202, description = "It serves", body = PromotionView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn promote(
    State(api): State<Shared>,
    asked: Version,
    Body(body): Body<Promote>,
) -> Result<(StatusCode, Json<PromotionView>), Problem> {
    let card = card(&api, &asked).await?;
    let promotions = api
        .parts
        .registry
        .promotions(Some(asked.asset_model))
        .await?;
    if promotions
        .first()
        .is_some_and(|last| last.version == card.version)
    {
        return Err(Problem::conflict(format!(
            "version {} of {} serves already",
            card.version, card.asset_model
        )));
    }
    serve(&api, card, body).await
}

/// Let the version serve that did before the present one.
#[utoipa::path(post, path = "/prognosis-models/{id}/roll-back", tag = "prognosis",
    request_body = Promote,
    params(("id" = String, Path, description = "The kind of machine")),
    responses((status = 202, description = "It serves", body = PromotionView),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn roll_back(
    State(api): State<Shared>,
    Id(asset_model): Id<AssetModelId>,
    Body(body): Body<Promote>,
) -> Result<(StatusCode, Json<PromotionView>), Problem> {
    let promotions = api
        .parts
        .registry
        .promotions(Some(asset_model.clone()))
        .await?;
    let present = promotions.first().map(|last| last.version);
    let before = promotions
        .iter()
        .find(|promotion| Some(promotion.version) != present);
    let Some(before) = before else {
        return Err(Problem::conflict(format!(
            "no other version of {asset_model} has served before"
        )));
    };
    let version = Version {
        version: before.version,
        asset_model,
    };
    let card = card(&api, &version).await?;
    serve(&api, card, body).await
}

async fn serve(
    api: &Shared,
    card: ModelCard,
    body: Promote,
) -> Result<(StatusCode, Json<PromotionView>), Problem> {
    let promotion = Promotion {
        asset_model: card.asset_model,
        version: card.version,
        checksum: card.checksum,
        at: api.parts.clock.now(),
        by: body.by.as_str().to_owned(),
        note: body
            .note
            .map_or_else(String::new, |note| note.as_str().to_owned()),
    };
    let event = Event::ModelPromoted {
        asset_model: promotion.asset_model.clone(),
        version: promotion.version,
        checksum: promotion.checksum.clone(),
        at: promotion.at,
    };
    let record = JournalRecord {
        events: vec![event],
        ..JournalRecord::default()
    };
    api.parts.journal.append(record).await?;
    api.parts.registry.promoted(promotion.clone()).await?;
    Ok((StatusCode::ACCEPTED, Json(promotion.into())))
}

pub(super) async fn card(api: &Shared, asked: &Version) -> Result<ModelCard, Problem> {
    let found = api
        .parts
        .registry
        .get(asked.asset_model.clone(), asked.version)
        .await?;
    found.ok_or_else(|| {
        let id = format!("{}/{}", asked.asset_model, asked.version);
        Problem::no_such("prognosis model", id)
    })
}

async fn view(
    api: &Shared,
    card: ModelCard,
    promotions: &[Promotion],
) -> Result<PrognosisModelView, Problem> {
    let scores = api
        .parts
        .registry
        .scores(card.asset_model.clone(), Some(card.version), None)
        .await?;
    let of_kind = |promotion: &&Promotion| promotion.asset_model == card.asset_model;
    let serving = promotions.iter().find(of_kind).map(|last| last.version);
    let state = match serving {
        Some(version) if version == card.version => Standing::Champion,
        Some(version) if version > card.version => Standing::Retired,
        _ => Standing::Challenger,
    };
    let provenance = card.provenance;
    Ok(PrognosisModelView {
        name: api.parts.model(&card.asset_model).map(labels::model_name),
        asset_model: card.asset_model,
        version: card.version,
        state,
        checksum: card.checksum,
        bytes: card.bytes,
        trained_at: card.trained_at,
        provenance: ProvenanceView {
            program: provenance.program,
            seed: provenance.seed,
            data_from: provenance.data_from,
            data_to: provenance.data_to,
            assets: provenance.assets,
            lives: provenance.lives,
            failures: provenance.failures,
            cycles: provenance.cycles,
            settings: provenance.settings.to_string(),
            by: provenance.by,
        },
        features: card.features,
        metrics: card.metrics,
        calibration: card.calibration,
        scores: ScoresView::from(&ScoreSummary::of(&scores)),
    })
}
