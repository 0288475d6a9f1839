//! Orders on their way to other maintenance systems: what is told, and where that stands.
//!
//! The order of a case is written here first, whatever else there is; in the same transaction each
//! configured connector gets a row of the outbox. Whoever sends claims a row for a while, sends
//! it under a key that is the same for every attempt, and settles it. A crash anywhere in between
//! means that the lease runs out and the same is sent again under the same key.

use serde::{Deserialize, Serialize};
use telemetry::{CaseId, Timestamp, WorkOrderId};

use crate::WorkOrder;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// There is an order.
    Create,
    /// There is more evidence for it.
    Amend,
    /// It is not wanted any more.
    Withdraw,
}

impl DeliveryKind {
    /// Every kind, in order.
    pub const ALL: [Self; 3] = [Self::Create, Self::Amend, Self::Withdraw];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Amend => "amend",
            Self::Withdraw => "withdraw",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It has still to be told, perhaps again.
    Waiting,
    /// The other system has it.
    Delivered,
    /// The other system refuses it, or has not answered for too long; a person has to look.
    Stuck,
    /// It was withdrawn before anything was sent.
    Withdrawn,
}

impl DeliveryState {
    /// Every state, in order.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Stuck, Self::Withdrawn];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Stuck => "stuck",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A row of the outbox that somebody has claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The number of the row.
    pub number: i64,
    /// What is told.
    pub kind: DeliveryKind,
    /// The same for each attempt.
    pub key: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was first to be told.
    pub created_at: Timestamp,
    /// The reason or the evidence.
    pub note: String,
    /// The order as it is now.
    pub order: WorkOrder,
    /// What the other system calls it; none before it has it.
    pub reference: Option<String>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The other system has it, under this reference when it told one.
    Delivered(Option<String>),
    /// It has to be tried again from then on.
    Again {
        /// From when on.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// Trying again will not help.
    Stuck(String),
}

/// An order of another system that is to be looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// The order.
    pub order: WorkOrder,
    /// What the other system calls it.
    pub reference: String,
}

/// How the order of a case stands with a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// The number of the row.
    pub number: i64,
    /// Which connector.
    pub connector: String,
    /// The order.
    pub work_order: WorkOrderId,
    /// The case behind it.
    pub case: Option<CaseId>,
    /// What is told.
    pub kind: DeliveryKind,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What the other system calls the order.
    pub reference: Option<String>,
    /// Its own word for where the order stands.
    pub remote_status: Option<String>,
    /// When it was first to be told.
    pub created_at: Timestamp,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
}

/// How a connector fares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectorCounts {
    /// Rows that wait.
    pub waiting: u64,
    /// Rows that were told.
    pub delivered: u64,
    /// Rows a person has to look at.
    pub stuck: u64,
    /// Rows that were withdrawn before anything was sent.
    pub withdrawn: u64,
    /// Why the latest attempt failed, when one waits or is stuck.
    pub last_error: Option<String>,
}
