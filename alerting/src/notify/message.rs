//! What is told: the facts, frozen when it was decided, and the id.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use telemetry::{
    AssetId, CaseId, ChannelId, CustomerId, Explanation, MessageId, PersonId, Severity, SiteId,
    Timestamp, WorkOrderId,
};

use crate::{Case, people::Language};

/// Cases that a digest names; the rest is counted.
pub const MAX_DIGEST_LINES: usize = 10;

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A case was opened.
    Opened,
    /// It became more urgent.
    Risen,
    /// Nobody took it in hand, or it is not solved yet.
    Escalated,
    /// It is theirs now.
    Assigned,
    /// Somebody wrote about a case that is theirs.
    Commented,
    /// What was held back, together.
    Digest,
    /// Somebody will come.
    Visit,
    /// Whether the channel works.
    Test,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Opened,
        Self::Risen,
        Self::Escalated,
        Self::Assigned,
        Self::Commented,
        Self::Digest,
        Self::Visit,
        Self::Test,
    ];

    /// The word in storage, API and event types.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Risen => "risen",
            Self::Escalated => "escalated",
            Self::Assigned => "assigned",
            Self::Commented => "commented",
            Self::Digest => "digest",
            Self::Visit => "visit",
            Self::Test => "test",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A person of the directory.
    Person(PersonId),
    /// Whoever reads a channel.
    Group(ChannelId),
    /// A customer, by the address in the ledger.
    Customer(CustomerId),
}

impl Recipient {
    /// The word in storage: the kind, a colon and the id. Ids hold no colon.
    pub fn key(&self) -> String {
        match self {
            Self::Person(id) => format!("person:{id}"),
            Self::Group(id) => format!("group:{id}"),
            Self::Customer(id) => format!("customer:{id}"),
        }
    }

    /// Reads what [`Self::key`] wrote.
    pub fn parse(key: &str) -> Option<Self> {
        let (kind, id) = key.split_once(':')?;
        match kind {
            "person" => PersonId::new(id).ok().map(Self::Person),
            "group" => ChannelId::new(id).ok().map(Self::Group),
            "customer" => CustomerId::new(id).ok().map(Self::Customer),
            _ => None,
        }
    }
}

/// What people read about a case, as it was when the message was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFacts {
    /// The case.
    pub case: CaseId,
    /// The asset.
    pub asset: AssetId,
    /// Its name.
    pub asset_name: String,
    /// Where it stands.
    pub site: Option<SiteId>,
    /// The name of that place.
    pub site_name: Option<String>,
    /// The zone in which people there read times.
    pub time_zone: Option<String>,
    /// How urgent it is.
    pub severity: Severity,
    /// What seems to be failing.
    pub mode: Explanation,
    /// Why, in words and numbers.
    pub why: Explanation,
    /// When the alarm rose, in event time.
    pub opened_at: Timestamp,
    /// Its order.
    pub work_order: Option<WorkOrderId>,
}

