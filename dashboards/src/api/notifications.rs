//! `/notifications`: who was told what, what waits, and what is stuck.

use alerting::notify::{
    ChannelKind, Kind, Outbox, OutboxCounts, OutboxQuery, Recipient, Sending, State as At, plan,
    words::words,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use telemetry::{CaseId, ChannelId, MessageId, PersonId, Severity, Timestamp, WorkOrderId};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Body, Id},
    list::{self, Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    schema,
    table::Cell,
};

/// Which messages to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NotificationFilter {
    /// `waiting`, `sent`, `digested`, `withdrawn`, or `stuck`: given up, or tried three times in vain.
    state: Option<String>,
    /// About this case.
    #[param(value_type = Option<String>)]
    case: Option<CaseId>,
    /// To this person.
    #[param(value_type = Option<String>)]
    person: Option<PersonId>,
}

/// One message to one recipient.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NotificationView {
    /// Its id, the same however often it is sent.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// `opened`, `risen`, `escalated`, `assigned`, `commented`, `digest`, `visit` or `test`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// The case it is about.
    #[schema(value_type = Option<String>)]
    pub case: Option<CaseId>,
    /// The order it is about.
    #[schema(value_type = Option<String>)]
    pub work_order: Option<WorkOrderId>,
    /// How urgent it is.
    #[schema(value_type = Option<schema::Severity>)]
    pub severity: Option<Severity>,
    /// The person it is for; null for a group or a customer.
    #[schema(value_type = Option<String>)]
    pub person: Option<PersonId>,
    /// Who it is for: `person:ID`, `group:ID` or `customer:ID`.
    pub recipient: String,
    /// The channel.
    #[schema(value_type = String)]
    pub channel: ChannelId,
    /// What kind of channel it is; null when it is configured no more.
    #[schema(value_type = Option<String>)]
    pub channel_kind: Option<ChannelKind>,
    /// The language it is written in.
    #[schema(value_type = String)]
    pub language: alerting::people::Language,
    /// Its subject line.
    pub subject: String,
    /// `waiting`, `sent`, `digested`, `withdrawn` or `stuck`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it is tried next; null where nothing follows.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// When it arrived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The digest that told it.
    #[schema(value_type = Option<String>)]
    pub digest: Option<MessageId>,
}

fn view(api: &Shared, sending: Sending) -> NotificationView {
    let state = if sending.is_stuck() {
        At::Stuck
    } else {
        sending.state
    };
    let channel = api.parts.office.channels.get(&sending.message.channel);
    let message = sending.message;
    NotificationView {
        subject: words(&message, None).subject,
        case: message.content.case().map(|facts| facts.case.clone()),
        work_order: message.content.work_order().cloned(),
        severity: message.content.severity(),
        person: match &message.recipient {
            Recipient::Person(id) => Some(id.clone()),
            Recipient::Group(_) | Recipient::Customer(_) => None,
        },
        recipient: message.recipient.key(),
        channel_kind: channel.map(|channel| channel.kind),
        id: message.id,
        kind: message.kind,
        channel: message.channel,
        language: message.language,
        state: state.as_str().to_owned(),
        attempts: sending.attempts,
        created_at: sending.created_at,
        next_at: (sending.state == At::Waiting).then_some(sending.next_at),
        sent_at: sending.sent_at,
        last_error: sending.last_error,
        digest: sending.digest,
    }
}

fn outbox(api: &Shared) -> Outbox {
    Outbox::new(api.parts.cases.clone())
}

