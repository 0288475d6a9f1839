//! `/engineers`: who does the work.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use service::Name;
use telemetry::EngineerId;
use utoipa::ToSchema;

use super::{
    Shared,
    extract::Body,
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};

/// A person who does the work.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EngineerView {
    /// Their id.
    #[schema(value_type = String)]
    pub id: EngineerId,
    /// Their name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What they can do.
    #[schema(value_type = Vec<String>)]
    pub skills: Vec<Name>,
}

impl From<service::Engineer> for EngineerView {
    fn from(engineer: service::Engineer) -> Self {
        Self {
            id: engineer.id,
            name: engineer.name,
            skills: engineer.skills,
        }
    }
}

/// An engineer to enter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEngineer {
    /// Their id; the next free `ENG-0001` when none is given.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    id: Option<EngineerId>,
    /// Their name.
    #[schema(value_type = String)]
    name: Name,
    /// What they can do; at most 32.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    skills: Vec<Name>,
}

/// List engineers by id.
#[utoipa::path(get, path = "/engineers", tag = "ledger", params(PageParams),
    responses((status = 200, description = "A page of engineers", content(
        (Page<EngineerView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<NoFilter>,
) -> Result<Response, Problem> {
    let mut engineers = api.parts.service.engineers().await?;
    engineers.sort_by(|a, b| a.id.cmp(&b.id));
    let engineers = engineers.into_iter().map(EngineerView::from).collect();
    Ok(list.cut(engineers, |engineer: &EngineerView| engineer.id.to_string()))
}

impl Listed for EngineerView {
    const NAME: &'static str = "engineers";
    const COLUMNS: &'static [&'static str] = &["id", "name", "skills"];

    fn row(self) -> Vec<Cell> {
        let skills: Vec<&str> = self.skills.iter().map(Name::as_str).collect();
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.name.as_str()),
            Cell::text(skills.join("; ")),
        ]
    }
}

/// Enter an engineer.
#[utoipa::path(post, path = "/engineers", tag = "ledger", request_body = NewEngineer,
    responses((status = 201, body = EngineerView),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewEngineer>,
) -> Result<(StatusCode, Json<EngineerView>), Problem> {
    let new = service::NewEngineer {
        id: new.id,
        name: new.name,
        skills: new.skills,
    };
    let engineer = api.parts.service.create_engineer(new).await?;
    Ok((StatusCode::CREATED, Json(engineer.into())))
}
