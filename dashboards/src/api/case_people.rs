//! What people do to cases beside acknowledging them: assign, comment, hand over.

use axum::{Json, extract::State};
use serde::Deserialize;
use telemetry::{CaseId, PersonId};
use utoipa::ToSchema;

use super::{
    Shared,
    cases::{self, CaseView},
    extract::{Body, Id},
    problem::Problem,
};

/// Who gets a case.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// The person who gets it.
    #[schema(value_type = String)]
    to: PersonId,
    /// Who gives it.
    by: String,
}

/// Who gets a case from whoever has it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// The person who gets it.
    #[schema(value_type = String)]
    to: PersonId,
    /// Who hands it over.
    by: String,
    /// What they have to know.
    #[serde(default)]
    note: String,
}

/// A comment on a case.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// Who writes.
    by: String,
    /// What; at most 4,000 characters.
    text: String,
}

/// Where people are known, a case goes to nobody else: who is not would never be told.
fn known(api: &Shared, person: &PersonId) -> Result<(), Problem> {
    let people = &api.parts.office.directory.people;
    if people.is_empty() || people.contains_key(person) {
        return Ok(());
    }
    let problem = format!("there is no person {person}; see /api/v1/people for those there are");
    Err(Problem::invalid_value(problem).at_field("to"))
}

/// Give a case to somebody.
#[utoipa::path(post, path = "/cases/{id}/assign", tag = "cases", request_body = Assign,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn assign(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
    Body(body): Body<Assign>,
) -> Result<Json<CaseView>, Problem> {
    known(&api, &body.to)?;
    let now = api.parts.clock.now();
    let case = api.parts.cases.assign(&id, &body.to, &body.by, now).await?;
    told(&api, case).await
}

/// Hand a case over to somebody else.
#[utoipa::path(post, path = "/cases/{id}/hand-over", tag = "cases", request_body = HandOver,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn hand_over(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
    Body(body): Body<HandOver>,
) -> Result<Json<CaseView>, Problem> {
    known(&api, &body.to)?;
    let now = api.parts.clock.now();
    let cases = &api.parts.cases;
    let case = cases
        .hand_over(&id, &body.to, &body.by, &body.note, now)
        .await?;
    told(&api, case).await
}

/// Comment on a case.
#[utoipa::path(post, path = "/cases/{id}/comment", tag = "cases", request_body = Comment,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn comment(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
    Body(body): Body<Comment>,
) -> Result<Json<CaseView>, Problem> {
    let now = api.parts.clock.now();
    let cases = &api.parts.cases;
    let case = cases.comment(&id, &body.by, &body.text, now).await?;
    told(&api, case).await
}

/// Tells browsers and the notifier at once.
async fn told(api: &Shared, case: alerting::Case) -> Result<Json<CaseView>, Problem> {
    api.parts.events.case_changed(&case.id);
    api.parts.notify.notify_one();
    cases::named(api, case).await.map(Json)
}
