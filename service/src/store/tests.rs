mod backtests;
mod devices;
mod history;
mod ledger;
mod orders;
mod places;
mod planning;

use std::path::PathBuf;

use proptest::prelude::*;
use telemetry::{
    CaseId, CustomerId, EngineerId, FailureMode, ManualClock, Outcome, Severity, SiteId,
    WorkOrderClosed,
};
use tempfile::TempDir;

use super::*;
use crate::{
    Action, Asset, AssetQuery, AssetUpdate, Found, LogEntry, Name, NewAsset, NewCustomer,
    NewEngineer, NewSite, NewWorkOrder, Note, Site, Step, TimeZoneName, WorkOrder, WorkOrderDetail,
    WorkOrderKind, WorkOrderQuery, WorkOrderStatus, lifecycle,
    testing::{advisory, prognosis, t},
};

/// A file in a folder of its own, and a clock.
struct Bench {
    _folder: TempDir,
    path: PathBuf,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            path: folder.path().join("service.db"),
            clock: ManualClock::at(t(5_000)),
            _folder: folder,
        }
    }

    async fn open(&self, registration: Registration) -> Service {
        let config = ServiceConfig {
            registration,
            ..ServiceConfig::default()
        };
        Service::open(&self.path, config, Arc::new(self.clock.clone()))
            .await
            .unwrap()
    }
}

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn asset(id: &str) -> AssetId {
    AssetId::new(id).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn new_asset(id: &str) -> NewAsset {
    NewAsset {
        id: asset(id),
        name: None,
        model: AssetModelId::unknown(),
        site: None,
        parent: None,
        devices: Vec::new(),
    }
}

async fn manual(service: &Service, of: &str) -> WorkOrder {
    let new = NewWorkOrder {
        asset: asset(of),
        kind: WorkOrderKind::Inspection,
        note: Note::new("listen to it").unwrap(),
        by: name("Mei"),
        due_by: None,
    };
    service.create_work_order(new).await.unwrap()
}

async fn engineer(service: &Service) -> EngineerId {
    let new = NewEngineer {
        id: None,
        name: name("Jo"),
        skills: vec![name("alignment"), name("bearings")],
    };
    service.create_engineer(new).await.unwrap().id
}

/// The step that `action` names, with what it needs.
fn step(action: Action, engineer: &EngineerId) -> Step {
    match action {
        Action::Approve => Step::Approve,
        Action::Schedule => Step::Schedule {
            engineer: engineer.clone(),
            scheduled_for: t(9_000),
        },
        Action::Start => Step::Start,
        Action::Complete => Step::Complete(Found::of(Outcome::Confirmed)),
        Action::Cancel => Step::Cancel,
        Action::Report => Step::Report(Found::of(Outcome::Confirmed)),
    }
}
