//! What runs: follows the case log, lets chains go on, and sends.
//!
//! Once a second, or when rung: new lines of the log become messages; chains whose time has come
//! write their next step into the log, from where it becomes messages like everything else;
//! waiting messages get their turn; claimed ones are sent, each by a task of its own with a time
//! limit, so that a server that does not answer holds up nobody but itself.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rand::RngExt as _;
use telemetry::{BoxFuture, ChannelId, Clock, PortError, Timestamp};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    channel::{self, ChannelKind, Verdict},
    follow::Follower,
    http::{Client, HttpError},
    mail,
    message::{CaseFacts, Message},
    outbox::{Outbox, Sending, pause_after},
    plan::{Office, Visit, notice},
    words::words,
};
use crate::{AlertingError, Case, CaseDesk};

/// How often it is looked even when nobody rings: chains count in minutes, messages in seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often visits are looked for and old messages forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// Messages on their way at once.
const IN_FLIGHT: usize = 16;
/// Of these by one channel, so that one that hangs leaves room for the others.
const IN_FLIGHT_PER_CHANNEL: usize = 4;

/// What the notifier asks of the rest of the house.
pub trait Facts: Send + Sync {
    /// What people read about a case.
    fn of_case<'a>(&'a self, case: &'a Case) -> BoxFuture<'a, Result<CaseFacts, PortError>>;

    /// Visits to come of which a customer wants to be told, at most a thousand, next ones first.
    fn visits(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<Visit>, PortError>>;
}

/// What the notifier is made of.
#[derive(Clone)]
pub struct NotifierParts {
    /// Whose log is followed.
    pub desk: CaseDesk,
    /// Who there is.
    pub office: Arc<Office>,
    /// What people read.
    pub facts: Arc<dyn Facts>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Rung when there is something to look at.
    pub wake: Arc<Notify>,
    /// Where people reach the pages; without it messages hold no links.
    pub link: Option<String>,
    /// The name of this installation in events.
    pub source: String,
}

/// Follows, escalates, sends.
pub struct Notifier {
    parts: NotifierParts,
    outbox: Outbox,
    follower: Follower,
    client: Client,
    flying: JoinSet<Flown>,
    by_channel: BTreeMap<ChannelId, usize>,
    tidied: Option<Instant>,
}

/// A message that was tried.
struct Flown {
    one: Sending,
    verdict: Verdict,
    retry_after: Option<Duration>,
}

impl Notifier {
    /// A notifier that takes up what an earlier one left.
    ///
    /// # Errors
    /// [`AlertingError::Database`], and [`HttpError`] when TLS cannot be set up.
    pub async fn open(parts: NotifierParts) -> Result<Self, NotifierError> {
        let outbox = Outbox::new(parts.desk.clone());
        outbox.reclaim(parts.clock.now()).await?;
        Ok(Self {
            follower: Follower::new(parts.desk.clone(), Arc::clone(&parts.office)),
            client: Client::new()?,
            outbox,
            parts,
            flying: JoinSet::new(),
            by_channel: BTreeMap::new(),
            tidied: None,
        })
    }

