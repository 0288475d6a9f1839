//! `/people`, `/rota` and `/escalations`: who is told, who is on call, and how far chains have come.

use alerting::people::{Escalation, Language, OnCall, Override, Person, Rota, Target, Unless};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use telemetry::{
    AssetId, CaseId, ChainId, ChannelId, PersonId, RotaId, Severity, SiteId, Timestamp,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Body, Params},
    page::Page,
    problem::Problem,
    schema,
};

/// Turns that are shown ahead: two months of weeks.
const AHEAD: usize = 8;

/// Somebody who is told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PersonView {
    /// Their id.
    #[schema(value_type = String)]
    pub id: PersonId,
    /// Their name.
    pub name: String,
    /// What chains call them.
    pub roles: Vec<String>,
    /// `en` or `zh`.
    #[schema(value_type = String)]
    pub language: Language,
    /// Only about these sites; about all when empty.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// How they are told.
    #[schema(value_type = String)]
    pub channel: ChannelId,
    /// How they are told of what is critical, when that is another way.
    #[schema(value_type = Option<String>)]
    pub urgent_channel: Option<ChannelId>,
    /// The rotas by which they are on call now.
    #[schema(value_type = Vec<String>)]
    pub on_call: Vec<RotaId>,
}

/// List the people who are told.
#[utoipa::path(get, path = "/people", tag = "people",
    responses((status = 200, body = Page<PersonView>)))]
pub(crate) async fn list(State(api): State<Shared>) -> Result<Json<Page<PersonView>>, Problem> {
    let now = api.parts.clock.now();
    let rotas = present(&api, now).await?;
    let on_call: Vec<(PersonId, RotaId)> = rotas
        .iter()
        .filter_map(|rota| {
            let now = alerting::people::who_is_on_call(rota, now)?;
            Some((now.person, rota.id.clone()))
        })
        .collect();
    let view = |person: &Person| PersonView {
        id: person.id.clone(),
        name: person.name.clone(),
        roles: person.roles.clone(),
        language: person.language,
        sites: person.sites.clone(),
        email: person.email.clone(),
        channel: person.channel.clone(),
        urgent_channel: person.urgent_channel.clone(),
        on_call: on_call
            .iter()
            .filter(|(who, _)| *who == person.id)
            .map(|(_, rota)| rota.clone())
            .collect(),
    };
    let people = api.parts.office.directory.people.values();
    Ok(whole(people.map(view).collect()))
}

/// A list that fits one page.
fn whole<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next: None })
}

/// The rotas with those who stand in as people entered it.
async fn present(api: &Shared, now: Timestamp) -> Result<Vec<Rota>, Problem> {
    let entered = api.parts.cases.stand_ins(now).await?;
    Ok(api.parts.office.directory.with(&entered).rotas)
}

/// Who is on call for how long.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OnCallView {
    /// The person.
    #[schema(value_type = String)]
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until just before then.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Whether they stand in for somebody.
    pub stands_in: bool,
}

/// Somebody who stands in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OverrideView {
    /// Its number; null for one of the configuration, which is changed there.
    pub id: Option<i64>,
    /// Who stands in.
    #[schema(value_type = String)]
    pub person: PersonId,
    /// From then on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until just before then.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Who entered it.
    pub by: Option<String>,
}

impl From<Override> for OverrideView {
    fn from(one: Override) -> Self {
        Self {
            id: one.id,
            person: one.person,
            from: one.from,
            until: one.until,
            by: one.by,
        }
    }
}

/// Who takes turns on call.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RotaView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: RotaId,
    /// Where its clock hangs.
    pub time_zone: String,
    /// How many days a turn has.
    pub days: u16,
    /// Who takes turns, in order.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<PersonId>,
    /// For these sites; for all when empty.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// Who is on call at the asked moment.
    pub now: Option<OnCallView>,
    /// Who follows.
    pub ahead: Vec<OnCallView>,
    /// Who stands in, past entries of the configuration among them.
    pub overrides: Vec<OverrideView>,
}

/// Which moment is asked about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RotaFilter {
    /// The moment; now when it is missing.
    #[param(value_type = Option<String>)]
    at: Option<Timestamp>,
}

/// List the rotas with who is on call.
#[utoipa::path(get, path = "/rota", tag = "people", params(RotaFilter),
    responses((status = 200, body = Page<RotaView>)))]
pub(crate) async fn rotas(
    State(api): State<Shared>,
    Params(filter): Params<RotaFilter>,
) -> Result<Json<Page<RotaView>>, Problem> {
    let at = filter.at.unwrap_or_else(|| api.parts.clock.now());
    let name = |id: &PersonId| {
        let found = api.parts.office.directory.people.get(id);
        found.map_or_else(|| id.to_string(), |person| person.name.clone())
    };
    let shown = |one: OnCall| OnCallView {
        name: name(&one.person),
        person: one.person,
        from: one.from,
        until: one.until,
        stands_in: one.stands_in,
    };
    let view = |rota: Rota| {
        let mut ahead = rota.ahead(at, AHEAD + 1).into_iter().map(shown);
        RotaView {
            now: ahead.next(),
            ahead: ahead.collect(),
            time_zone: rota.time_zone.name().to_owned(),
            days: rota.days,
            members: rota.members,
            sites: rota.sites,
            overrides: rota.overrides.into_iter().map(OverrideView::from).collect(),
            id: rota.id,
        }
    };
    let rotas = present(&api, at).await?;
    Ok(whole(rotas.into_iter().map(view).collect()))
}