impl CaseFacts {
    /// What the case itself says, in its own words: ids instead of names.
    pub fn bare(case: &Case) -> Self {
        let mode = case.failure_mode.to_string();
        Self {
            case: case.id.clone(),
            asset: case.asset.clone(),
            asset_name: case.asset.to_string(),
            site: None,
            site_name: None,
            time_zone: None,
            severity: case.severity,
            mode: Explanation {
                en: mode.clone(),
                zh: mode,
            },
            why: Explanation {
                en: String::new(),
                zh: String::new(),
            },
            opened_at: case.opened_at,
            work_order: case.work_order.clone(),
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Content {
    /// One case.
    Case {
        /// The case.
        facts: Box<CaseFacts>,
        /// The person who did it, when it was a person.
        by: Option<String>,
        /// What they wrote.
        note: Option<String>,
        /// Minutes for which nobody has taken it in hand or solved it, where that is the reason.
        waited_min: Option<u64>,
    },
    /// Cases that were held back.
    Digest {
        /// How many.
        count: u64,
        /// How many of them are critical.
        critical: u64,
        /// The most urgent ones, at most [`MAX_DIGEST_LINES`].
        first: Vec<CaseFacts>,
    },
    /// A visit that is planned.
    Visit {
        /// The order.
        work_order: WorkOrderId,
        /// The asset.
        asset_name: String,
        /// Where.
        site_name: Option<String>,
        /// When.
        at: Timestamp,
        /// The zone in which the customer reads times.
        time_zone: Option<String>,
        /// Who comes.
        engineer: Option<String>,
    },
    /// Nothing but that the channel works.
    Test {
        /// Who asked.
        by: String,
    },
}

impl Content {
    /// The case it is about, when it is about one.
    pub fn case(&self) -> Option<&CaseFacts> {
        match self {
            Self::Case { facts, .. } => Some(facts),
            _ => None,
        }
    }

    /// How urgent it is.
    pub fn severity(&self) -> Option<Severity> {
        match self {
            Self::Case { facts, .. } => Some(facts.severity),
            Self::Digest { critical, .. } => Some(if *critical > 0 {
                Severity::Critical
            } else {
                Severity::Warning
            }),
            Self::Visit { .. } | Self::Test { .. } => None,
        }
    }

    /// The order it is about, when it is about one.
    pub fn work_order(&self) -> Option<&WorkOrderId> {
        match self {
            Self::Case { facts, .. } => facts.work_order.as_ref(),
            Self::Visit { work_order, .. } => Some(work_order),
            Self::Digest { .. } | Self::Test { .. } => None,
        }
    }

    /// What it shares its part of the limit with: the site, or the asset where there is none.
    pub fn group(&self) -> String {
        match self {
            Self::Case { facts, .. } => facts.site.as_ref().map_or_else(
                || format!("asset:{}", facts.asset),
                |site| format!("site:{site}"),
            ),
            Self::Digest { .. } => "digest".to_owned(),
            Self::Visit { work_order, .. } => format!("order:{work_order}"),
            Self::Test { .. } => "test".to_owned(),
        }
    }
}

/// One message to one recipient by one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// See [`message_id`].
    pub id: MessageId,
    /// Why they are told.
    pub kind: Kind,
    /// Who is told.
    pub recipient: Recipient,
    /// How.
    pub channel: ChannelId,
    /// The address there, where the channel needs one.
    pub address: Option<String>,
    /// In which language.
    pub language: Language,
    /// What is said.
    pub content: Content,
    /// When it was decided.
    pub at: Timestamp,
}

/// Crockford's base 32, as for cases: it survives being read out.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Base 32 digits of an id: 80 bits, so that a billion messages meet by chance once in a million years.
const ID_DIGITS: usize = 16;

/// The id of a message: `N-` and the first 80 bits of SHA-256 over what it is about (a case or an
/// order), the event that is told, the recipient and the channel, in Crockford's base 32.
///
/// A message that is decided twice has the same id both times, and so has one that is sent twice:
/// receivers that keep the id see each message once.
///
/// # Panics
/// Never: the text that is made here keeps the rule for ids.
pub fn message_id(about: &str, event: &str, to: &Recipient, channel: &ChannelId) -> MessageId {
    let mut hash = Sha256::new();
    for part in [about, event, &to.key(), channel.as_str()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let head = digest[..10]
        .iter()
        .fold(0_u128, |bits, &byte| bits << 8 | u128::from(byte));
    let mut text = String::with_capacity(2 + ID_DIGITS);
    text.push_str("N-");
    for digit in 0..ID_DIGITS {
        let at = (head >> (75 - 5 * digit)) & 31;
        text.push(char::from(BASE32[at as usize]));
    }
    MessageId::new(&text).expect("N- and base 32 digits are always a valid id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(about: &str, event: &str, to: &str, channel: &str) -> String {
        let to = Recipient::parse(to).unwrap();
        message_id(about, event, &to, &ChannelId::new(channel).unwrap()).to_string()
    }

    #[test]
    fn an_id_depends_on_each_part_and_stays_the_same_over_versions() {
        // Python: hashlib.sha256 over each part with its length as 8 bytes, first 80 bits in
        // Crockford's alphabet.
        let base = id("C-1", "opened", "person:wang", "mail");
        assert_eq!(base, "N-913YFN37M3TYPAZW");
        for other in [
            id("C-2", "opened", "person:wang", "mail"),
            id("C-1", "risen", "person:wang", "mail"),
            id("C-1", "opened", "group:wang", "mail"),
            id("C-1", "opened", "person:wang", "chat"),
            id("C-1o", "pened", "person:wang", "mail"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn recipients_are_read_back() {
        for key in ["person:wang-li", "group:plant-chat", "customer:CUS-0001"] {
            assert_eq!(Recipient::parse(key).unwrap().key(), key);
        }
        assert_eq!(Recipient::parse("nobody"), None);
        assert_eq!(Recipient::parse("robot:x"), None);
    }
}