/// List messages, newest first.
#[utoipa::path(get, path = "/notifications", tag = "people", params(NotificationFilter, PageParams),
    responses((status = 200, description = "A page of messages", content(
        (Page<NotificationView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<NotificationFilter>,
) -> Result<Response, Problem> {
    let filter = &list.filter;
    let state = match filter.state.as_deref() {
        None => None,
        Some(word) => Some(At::parse(word).ok_or_else(|| {
            let known = At::ALL.map(At::as_str).join(", ");
            Problem::invalid_parameter("state", format!("use one of {known}"))
        })?),
    };
    let after: Option<i64> = list.window.after_as()?;
    let outbox = outbox(&api);
    let fetch = |after, limit| {
        let query = OutboxQuery {
            state: state.filter(|state| *state != At::Stuck),
            stuck: state == Some(At::Stuck),
            case: filter.case.clone(),
            recipient: filter.person.clone().map(Recipient::Person),
            after,
            limit,
        };
        let outbox = outbox.clone();
        async move { outbox.list(&query).await }
    };
    let found = list::one_more(&list.window, after, |one: &Sending| one.number, fetch).await?;
    let page = list.window.page(found, |one| one.number.to_string());
    let items = page.items.into_iter().map(|one| view(&api, one)).collect();
    Ok(list.answer(Page {
        items,
        next: page.next,
    }))
}

impl Listed for NotificationView {
    const NAME: &'static str = "notifications";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "kind",
        "case",
        "recipient",
        "channel",
        "subject",
        "state",
        "attempts",
        "created_at",
        "sent_at",
        "last_error",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.id.to_string()),
            Cell::plain(self.kind.as_str()),
            Cell::text(self.case.map_or_else(String::new, |case| case.to_string())),
            Cell::text(self.recipient),
            Cell::text(self.channel.to_string()),
            Cell::text(self.subject),
            Cell::text(self.state),
            Cell::plain(self.attempts),
            Cell::plain(self.created_at),
            Cell::maybe(self.sent_at),
            Cell::text(self.last_error.unwrap_or_default()),
        ]
    }
}

/// How many messages are where.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NotificationSummary {
    /// Waiting for their turn or their channel.
    pub waiting: u64,
    /// Arrived.
    pub sent: u64,
    /// Told together with others.
    pub digested: u64,
    /// Withdrawn because what they say no longer holds.
    pub withdrawn: u64,
    /// For a person to look at: given up, or tried three times in vain.
    pub stuck: u64,
}

impl From<OutboxCounts> for NotificationSummary {
    fn from(counts: OutboxCounts) -> Self {
        Self {
            waiting: counts.waiting,
            sent: counts.sent,
            digested: counts.digested,
            withdrawn: counts.withdrawn,
            stuck: counts.stuck,
        }
    }
}

/// How many messages are where, for the status and the metrics.
pub(crate) async fn counts(api: &Shared) -> Result<NotificationSummary, Problem> {
    Ok(outbox(api).counts().await?.into())
}

/// Tell how many messages are where.
#[utoipa::path(get, path = "/notifications/summary", tag = "people",
    responses((status = 200, body = NotificationSummary)))]
pub(crate) async fn summary(
    State(api): State<Shared>,
) -> Result<Json<NotificationSummary>, Problem> {
    counts(&api).await.map(Json)
}

/// Have a message tried at once, for another day.
#[utoipa::path(post, path = "/notifications/{id}/retry", tag = "people",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = NotificationView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn retry(
    State(api): State<Shared>,
    Id(id): Id<MessageId>,
) -> Result<Json<NotificationView>, Problem> {
    let found = outbox(&api).retry(&id, api.parts.clock.now()).await?;
    let found = found.ok_or_else(|| Problem::no_such("notification", &id))?;
    api.parts.notify.notify_one();
    Ok(Json(view(&api, found)))
}

/// By which channel a test goes, and to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTest {
    /// The channel.
    #[schema(value_type = String)]
    channel: ChannelId,
    /// The person; whoever reads the channel when it is missing. Mail needs one.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    person: Option<PersonId>,
    /// Who asks.
    by: String,
}

/// The longest name in a test, as for names in the log of a case.
const MAX_NAME_CHARS: usize = 200;

/// Send a message that says nothing but that a channel works.
#[utoipa::path(post, path = "/notifications/test", tag = "people", request_body = NewTest,
    responses((status = 202, body = NotificationView),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn test(
    State(api): State<Shared>,
    Body(new): Body<NewTest>,
) -> Result<Response, Problem> {
    let by: String = new.by.trim().chars().take(MAX_NAME_CHARS).collect();
    let (office, now) = (&api.parts.office, api.parts.clock.now());
    let message = plan::test(office, &new.channel, new.person.as_ref(), &by, now)
        .ok_or_else(|| Problem::invalid_value("there is no such channel or person"))?;
    let is_mail = office.channels.get(&new.channel).map(|one| one.kind) == Some(ChannelKind::Smtp);
    if is_mail && message.address.is_none() {
        let problem = "name a person who has a mail address";
        return Err(Problem::invalid_value(problem).at_field("person"));
    }
    let (outbox, id) = (outbox(&api), message.id.clone());
    outbox.put(&[message]).await?;
    api.parts.notify.notify_one();
    let found = outbox.get(&id).await?;
    let found = found.ok_or_else(|| Problem::no_such("notification", &id))?;
    Ok((StatusCode::ACCEPTED, Json(view(&api, found))).into_response())
}
