//! What can go wrong in alerting.

use telemetry::{CaseId, PortError, WorkOrderId};

use crate::Illegal;

/// Why alerting could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// There is no such case.
    #[error("there is no case {0}")]
    NotFound(CaseId),
    /// There is no such silence.
    #[error("there is no silence {0}")]
    NoSilence(i64),
    /// The step is not allowed in the status the case is in.
    #[error("case {case}: {illegal}")]
    Illegal {
        /// The case.
        case: CaseId,
        /// The step and the status.
        #[source]
        illegal: Illegal,
    },
    /// The case already has another order.
    #[error("case {case} already has work order {has}, so {given} cannot be recorded on it")]
    OtherOrder {
        /// The case.
        case: CaseId,
        /// The order it has.
        has: WorkOrderId,
        /// The order that was given.
        given: WorkOrderId,
    },
    /// An argument breaks a rule.
    #[error("{field} is not valid: {rule}")]
    Invalid {
        /// Which argument.
        field: &'static str,
        /// The rule it breaks and what to do.
        rule: &'static str,
    },
    /// The database refused or failed.
    #[error("the case database failed while {doing}")]
    Database {
        /// What was attempted, with the ids.
        doing: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database could not be brought to the present schema.
    #[error("the case database {path} could not be brought to the present schema")]
    Migration {
        /// The file.
        path: String,
        /// What went wrong.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A stored row cannot be read; the file was changed by something else.
    #[error("the case database holds {column} {value:?} of {row}, which cannot be read")]
    Unreadable {
        /// Which row.
        row: String,
        /// Which column.
        column: &'static str,
        /// Its first characters.
        value: String,
    },
}

impl AlertingError {
    /// Whether the same call may succeed later: the file is busy, full or out of reach.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database { source, .. } => is_transient(source),
            _ => false,
        }
    }
}

/// Primary result codes of SQLite that pass: BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN.
/// <https://sqlite.org/rescode.html>
const TRANSIENT_CODES: [i32; 6] = [5, 6, 7, 10, 13, 14];

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(database) => database
            .code()
            .and_then(|code| code.parse::<i32>().ok())
            .is_some_and(|code| TRANSIENT_CODES.contains(&(code & 0xff))),
        _ => false,
    }
}

impl From<AlertingError> for PortError {
    fn from(error: AlertingError) -> Self {
        let what = "alerting";
        if error.is_transient() {
            Self::Unavailable {
                what,
                source: Some(Box::new(error)),
            }
        } else {
            Self::Refused {
                what,
                source: Some(Box::new(error)),
            }
        }
    }
}
