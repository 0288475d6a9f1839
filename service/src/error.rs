//! What can go wrong in the service system.

use telemetry::{InvalidId, PortError, WorkOrderId};

use crate::{Illegal, InvalidText};

/// Why the service system could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What kind of thing, in words.
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// The step is not possible in the status the order is in, perhaps because somebody else
    /// was faster.
    #[error("work order {order}: {illegal}")]
    Illegal {
        /// The order.
        order: WorkOrderId,
        /// The action, the status and what is possible.
        #[source]
        illegal: Illegal,
    },
    /// An input breaks a rule.
    #[error("{field} is not valid: {problem}")]
    Invalid {
        /// Which input.
        field: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The input contradicts what is stored.
    #[error("{what} {id} {problem}")]
    Conflict {
        /// What kind of thing, in words.
        what: &'static str,
        /// Which one.
        id: String,
        /// What it collides with and what to do.
        problem: String,
    },
    /// The database refused or failed.
    #[error("the service database failed while {doing}")]
    Database {
        /// What was attempted, with the ids.
        doing: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database could not be brought to the present schema.
    #[error("the service database {path} could not be brought to the present schema")]
    Migration {
        /// The file.
        path: String,
        /// What went wrong.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A stored row cannot be read; the file was changed by something else.
    #[error("the service database holds {column} {value:?} of {row}, which cannot be read")]
    Unreadable {
        /// Which row.
        row: String,
        /// Which column.
        column: &'static str,
        /// Its first characters.
        value: String,
    },
}

impl ServiceError {
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

impl From<InvalidText> for ServiceError {
    fn from(invalid: InvalidText) -> Self {
        Self::Invalid {
            field: invalid.kind,
            problem: format!("{:?}: {}", invalid.text, invalid.rule),
        }
    }
}

impl From<InvalidId> for ServiceError {
    fn from(invalid: InvalidId) -> Self {
        Self::Invalid {
            field: invalid.kind,
            problem: format!("{:?}: {}", invalid.text, invalid.rule),
        }
    }
}

impl From<ServiceError> for PortError {
    fn from(error: ServiceError) -> Self {
        let what = "the service system";
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
