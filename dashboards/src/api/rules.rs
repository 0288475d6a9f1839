//! `/rules`: what people say is a problem, every version of it, and a try before it counts.
//!
//! A change is written into the book first and then told to the journal, so that the rules judge
//! from there on; what the journal could not take now is told when the program starts next.

pub mod view;

use alerting::rules::{Author, BookError, Edited, RuleOrigin, parse};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use telemetry::{Event, JournalRecord, JournalWriter, RuleId};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Id, Number},
    page::Page,
    problem::Problem,
};
use view::{ChangesView, RuleDetail, RuleView, SetVersionView, TextView, ValidationView};

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Text(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let mut problem = Self::invalid_value(lines.join("; ")).at_field("text");
                if let Some(first) = problems.first() {
                    (problem.line, problem.column) = (Some(first.line), Some(first.column));
                }
                problem
            }
            BookError::Moved { .. } => Self::conflict(error.to_string()),
            BookError::Store(error) => error.into(),
        }
    }
}

/// New text of rules.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRules {
    /// TOML with `[[rule]]` tables.
    text: String,
    /// The person.
    by: String,
    /// Why.
    #[serde(default)]
    reason: String,
    /// The version that was edited; refused when another one is in force by now.
    #[serde(default)]
    version: Option<u32>,
}

/// Text to check.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesText {
    /// TOML with `[[rule]]` tables.
    text: String,
}

/// Who changes rules, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleAuthor {
    /// The person.
    by: String,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// What a change of rules came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct RulesChanged {
    /// The version of all rules that is in force now.
    version: u32,
    /// Which rules it touched.
    changes: ChangesView,
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleList {
    /// The version of all rules.
    version: u32,
    /// Each rule, by id.
    items: Vec<RuleView>,
    /// Always null: all rules come at once.
    next: Option<String>,
}

fn author(api: &Shared, by: &str, reason: &str) -> Author {
    Author {
        by: by.to_owned(),
        reason: reason.to_owned(),
        source: RuleOrigin::Api,
        at: api.parts.clock.now(),
    }
}

/// Tells the journal what the book already says.
async fn tell(api: &Shared, edited: Edited, by: String) -> Result<Json<RulesChanged>, Problem> {
    if !edited.journal.is_empty() {
        let event = Event::RulesChanged {
            changes: edited.journal,
            by,
            at: api.parts.clock.now(),
        };
        let record = JournalRecord {
            events: vec![event],
            ..JournalRecord::default()
        };
        api.parts.journal.append(record).await?;
    }
    Ok(Json(RulesChanged {
        version: edited.version,
        changes: edited.changes.into(),
    }))
}

/// List the rules in force.
#[utoipa::path(get, path = "/rules", tag = "rules",
    responses((status = 200, description = "Every rule in force", body = RuleList)))]
pub(crate) async fn list(State(api): State<Shared>) -> Result<Json<RuleList>, Problem> {
    let settings = api.recalibrations.settings().await?;
    let latest = api.rules.latest().await?;
    let items = latest.iter().filter_map(|one| RuleView::of(one, &settings));
    Ok(Json(RuleList {
        version: api.rules.version().await?,
        items: items.collect(),
        next: None,
    }))
}

/// Get one rule with its text, its versions and what its orders made of it.
#[utoipa::path(get, path = "/rules/{id}", tag = "rules",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = RuleDetail),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Id(id): Id<RuleId>,
) -> Result<Json<RuleDetail>, Problem> {
    let history = api.rules.history(&id).await?;
    if history.is_empty() {
        return Err(Problem::no_such("rule", &id));
    }
    let settings = api.recalibrations.settings().await?;
    let moved = api.recalibrations.of_rule(&id).await?;
    Ok(Json(RuleDetail::of(&history, &settings, moved)))
}

/// Put a new version of one rule in force.
#[utoipa::path(put, path = "/rules/{id}", tag = "rules", request_body = NewRules,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = RulesChanged),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn put(
    State(api): State<Shared>,
    Id(id): Id<RuleId>,
    Body(body): Body<NewRules>,
) -> Result<Json<RulesChanged>, Problem> {
    let author = author(&api, &body.by, &body.reason);
    let edited = api.rules.put(&id, Some(&body.text), &author).await?;
    tell(&api, edited, body.by).await
}

