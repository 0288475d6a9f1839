//! The after-sales service system: customers, sites, the asset ledger, devices, engineers and
//! work orders.
//!
//! It is the system of record for what is maintained, where, and what was done about it. It
//! meets the rest of the house through ports: it says which devices may publish
//! (`DeviceGate`), turns advisories into proposed work orders (`AdvisorySink`), and keeps
//! each order's outcome in an outbox until it has been delivered.
//!
//! | module         | what it holds                                                     |
//! |----------------|-------------------------------------------------------------------|
//! | [`names`]      | texts that people type, checked once                               |
//! | [`ledger`]     | customers, sites, assets, devices, engineers                       |
//! | [`work_order`] | the work order, its log, its due date                              |
//! | [`lifecycle`]  | `next(status, action)`: every legal step                           |
//! | [`delivery`]   | orders on their way to other maintenance systems                    |
//! | [`planning`]   | job plans, prices, and the date of an order as a decision about money |
//! | [`credential`] | tokens and certificates: who may publish in a device's name          |
//! | [`signals`]    | what is declared about the signals of one device                  |
//! | [`history`]    | the past of assets from another system, cut into lives            |
//! | [`backtest`]   | the queue of rules that are tried on the stored past              |
//! | [`savings`]    | failures avoided, false alarms paid for, failures missed           |
//! | [`onboard`]    | devices by the hundred: one CSV, every error, all or nothing       |
//! | [`store`]      | [`Service`]: the SQLite file, the device registry, the ports       |

pub mod backtest;
pub mod contact;
#[cfg(test)]
#[path = "../../tests/fuzz/corpus.rs"]
mod corpus;
pub mod credential;
pub mod delivery;
mod error;
pub mod history;
pub mod ledger;
pub mod lifecycle;
pub mod names;
pub mod onboard;
pub mod planning;
pub mod savings;
pub mod signals;
pub mod store;
#[cfg(test)]
mod testing;
pub mod work_order;

pub use backtest::{Backtest, BacktestState, MAX_RULES_BYTES, NewBacktest};
pub use contact::{Contact, ContactLanguage};
pub use credential::{
    Access, CertificateBinding, Credential, CredentialKind, IssuedToken, TokenSpec,
};
pub use error::ServiceError;
pub use history::{
    AssetLives, EndOnRecord, HistoryKind, HistoryOptions, HistoryRecord, HistoryReport, LivesQuery,
    Mark, RecordedLife,
};
pub use ledger::{
    Asset, AssetQuery, AssetUpdate, Customer, CustomerRef, Device, Engineer, NewAsset, NewCustomer,
    NewEngineer, NewSite, Registration, Site, SiteRef, maybe_none,
};
pub use lifecycle::{Action, Illegal, WorkOrderStatus};
pub use names::{InvalidText, Name, Note, TimeZoneName, TopicPrefix};
pub use onboard::{
    Changed, Created, MAX_ONBOARD_BYTES, MAX_ONBOARD_ROWS, NewDevice, OnboardError, OnboardOptions,
    OnboardReport,
};
pub use planning::{
    Capacity, CustomerTerms, DateDecision, Estimate, InvalidPlan, JobPlan, JobPlans, OpeningHours,
    OrderCosts, PlanFile, PlanningConfig,
};
pub use savings::{
    EndedOrder, Figure, Figures, Grouping, LineKey, Month, Prices, SavingsEntry, SavingsKind,
};
pub use signals::{DeclaredBy, DeviceSignal, SignalView};
pub use store::{Service, ServiceConfig, WorkWindow};
pub use work_order::{
    Found, LogEntry, NewWorkOrder, OrderSignal, Step, WorkOrder, WorkOrderCounts, WorkOrderDetail,
    WorkOrderKind, WorkOrderQuery,
};
