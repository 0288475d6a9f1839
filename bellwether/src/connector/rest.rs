//! One message over HTTP: ask whether it was said before, say it, read the answer.

use std::{collections::BTreeMap, time::Duration};

use alerting::notify::http::{Answer, Client, HttpError, Request};
use serde_json::Value;
use service::{
    Service,
    delivery::{Claimed, DeliveryKind, Remote},
};

use super::{
    facts,
    mapping::{Ask, Mapping, at, found},
    template::{Facts, fill, fill_header, fill_path},
};

/// Where another system is, and how it wants to be spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    pub(crate) mapping: Mapping,
    /// Without a slash at its end.
    pub(crate) base_url: String,
    /// A header and its value that say who we are.
    pub(crate) credential: Option<(String, String)>,
    /// Whether the address may be one inside the plant.
    pub(crate) allow_private: bool,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// Where people reach the pages from outside.
    pub(crate) link: Option<String>,
}

/// What came of saying something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is known there, under this reference if it has one.
    Known(Option<String>),
    /// It may work later; after so long, when the other side said.
    Later(String, Option<Duration>),
    /// It will not work.
    Refused(String),
}

/// What another system says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: String,
    pub(crate) outcome: Option<String>,
}

/// A system that is asked for what it has instead of honouring keys is given so long to finish what
/// it was sent: a look-up while it still works on the order would find none, and order again.
/// Twice what proxies commonly allow a request.
const SETTLE: Duration = Duration::from_mins(2);

/// Answers that mean "not now": time-out, conflict with a request under way, too early, too many.
const LATER: [u16; 4] = [408, 409, 425, 429];

impl Rest {
    /// Says a message.
    pub(crate) async fn say(&self, client: &Client, service: &Service, claimed: &Claimed) -> Said {
        let facts = facts::of_message(claimed, service, self.link.as_deref());
        let Some(call) = self.mapping.call(claimed.kind) else {
            // This system does not want to hear it.
            return Said::Known(None);
        };
        if claimed.kind == DeliveryKind::Create
            && claimed.attempt > 1
            && let Some(lookup) = &self.mapping.lookup
        {
            match self.find(client, lookup, &facts).await {
                Ok(Some(reference)) => return Said::Known(Some(reference)),
                Ok(None) => {}
                Err(said) => return said,
            }
        }
        let mut headers = self.headers(&call.headers, &facts);
        if let Some(name) = &self.mapping.idempotency_header {
            headers.push((name.clone(), claimed.key.clone()));
        }
        let body = fill(&call.body, &facts, &self.mapping.words);
        let request = Request {
            method: call.method.as_str(),
            url: self.url(&call.path, &facts),
            headers,
            content_type: "application/json",
            body: body.to_string().into_bytes(),
            allow_private: self.allow_private,
        };
        let answer = match self.send(client, &request).await {
            Ok(answer) => answer,
            Err(Said::Later(why, asked)) if claimed.kind == DeliveryKind::Create => {
                return self.later(why, asked);
            }
            Err(said) => return said,
        };
        let reference = call.reference.as_ref().and_then(|pointer| {
            let answer: Value = serde_json::from_slice(&answer.body).ok()?;
            at(&answer, pointer)
        });
        if claimed.kind == DeliveryKind::Create && reference.is_none() {
            // It may have been made; the next attempt finds it, or meets its own key.
            return self.later("the answer does not name the order".to_owned(), None);
        }
        Said::Known(reference)
    }

    /// When to try an order again that may have been made.
    fn later(&self, why: String, asked: Option<Duration>) -> Said {
        let settle = self.mapping.lookup.as_ref().map(|_| SETTLE);
        Said::Later(why, asked.max(settle))
    }

    /// Asks where an order stands; none when the system is not asked or has no word for it.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        service: &Service,
        remote: &Remote,
    ) -> Result<Option<Told>, String> {
        let Some(ask) = &self.mapping.status else {
            return Ok(None);
        };
        let case = remote.order.case.as_ref().map_or("", |case| case.as_str());
        let mut facts = facts::of_order(&remote.order, case, service, self.link.as_deref());
        facts.insert("reference", Value::String(remote.reference.clone()));
        let answer = self
            .get(client, &ask.path, &facts)
            .await
            .map_err(|said| match said {
                Said::Later(why, _) | Said::Refused(why) => why,
                Said::Known(_) => String::new(),
            })?;
        Ok(at(&answer, &ask.status).map(|status| Told {
            status,
            outcome: ask
                .outcome
                .as_ref()
                .and_then(|pointer| at(&answer, pointer)),
        }))
    }

    async fn find(
        &self,
        client: &Client,
        lookup: &Ask,
        facts: &Facts,
    ) -> Result<Option<String>, Said> {
        let answer = self.get(client, &lookup.path, facts).await?;
        found(&answer, &lookup.reference).map_err(|error| Said::Later(error.to_string(), None))
    }

    async fn get(&self, client: &Client, path: &str, facts: &Facts) -> Result<Value, Said> {
        let request = Request {
            method: "GET",
            url: self.url(path, facts),
            headers: self.headers(&BTreeMap::new(), facts),
            content_type: "application/json",
            body: Vec::new(),
            allow_private: self.allow_private,
        };
        let answer = self.send(client, &request).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| Said::Later(format!("the answer is no JSON: {error}"), None))
    }

    async fn send(&self, client: &Client, request: &Request) -> Result<Answer, Said> {
        let sent = tokio::time::timeout(self.timeout, client.send(request)).await;
        let answer = match sent.unwrap_or(Err(HttpError::TimedOut)) {
            Ok(answer) => answer,
            Err(error) if error.is_transient() => return Err(Said::Later(error.to_string(), None)),
            Err(error) => return Err(Said::Refused(error.to_string())),
        };
        let said = || {
            let text = String::from_utf8_lossy(&answer.body);
            format!("answered {}: {}", answer.status, text.trim())
        };
        match answer.status {
            200..=299 => Ok(answer),
            status if status >= 500 || LATER.contains(&status) => {
                Err(Said::Later(said(), answer.retry_after))
            }
            _ => Err(Said::Refused(said())),
        }
    }

    fn url(&self, path: &str, facts: &Facts) -> String {
        let path = fill_path(path, facts, &self.mapping.words);
        format!("{}{path}", self.base_url)
    }

    fn headers(&self, further: &BTreeMap<String, String>, facts: &Facts) -> Vec<(String, String)> {
        let all = self.mapping.headers.iter().chain(further);
        let filled = all.map(|(name, text)| {
            let told = fill_header(text, facts, &self.mapping.words);
            (name.clone(), told)
        });
        filled.chain(self.credential.clone()).collect()
    }
}