/// Retire one rule; its versions stay.
#[utoipa::path(post, path = "/rules/{id}/retire", tag = "rules", request_body = RuleAuthor,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = RulesChanged),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn retire(
    State(api): State<Shared>,
    Id(id): Id<RuleId>,
    Body(body): Body<RuleAuthor>,
) -> Result<Json<RulesChanged>, Problem> {
    if api.rules.history(&id).await?.is_empty() {
        return Err(Problem::no_such("rule", &id));
    }
    let author = author(&api, &body.by, &body.reason);
    let edited = api.rules.put(&id, None, &author).await?;
    tell(&api, edited, body.by).await
}

/// Get the text of all rules in force.
#[utoipa::path(get, path = "/rules/text", tag = "rules",
    responses((status = 200, body = TextView)))]
pub(crate) async fn text(State(api): State<Shared>) -> Result<Json<TextView>, Problem> {
    let version = api.rules.version().await?;
    let text = api.rules.text(version).await?;
    Ok(Json(TextView { version, text }))
}

/// Put the rules of a text in force instead of all others.
#[utoipa::path(put, path = "/rules/text", tag = "rules", request_body = NewRules,
    responses((status = 200, body = RulesChanged),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "With the line and column at fault", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn put_text(
    State(api): State<Shared>,
    Body(body): Body<NewRules>,
) -> Result<Json<RulesChanged>, Problem> {
    let author = author(&api, &body.by, &body.reason);
    let edited = api.rules.replace(&body.text, &author, body.version).await?;
    tell(&api, edited, body.by).await
}

/// Check a text and say what it would change; nothing changes.
#[utoipa::path(post, path = "/rules/validate", tag = "rules", request_body = RulesText,
    responses((status = 200, description = "Every problem with its line and column",
        body = ValidationView)))]
pub(crate) async fn validate(
    State(api): State<Shared>,
    Body(body): Body<RulesText>,
) -> Result<Json<ValidationView>, Problem> {
    match api.rules.dry_run(&body.text).await {
        Ok((rules, changes)) => Ok(Json(ValidationView::good(rules.len(), changes))),
        Err(BookError::Text(problems)) => Ok(Json(ValidationView::bad(problems))),
        Err(error) => Err(error.into()),
    }
}

/// List the versions of all rules, newest first.
#[utoipa::path(get, path = "/rules/versions", tag = "rules",
    responses((status = 200, body = Page<SetVersionView>)))]
pub(crate) async fn versions(
    State(api): State<Shared>,
) -> Result<Json<Page<SetVersionView>>, Problem> {
    let versions = api.rules.versions(u32::MAX, u32::MAX).await?;
    Ok(Json(Page {
        items: versions.into_iter().map(SetVersionView::from).collect(),
        next: None,
    }))
}

/// Get the text of all rules as it was in a version.
#[utoipa::path(get, path = "/rules/versions/{version}", tag = "rules",
    params(("version" = u32, Path, description = "The version")),
    responses((status = 200, body = TextView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn version(
    State(api): State<Shared>,
    Number(version): Number,
) -> Result<Json<TextView>, Problem> {
    let text = text_of(&api, version).await?;
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    Ok(Json(TextView { version, text }))
}

async fn text_of(api: &Shared, version: u64) -> Result<String, Problem> {
    let in_force = api.rules.version().await?;
    if version == 0 || version > u64::from(in_force) {
        return Err(Problem::no_such("version of the rules", version));
    }
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    Ok(api.rules.text(version).await?)
}

/// Put the rules of an earlier version in force again, as a new version.
#[utoipa::path(post, path = "/rules/versions/{version}/restore", tag = "rules",
    request_body = RuleAuthor,
    params(("version" = u32, Path, description = "The version")),
    responses((status = 200, body = RulesChanged),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn restore(
    State(api): State<Shared>,
    Number(version): Number,
    Body(body): Body<RuleAuthor>,
) -> Result<Json<RulesChanged>, Problem> {
    let text = text_of(&api, version).await?;
    let author = author(&api, &body.by, &body.reason);
    let edited = api.rules.replace(&text, &author, None).await?;
    tell(&api, edited, body.by).await
}

/// The rules of a text that was stored, hence can be read.
fn stored(text: Option<&str>) -> Option<alerting::rules::Rule> {
    let rules = parse(text?).ok()?;
    rules.into_iter().next().map(|written| written.rule)
}
