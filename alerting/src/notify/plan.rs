//! What a line of the case log makes of messages and of the case's place in its chain. Pure: the
//! same line, directory and moment give the same messages with the same ids.

use telemetry::{ChannelId, CustomerId, PersonId, Severity, Timestamp, WorkOrderId};

use super::{
    channel::Channels,
    message::{CaseFacts, Content, Kind, Message, Recipient, message_id},
};
use crate::{
    Case, CaseEvent, CaseEventKind,
    people::{Directory, Escalation, Language, Person, Target, chain::Happening},
};

/// A line of the case log with what belongs to it.
#[derive(Debug, Clone)]
pub struct News {
    /// Its number in the log, which makes its messages unique.
    pub number: i64,
    /// The line.
    pub event: CaseEvent,
    /// The case as it is now.
    pub case: Case,
    /// What people read about it.
    pub facts: CaseFacts,
}

/// Who there is and how they are told.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Office {
    /// People, rotas and chains.
    pub directory: Directory,
    /// Channels.
    pub channels: Channels,
}

/// What follows from a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Planned {
    /// Where the case stands in its chain now; none when it never entered one.
    pub escalation: Option<Escalation>,
    /// Who is told what.
    pub messages: Vec<Message>,
}

/// Decides what follows from a line of the log. `state` is where the case stood in its chain.
pub fn plan(office: &Office, news: &News, state: Option<Escalation>, now: Timestamp) -> Planned {
    let planner = Planner { office, news, now };
    let is_quiet = !news.case.status.is_open() || news.case.suppressed.is_some();
    let (escalation, messages) = match news.event.kind {
        CaseEventKind::Opened
        | CaseEventKind::Reopened
        | CaseEventKind::Returned
        | CaseEventKind::Unsuppressed
        | CaseEventKind::Unshelved => {
            if is_quiet {
                (state, Vec::new())
            } else {
                planner.begins(state)
            }
        }
        CaseEventKind::SeverityRaised => {
            if is_quiet {
                (state, Vec::new())
            } else {
                planner.rises(state)
            }
        }
        CaseEventKind::Escalated => planner.escalates(state, is_quiet),
        CaseEventKind::Acknowledged => (planner.happens(state, Happening::Taken), Vec::new()),
        CaseEventKind::Assigned | CaseEventKind::HandedOver => {
            let told = planner.tells_holder(Kind::Assigned);
            (planner.happens(state, Happening::Taken), told)
        }
        CaseEventKind::Commented => (state, planner.tells_holder(Kind::Commented)),
        CaseEventKind::Cleared | CaseEventKind::Suppressed | CaseEventKind::Shelved => {
            (planner.happens(state, Happening::Cleared), Vec::new())
        }
        _ if !news.case.status.is_open() => (planner.happens(state, Happening::Closed), Vec::new()),
        _ => (state, Vec::new()),
    };
    Planned {
        escalation,
        messages,
    }
}

struct Planner<'a> {
    office: &'a Office,
    news: &'a News,
    now: Timestamp,
}