    /// Works until it is stopped. What fails is told and tried again.
    ///
    /// # Errors
    /// Never; the signature is that of every part that runs.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), NotifierError> {
        while !stop.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "notifications wait");
            }
            tokio::select! {
                Some(flown) = self.flying.join_next() => self.landed(flown).await,
                () = self.parts.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
            while let Some(flown) = self.flying.try_join_next() {
                self.landed(flown).await;
            }
        }
        // Those on their way are claimed on disk; the next start sends them again.
        self.flying.shutdown().await;
        Ok(())
    }

    async fn look(&mut self) -> Result<(), NotifierError> {
        let now = self.parts.clock.now();
        self.follower.follow(&*self.parts.facts, now).await?;
        self.follower.escalate(now).await?;
        if self.tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            self.tidied = Some(Instant::now());
            self.announce_visits(now).await?;
            self.outbox.prune(now).await?;
        }
        let wants = self.parts.desk.wants_people().await?;
        self.outbox.allot(now, |case| wants.contains(case)).await?;
        self.send(now).await
    }

    async fn announce_visits(&self, now: Timestamp) -> Result<(), NotifierError> {
        let visits = self.parts.facts.visits(now).await?;
        let channels = &self.parts.office.channels;
        let notices: Vec<Message> = visits
            .iter()
            .filter_map(|visit| notice(visit, channels, now))
            .collect();
        if !notices.is_empty() {
            self.outbox.put(&notices).await?;
        }
        Ok(())
    }

    async fn send(&mut self, now: Timestamp) -> Result<(), NotifierError> {
        let room = IN_FLIGHT.saturating_sub(self.flying.len());
        let due = self
            .outbox
            .due(now, room, &self.by_channel, IN_FLIGHT_PER_CHANNEL)
            .await?;
        for one in due {
            *self
                .by_channel
                .entry(one.message.channel.clone())
                .or_default() += 1;
            let (parts, client) = (self.parts.clone(), self.client.clone());
            self.flying.spawn(async move {
                let (verdict, retry_after) = deliver(&parts, &client, &one.message).await;
                Flown {
                    one,
                    verdict,
                    retry_after,
                }
            });
        }
        Ok(())
    }

    async fn landed(&mut self, flown: Result<Flown, tokio::task::JoinError>) {
        let Ok(Flown {
            one,
            verdict,
            retry_after,
        }) = flown
        else {
            // Its lease runs out and it is tried again.
            tracing::error!("sending a notification panicked");
            return;
        };
        if let Some(count) = self.by_channel.get_mut(&one.message.channel) {
            *count = count.saturating_sub(1);
        }
        let (now, id) = (self.parts.clock.now(), &one.message.id);
        let noted = match verdict {
            Verdict::Taken => self.outbox.sent(id, now).await,
            Verdict::Later(error) => {
                let pause = pause_after(one.attempts, rand::rng().random());
                let pause = retry_after.map_or(pause, |asked| asked.max(pause));
                tracing::info!(%id, error, ?pause, "a notification waits");
                self.outbox.not_sent(&one, &error, Some(pause), now).await
            }
            Verdict::Refused(error) => {
                tracing::warn!(%id, channel = %one.message.channel, error, "a notification is stuck");
                self.outbox.not_sent(&one, &error, None, now).await
            }
        };
        if let Err(error) = noted {
            // Its lease runs out and it is sent again, with the same id.
            tracing::warn!(%id, %error, "what became of a notification could not be noted");
        }
    }
}

/// Sends one message.
async fn deliver(
    parts: &NotifierParts,
    client: &Client,
    message: &Message,
) -> (Verdict, Option<Duration>) {
    let Some(channel) = parts.office.channels.get(&message.channel) else {
        let gone = format!("there is no channel {} any more", message.channel);
        return (Verdict::Refused(gone), None);
    };
    let words = words(message, parts.link.as_deref());
    if channel.kind == ChannelKind::Smtp {
        let verdict = match mail::send(channel, message, &words).await {
            Ok(()) => Verdict::Taken,
            Err(error) if error.is_transient() => Verdict::Later(error.to_string()),
            Err(error) => Verdict::Refused(error.to_string()),
        };
        return (verdict, None);
    }
    let now = parts.clock.now();
    let request = channel::request(channel, message, &words, &parts.source, now);
    match client.send(&request).await {
        Ok(answer) => (channel::judge(channel.kind, &answer), answer.retry_after),
        Err(error) if error.is_transient() => (Verdict::Later(error.to_string()), None),
        Err(error) => (Verdict::Refused(error.to_string()), None),
    }
}

/// Why the notifier could not do something now.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// The outbox or the cases.
    #[error(transparent)]
    Alerting(#[from] AlertingError),
    /// What people read about a case could not be found out.
    #[error("what people read could not be found out")]
    Facts(#[from] PortError),
    /// TLS.
    #[error(transparent)]
    Http(#[from] HttpError),
}
