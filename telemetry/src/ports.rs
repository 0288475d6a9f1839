//! The ports: where crates of one floor meet. Each has its contract in its documentation;
//! `bellwether` plugs the adapters in.

use std::{error::Error, future::Future, pin::Pin, sync::Arc};

use crate::{
    Advisory, CaseId, Claim, CredentialId, Denied, DeviceId, DeviceRules, Explanation, Grant,
    JournalRecord, Offset, WorkOrderClosed, WorkOrderId,
};

/// A boxed future, so that ports can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a port could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The other side cannot be reached or is full now; the same call may succeed later.
    #[error("{what} is not available now")]
    Unavailable {
        /// Which part, in words.
        what: &'static str,
        /// What it said.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The call was refused for what it asked; repeating it will not help.
    #[error("{what} refused the call")]
    Refused {
        /// Which part, in words.
        what: &'static str,
        /// What it said.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The other side has been shut down for good.
    #[error("{what} has been shut down")]
    Closed {
        /// Which part, in words.
        what: &'static str,
    },
}

impl PortError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// The durable log of what arrived.
pub trait JournalWriter: Send + Sync {
    /// Commits a record. When this resolves to `Ok`, the record has been fsynced and will be
    /// seen by every reader, once, over any crash. When it resolves to `Err`, nothing of it
    /// was acknowledged; it may be sent again. Calls wait while the journal is slow: that is
    /// the back-pressure that reaches the device. The call takes its place in the queue when
    /// it is polled first; dropping the future afterwards may still commit the record.
    fn append(&self, record: JournalRecord) -> BoxFuture<'_, Result<Offset, PortError>>;
}

/// Whether a device's readings are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Admitted,
    /// The device is not registered and registration is closed.
    Unknown,
}

/// Who may publish, and what is declared about them. Called for every message: no IO, no lock
/// held over a wait.
pub trait DeviceGate: Send + Sync {
    /// Whether readings of this device are accepted now.
    fn admit(&self, device: &DeviceId) -> Admission;

    /// What is declared about the signals of this device; none when nothing is.
    fn rules(&self, device: &DeviceId) -> Option<Arc<DeviceRules>>;

    /// Rises whenever a device, a rule or a credential changed, so that answers may be kept
    /// until then.
    fn generation(&self) -> u64;

    /// Decides about somebody who connects.
    ///
    /// # Errors
    /// [`Denied`], without telling more than it must.
    fn authenticate(&self, claim: &Claim<'_>) -> Result<Grant, Denied>;

    /// Whether a credential that was granted before is still valid.
    fn is_valid(&self, credential: CredentialId) -> bool;
}

/// Lets everybody in and declares nothing: the gate of tools that have no service system, such
/// as an import into an empty folder.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

impl DeviceGate for OpenGate {
    fn admit(&self, _: &DeviceId) -> Admission {
        Admission::Admitted
    }

    fn rules(&self, _: &DeviceId) -> Option<Arc<DeviceRules>> {
        None
    }

    fn generation(&self) -> u64 {
        0
    }

    fn authenticate(&self, _: &Claim<'_>) -> Result<Grant, Denied> {
        Ok(Grant::ANYONE)
    }

    fn is_valid(&self, _: CredentialId) -> bool {
        false
    }
}

/// The service system, as alerting sees it.
pub trait AdvisorySink: Send + Sync {
    /// Turns an advisory into a proposed work order and returns its id. Idempotent by
    /// `advisory.case` and `advisory.round`: the second call for a round of a case returns the
    /// first call's order, unchanged.
    fn submit<'a>(
        &'a self,
        advisory: &'a Advisory,
    ) -> BoxFuture<'a, Result<WorkOrderId, PortError>>;

    /// The condition behind a case has cleared, or the case was merged into another: a proposal
    /// that nobody has approved is taken back, with the reason. An order that somebody has
    /// approved stays; the reason is added to it. Gives the order that was touched; none when the
    /// case has no order, or the same was said before. Idempotent.
    fn withdraw<'a>(
        &'a self,
        case: &'a CaseId,
        reason: &'a Explanation,
    ) -> BoxFuture<'a, Result<Option<WorkOrderId>, PortError>> {
        let _ = (case, reason);
        Box::pin(async { Ok(None) })
    }

    /// The same problem has shown again, or has become more serious: what is new is added to the
    /// order of the case, and never makes a second order. The date of an order that nobody has
    /// approved yet follows. Gives the order when something of it changed.
    fn amend<'a>(
        &'a self,
        advisory: &'a Advisory,
    ) -> BoxFuture<'a, Result<Option<WorkOrderId>, PortError>> {
        let _ = advisory;
        Box::pin(async { Ok(None) })
    }
}

/// Alerting, as the service system sees it.
pub trait OutcomeSink: Send + Sync {
    /// Records how a work order ended. Idempotent by `closed.work_order`.
    fn record<'a>(&'a self, closed: &'a WorkOrderClosed) -> BoxFuture<'a, Result<(), PortError>>;
}
