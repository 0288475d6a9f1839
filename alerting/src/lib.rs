//! Cases: one per asset and failure mode, with its evidence, its event log and an advisory
//! to the service system (AG in ISO 13374).
//!
//! Findings of analytics come in, cases and advisories go out. What a finding means for the
//! cases is decided by pure code, a function of the stored state and the finding alone; the
//! store commits each decision together with the position it was made at. That is why a
//! crash followed by a replay of the same findings leaves every case exactly as it was.
//!
//! | module        | what it holds                                                      |
//! |---------------|--------------------------------------------------------------------|
//! | [`case`]      | the case, its log entries, its id, queries                          |
//! | [`lifecycle`] | `next(status, event)`: every legal step                             |
//! | [`desk`]      | the open cases and alarm episodes in memory, and the steps on them  |
//! | [`triage`]    | what a finding changes, without IO or clock                         |
//! | [`backtest`]  | what alerts would have done on a stored past                       |
//! | [`people`]    | who is on call, who is told next, who has a case                    |
//! | [`notify`]    | what is told to whom, and that it arrives                           |
//! | [`verdict`]   | sensor, operating state or machine                                  |
//! | [`review`]    | which cases ask for something now, and which are kept quiet         |
//! | [`grouping`]  | cases of one site that belong together                              |
//! | [`shelving`]  | shelves, silences and maintenance windows                           |
//! | [`budget`]    | which cases become orders when there is little room                 |
//! | [`rates`]     | how many alarms people get                                          |
//! | [`offline`]   | the desk without a file                                             |
//! | [`store`]     | [`CaseDesk`]: the SQLite file, transactions, the outcome port       |

pub mod backtest;
pub mod budget;
pub mod care;
pub mod case;
pub mod desk;
mod error;
pub mod grouping;
pub mod lifecycle;
pub mod notify;
pub mod offline;
pub mod people;
pub mod rates;
pub mod review;
pub mod rules;
pub mod scoreboard;
pub mod shelving;
pub mod store;
#[cfg(test)]
mod testing;
pub mod triage;
pub mod verdict;

pub use care::{
    Care, CaseSettings, CaseSource, Membership, Shelf, Suppression, SuppressionReason, WatchListed,
};
pub use case::{
    Case, CaseChange, CaseCounts, CaseDetail, CaseEvent, CaseQuery, CaseStatus, StatusFilter,
};
pub use error::AlertingError;
pub use lifecycle::{CaseEventKind, Illegal};
pub use offline::OfflineDesk;
pub use review::Withdrawal;
pub use shelving::{MaintenanceWindow, Matcher, NewSilence, Silence};
pub use store::{CaseDesk, CaseGroup, OpenCase, Ranked};