impl Planner<'_> {
    fn happens(&self, state: Option<Escalation>, what: Happening) -> Option<Escalation> {
        state.map(|state| {
            let chain = state.chain.clone();
            state.next(what, self.now, &chain)
        })
    }

    /// A case that wants somebody: its chain begins, or goes on where it was.
    fn begins(&self, state: Option<Escalation>) -> (Option<Escalation>, Vec<Message>) {
        let (severity, site) = (self.news.case.severity, self.news.facts.site.as_ref());
        let Some(chain) = self.office.directory.chain_for(severity, site) else {
            return (state, Vec::new());
        };
        let state = match state {
            None => Escalation::begun(chain.id.clone(), self.now),
            Some(state) => state.next(Happening::Returned, self.now, &chain.id),
        };
        self.first_steps(state, Kind::Opened)
    }

    fn rises(&self, state: Option<Escalation>) -> (Option<Escalation>, Vec<Message>) {
        let (severity, site) = (self.news.case.severity, self.news.facts.site.as_ref());
        let Some(chain) = self.office.directory.chain_for(severity, site) else {
            return (state, Vec::new());
        };
        let Some(state) = state else {
            return self.begins(None);
        };
        let taken = state.acknowledged_at.is_some();
        let state = state.next(Happening::Rose, self.now, &chain.id);
        if taken {
            // Whoever has it has to know; the chain does not call others for what is in hand.
            let told = self.tell(&Target::Assignee, Kind::Risen, 0, None);
            return (Some(state), told);
        }
        self.first_steps(state, Kind::Risen)
    }

    /// The steps whose time is now.
    fn first_steps(&self, state: Escalation, kind: Kind) -> (Option<Escalation>, Vec<Message>) {
        let mut state = state;
        let mut messages = Vec::new();
        if let Some(chain) = self.office.directory.chain(&state.chain).cloned() {
            for step in state.due(&chain, self.now) {
                let to = &chain.steps[usize::from(step)].to;
                messages.extend(self.tell(to, kind, step, None));
                state = state.next(Happening::Told(step), self.now, &chain.id);
            }
        }
        messages.dedup_by(|a, b| a.id == b.id);
        (Some(state), messages)
    }

    /// The step that the log says is told now.
    fn escalates(
        &self,
        state: Option<Escalation>,
        is_quiet: bool,
    ) -> (Option<Escalation>, Vec<Message>) {
        let step = self.detail("step").and_then(serde_json::Value::as_u64);
        let (Some(state), Some(step)) = (state, step.and_then(|step| u16::try_from(step).ok()))
        else {
            return (None, Vec::new());
        };
        let told = state
            .clone()
            .next(Happening::Told(step), self.now, &state.chain);
        let chain = self.office.directory.chain(&state.chain);
        let to = chain.and_then(|chain| chain.steps.get(usize::from(step)));
        let messages = match to {
            Some(to) if !is_quiet => {
                let waited = self.now.since(state.since).as_secs() / 60;
                self.tell(&to.to, Kind::Escalated, step, Some(waited))
            }
            _ => Vec::new(),
        };
        (Some(told), messages)
    }

    /// Whoever has the case, unless they did it themselves.
    fn tells_holder(&self, kind: Kind) -> Vec<Message> {
        let holder = match kind {
            Kind::Assigned => self
                .detail("to")
                .and_then(serde_json::Value::as_str)
                .and_then(|to| PersonId::new(to).ok()),
            _ => self.news.case.assignee.clone(),
        };
        let by = self.news.event.by.as_deref();
        let Some(holder) = holder.filter(|holder| by != Some(holder.as_str())) else {
            return Vec::new();
        };
        self.tell(&Target::Person(holder), kind, 0, None)
    }

    fn detail(&self, field: &str) -> Option<&serde_json::Value> {
        self.news.event.detail.as_ref()?.get(field)
    }

    /// One message to each of those who are meant.
    fn tell(&self, to: &Target, kind: Kind, step: u16, waited_min: Option<u64>) -> Vec<Message> {
        let facts = &self.news.facts;
        let note = ["text", "note"]
            .iter()
            .find_map(|field| self.detail(field)?.as_str());
        let content = Content::Case {
            facts: Box::new(facts.clone()),
            by: self.news.event.by.clone(),
            note: note.map(str::to_owned),
            waited_min,
        };
        let about = facts.case.as_str();
        let event = format!("{}/{}/{step}", kind.as_str(), self.news.number);
        if let Target::Channel(id) = to {
            let Some(channel) = self.office.channels.get(id) else {
                return Vec::new();
            };
            let recipient = Recipient::Group(id.clone());
            let id = message_id(about, &event, &recipient, id);
            return vec![Message {
                id,
                kind,
                recipient,
                channel: channel.id.clone(),
                address: None,
                language: channel.language,
                content,
                at: self.now,
            }];
        }
        let assignee = self.news.case.assignee.as_ref();
        let meant = self
            .office
            .directory
            .meant(to, assignee, facts.site.as_ref(), self.now);
        let urgency = Some(facts.severity);
        meant
            .into_iter()
            .map(|person| self.to_person(person, urgency, about, &event, (kind, &content)))
            .collect()
    }

    fn to_person(
        &self,
        person: &Person,
        urgency: Option<Severity>,
        about: &str,
        event: &str,
        (kind, content): (Kind, &Content),
    ) -> Message {
        let channel = person.channel_for(urgency);
        let recipient = Recipient::Person(person.id.clone());
        Message {
            id: message_id(about, event, &recipient, channel),
            kind,
            recipient,
            channel: channel.clone(),
            address: person.email.clone(),
            language: person.language,
            content: content.clone(),
            at: self.now,
        }
    }
}

/// A visit that a customer is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The order.
    pub work_order: WorkOrderId,
    /// Whose asset it is.
    pub customer: CustomerId,
    /// Where mail reaches them.
    pub email: String,
    /// In which language.
    pub language: Language,
    /// The asset.
    pub asset_name: String,
    /// Where it stands.
    pub site_name: Option<String>,
    /// When somebody comes.
    pub at: Timestamp,
    /// The zone in which people there read times.
    pub time_zone: Option<String>,
    /// Who comes.
    pub engineer: Option<String>,
}

/// The notice of a visit; none without a way to send mail. The same visit at the same time gives
/// the same message; at another time it is another one.
pub fn notice(visit: &Visit, channels: &Channels, now: Timestamp) -> Option<Message> {
    let channel = channels.mail()?;
    let recipient = Recipient::Customer(visit.customer.clone());
    let event = format!("visit/{}", visit.at.as_micros());
    Some(Message {
        id: message_id(visit.work_order.as_str(), &event, &recipient, &channel.id),
        kind: Kind::Visit,
        recipient,
        channel: channel.id.clone(),
        address: Some(visit.email.clone()),
        language: visit.language,
        content: Content::Visit {
            work_order: visit.work_order.clone(),
            asset_name: visit.asset_name.clone(),
            site_name: visit.site_name.clone(),
            at: visit.at,
            time_zone: visit.time_zone.clone(),
            engineer: visit.engineer.clone(),
        },
        at: now,
    })
}

/// A message that says nothing but that a channel works.
pub fn test(
    office: &Office,
    channel: &ChannelId,
    person: Option<&PersonId>,
    by: &str,
    now: Timestamp,
) -> Option<Message> {
    let found = office.channels.get(channel)?;
    let person = match person {
        Some(id) => Some(office.directory.people.get(id)?),
        None => None,
    };
    let recipient = match person {
        Some(person) => Recipient::Person(person.id.clone()),
        None => Recipient::Group(channel.clone()),
    };
    let event = format!("test/{}", now.as_micros());
    Some(Message {
        id: message_id("test", &event, &recipient, channel),
        kind: Kind::Test,
        recipient,
        channel: channel.clone(),
        address: person.and_then(|person| person.email.clone()),
        language: person.map_or(found.language, |person| person.language),
        content: Content::Test { by: by.to_owned() },
        at: now,
    })
}