/// Somebody who is to stand in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOverride {
    /// Who stands in.
    #[schema(value_type = String)]
    person: PersonId,
    /// From then on.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Until just before then; at most a year later.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Who enters it.
    by: String,
}

fn rota_named(api: &Shared, id: &str) -> Result<RotaId, Problem> {
    let id = RotaId::new(id)?;
    match api.parts.office.directory.rota(&id) {
        Some(_) => Ok(id),
        None => Err(Problem::no_such("rota", &id)),
    }
}

/// Enter that somebody stands in.
#[utoipa::path(post, path = "/rota/{id}/overrides", tag = "people", request_body = NewOverride,
    params(("id" = String, Path, description = "The rota")),
    responses((status = 201, body = OverrideView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stand_in(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Body(new): Body<NewOverride>,
) -> Result<(StatusCode, Json<OverrideView>), Problem> {
    let rota = rota_named(&api, &id)?;
    if !api.parts.office.directory.people.contains_key(&new.person) {
        let problem = format!("there is no person {}", new.person);
        return Err(Problem::invalid_value(problem).at_field("person"));
    }
    let (cases, now) = (&api.parts.cases, api.parts.clock.now());
    let span = (new.from, new.until);
    let entered = cases
        .stand_in(&rota, &new.person, span, &new.by, now)
        .await?;
    Ok((StatusCode::CREATED, Json(entered.into())))
}

/// Take back that somebody stands in.
#[utoipa::path(delete, path = "/rota/{id}/overrides/{number}", tag = "people",
    params(("id" = String, Path, description = "The rota"),
        ("number" = i64, Path, description = "The entry")),
    responses((status = 204),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stand_in_no_more(
    State(api): State<Shared>,
    Path((id, number)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let rota = rota_named(&api, &id)?;
    let entry: i64 = number
        .parse()
        .map_err(|_| Problem::invalid_parameter("number", "the entry is a whole number"))?;
    if api.parts.cases.stand_in_no_more(&rota, entry).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::no_such("override", &number))
}

/// A step of a chain.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepView {
    /// Its place in the chain, counted from 0.
    pub step: u16,
    /// Seconds after the case was taken in.
    pub after_s: u64,
    /// What ends it before: `acknowledged` or `resolved`.
    #[schema(value_type = String)]
    pub unless: Unless,
    /// Who is told: `on_call`, `rota:ID`, `role:NAME`, `person:ID`, `channel:ID` or `assignee`.
    pub to: String,
}

/// A step that was told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ToldView {
    /// The step.
    pub step: u16,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// How far the chain of a case has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EscalationView {
    /// The case.
    #[schema(value_type = String)]
    pub case: CaseId,
    /// Its asset.
    #[schema(value_type = Option<String>)]
    pub asset: Option<AssetId>,
    /// How urgent it is.
    #[schema(value_type = Option<schema::Severity>)]
    pub severity: Option<Severity>,
    /// Its chain.
    #[schema(value_type = String)]
    pub chain: ChainId,
    /// From when steps are counted.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When somebody took it in hand.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
    /// When the alarm ended or the case was closed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    /// The step that is told next if nothing happens; null at the end.
    pub next: Option<StepView>,
    /// When that is.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// What was told.
    pub told: Vec<ToldView>,
}

/// Which chains to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EscalationFilter {
    /// Of this case only, also when it is closed; of all that are running when it is missing.
    #[param(value_type = Option<String>)]
    case: Option<CaseId>,
}

fn target(to: &Target) -> String {
    match to {
        Target::Rota(None) => "on_call".to_owned(),
        Target::Rota(Some(id)) => format!("rota:{id}"),
        Target::Role(name) => format!("role:{name}"),
        Target::Person(id) => format!("person:{id}"),
        Target::Channel(id) => format!("channel:{id}"),
        Target::Assignee => "assignee".to_owned(),
    }
}

/// List the chains that are running, oldest first.
#[utoipa::path(get, path = "/escalations", tag = "people", params(EscalationFilter),
    responses((status = 200, body = Page<EscalationView>)))]
pub(crate) async fn escalations(
    State(api): State<Shared>,
    Params(filter): Params<EscalationFilter>,
) -> Result<Json<Page<EscalationView>>, Problem> {
    let running = api.parts.cases.escalations(filter.case.as_ref()).await?;
    let mut items = Vec::with_capacity(running.len().min(super::page::MAX_LIMIT as usize));
    for (id, state) in running.into_iter().take(super::page::MAX_LIMIT as usize) {
        let case = api.parts.cases.get(&id).await?.map(|detail| detail.case);
        items.push(escalation(&api, id, case, state));
    }
    Ok(whole(items))
}

fn escalation(
    api: &Shared,
    id: CaseId,
    case: Option<alerting::Case>,
    state: Escalation,
) -> EscalationView {
    let chain = api.parts.office.directory.chain(&state.chain);
    let next = chain.and_then(|chain| state.upcoming(chain));
    EscalationView {
        case: id,
        severity: case.as_ref().map(|case| case.severity),
        asset: case.map(|case| case.asset),
        next_at: next.map(|(_, _, at)| at),
        next: next.map(|(index, step, _)| StepView {
            step: index,
            after_s: step.after.as_secs(),
            unless: step.unless,
            to: target(&step.to),
        }),
        told: state
            .told
            .iter()
            .map(|&(step, at)| ToldView { step, at })
            .collect(),
        chain: state.chain,
        since: state.since,
        acknowledged_at: state.acknowledged_at,
        resolved_at: state.resolved_at,
    }
}
