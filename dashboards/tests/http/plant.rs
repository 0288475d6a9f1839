//! A small plant behind a real server, and the words to work with it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alerting::CaseDesk;
use dashboards::{EventBus, FleetView, Parts};
use historian::{Journal, JournalConfig, ModelRegistry, Store, StoreConfig};
use ingest::{Decoder, IngestStats, Intake};
use reqwest::{Method, Response};
use serde_json::Value;
use service::{Access, Registration, Service, ServiceConfig};
use telemetry::{
    AdvisorySink, AssetId, AssetModel, AssetModelId, CaseId, Clock, Condition, ConditionState,
    Contribution, DeadLetter, DeadLetterReason, DeviceId, Evidence, FailureMode, Finding,
    JournalRecord, JournalWriter, ManualClock, OperatingState, ReadingBatch, SignalName,
    Statistics, Timestamp, Unit, ViewScore, Waveform,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::contract;

/// 2026-03-01T08:00:00Z, the hour at which everything in these tests happens.
pub(crate) const START: i64 = 1_772_352_000;

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(START + secs)
}

pub(crate) fn asset(id: &str) -> AssetId {
    AssetId::new(id).unwrap()
}

pub(crate) fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

/// Device, seconds after the start, and signals with their values.
pub(crate) type Row<'a> = (&'a str, i64, &'a [(&'a str, f64)]);

pub(crate) struct Plant {
    pub(crate) parts: Parts,
    pub(crate) clock: ManualClock,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    server: JoinHandle<std::io::Result<()>>,
    store: JoinHandle<()>,
    _folder: TempDir,
}

/// Cases of this plant are written by hand, so there is nothing to compute them from.
struct NothingFrozen;

impl dashboards::CaseReplay for NothingFrozen {
    fn replay<'a>(
        &'a self,
        _: &'a telemetry::CaseId,
    ) -> telemetry::BoxFuture<'a, Result<Option<dashboards::Recomputed>, String>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// A desk that decides at once.
async fn desk(path: &std::path::Path, service: &Service, clock: &Arc<dyn Clock>) -> CaseDesk {
    let settings = alerting::CaseSettings {
        settle: Duration::ZERO,
        ..alerting::CaseSettings::default()
    };
    let places = Arc::new(service.clone());
    let desk = CaseDesk::open(path, settings, places, Arc::clone(clock));
    desk.await.unwrap()
}

fn intake(
    journal: &Journal,
    service: &Service,
    clock: &Arc<dyn Clock>,
    stats: &Arc<IngestStats>,
) -> Intake {
    Intake::new(ingest::Parts {
        journal: Arc::new(journal.clone()),
        gate: Arc::new(service.clone()),
        clock: Arc::clone(clock),
        decoder: Arc::new(Decoder::default().with_stats(Arc::clone(stats))),
        stats: Arc::clone(stats),
        quotas: ingest::Quotas::default(),
    })
}

impl Plant {
    pub(crate) async fn open() -> Self {
        Self::with(Registration::Open, Access::Open).await
    }

    /// A plant that lets only registered devices in, or only those with a credential.
    pub(crate) async fn with(registration: Registration, access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let manual = ManualClock::at(at(0));
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let shutdown = CancellationToken::new();
        let journal = Journal::open(JournalConfig::at(path("journal.db"))).unwrap();
        let store = Store::open(StoreConfig::at(path("store.db")), &journal)
            .await
            .unwrap();
        let model = model();
        let models = Arc::new(BTreeMap::from([(model.id.clone(), Arc::new(model))]));
        let config = ServiceConfig {
            registration,
            models: Arc::clone(&models),
            access,
            ..ServiceConfig::default()
        };
        let service = Service::open(&path("service.db"), config, Arc::clone(&clock)).await;
        let service = service.unwrap();
        let stats = Arc::new(IngestStats::new());
        let intake = intake(&journal, &service, &clock, &stats);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bind = listener.local_addr().unwrap();
        let parts = Parts {
            connectors: Vec::new(),
            journal: journal.clone(),
            store: store.clone(),
            cases: desk(&path("cases.db"), &service, &clock).await,
            replays: Arc::new(NothingFrozen),
            readings: Arc::new(store.clone()),
            influx: None,
            intake,
            service,
            registry: ModelRegistry::open(&path("models.db")).unwrap(),
            fleet: FleetView::new(),
            events: EventBus::new(),
            ingest: stats,
            models,
            clock: Arc::clone(&clock),
            outcomes: Arc::new(Notify::new()),
            office: Arc::new(crate::people::office()),
            notify: Arc::new(Notify::new()),
            link: None,
            bind,
            allowed_hosts: Vec::new(),
            version: "1.2.3".to_owned(),
            started_at: at(0),
            demo: false,
            shutdown: shutdown.clone(),
        };
        let store = tokio::spawn(async move {
            store.run(journal, clock, shutdown).await.unwrap();
        });
        let server = tokio::spawn(dashboards::serve(listener, parts.clone()));
        Self {
            parts,
            clock: manual,
            base: format!("http://{bind}"),
            http: reqwest::Client::new(),
            server,
            store,
            _folder: folder,
        }
    }

    /// Ends everything; fails when the server or the store does not end by itself.
    pub(crate) async fn close(self) {
        self.parts.shutdown.cancel();
        let ended = async {
            self.server.await.unwrap().unwrap();
            self.store.await.unwrap();
        };
        tokio::time::timeout(Duration::from_secs(20), ended)
            .await
            .unwrap();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// Gets a resource that must be there and must be as it is described.
    pub(crate) async fn read(&self, path: &str) -> Value {
        self.described(Method::GET, path, None, 200).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.described(Method::POST, path, Some(body), status).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value, status: u16) -> Value {
        self.described(Method::PUT, path, Some(body), status).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value, status: u16) -> Value {
        self.described(Method::PATCH, path, Some(body), status)
            .await
    }

    pub(crate) async fn delete(&self, path: &str, status: u16) -> Value {
        self.described(Method::DELETE, path, None, status).await
    }

    /// Waits until everything that was committed shows in the store.
    pub(crate) async fn stored(&self) {
        let committed = *self.parts.journal.committed().borrow();
        while self.parts.store.applied() < committed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn described(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        status: u16,
    ) -> Value {
        let mut request = self.request(method.clone(), path);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let got = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert_eq!(got, status, "{method} {path}: {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        contract::check_response(&method, path, status, &value);
        value
    }

    /// Registers the devices as the pipeline does and appends their readings.
    pub(crate) async fn publish(&self, rows: &[Row<'_>]) {
        let mut devices: Vec<DeviceId> = rows.iter().map(|row| device(row.0)).collect();
        devices.dedup();
        self.parts
            .service
            .register_discovered(&devices)
            .await
            .unwrap();
        let mut readings = ReadingBatch::new();
        for (name, secs, values) in rows {
            let place = readings.device(&device(name));
            for (signal, value) in *values {
                let signal = readings.signal(&SignalName::new(signal).unwrap());
                readings.push_value(signal, *value);
            }
            readings.finish_row(place, at(*secs), at(*secs));
        }
        self.append(JournalRecord {
            readings,
            ..JournalRecord::default()
        })
        .await;
    }

    /// Appends a record and waits until it shows in the store.
    pub(crate) async fn append(&self, record: JournalRecord) {
        let offset = self.parts.journal.append(record).await.unwrap();
        while self.parts.store.applied() < offset {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A discovered device records a vibration snapshot, which arrives three seconds later.
    pub(crate) async fn record(
        &self,
        (name, signal, unit): (&str, &str, Option<Unit>),
        (secs, rate_hz): (i64, f64),
        samples: &[f32],
    ) {
        let known = [device(name)];
        self.parts
            .service
            .register_discovered(&known)
            .await
            .unwrap();
        let waveform = Waveform {
            device: device(name),
            signal: SignalName::new(signal).unwrap(),
            axis: Some("x".into()),
            measured_at: at(secs),
            received_at: at(secs + 3),
            sample_rate_hz: rate_hz,
            unit,
            samples: samples.into(),
        };
        self.append(JournalRecord {
            waveforms: vec![waveform],
            ..JournalRecord::default()
        })
        .await;
    }

    pub(crate) async fn refuse(&self, reason: DeadLetterReason, payload: &[u8]) {
        self.append(JournalRecord {
            dead_letters: vec![DeadLetter {
                reason,
                detail: "it is not JSON".to_owned(),
                device: Some(device("pump-1")),
                topic: "telemetry/pump-1".to_owned(),
                received_at: at(0),
                content_type: None,
                properties: Vec::new(),
                payload: payload.to_vec(),
                payload_len: payload.len() as u64,
            }],
            ..JournalRecord::default()
        })
        .await;
    }

    /// An alarm of a device as analytics reports it; opens a case and raises its order.
    pub(crate) async fn alarm(&self, name: &str, mode: &str, secs: i64) -> CaseId {
        self.parts
            .service
            .register_discovered(&[device(name)])
            .await
            .unwrap();
        let findings = [Finding::Condition(condition(name, mode, secs))];
        self.parts
            .store
            .put_findings(findings.to_vec())
            .await
            .unwrap();
        let changes = self.parts.cases.observe(&findings).await.unwrap();
        for advisory in self.parts.cases.pending_advisories().await.unwrap() {
            let order = self.parts.service.submit(&advisory).await.unwrap();
            let now = self.clock.now();
            self.parts
                .cases
                .order_raised(&advisory.case, &order, now)
                .await
                .unwrap();
        }
        changes[0].case.id.clone()
    }
}

pub(crate) fn condition(name: &str, mode: &str, secs: i64) -> Condition {
    Condition {
        asset: asset(name),
        device: device(name),
        at: at(secs + 30),
        state: ConditionState::Alarm,
        since: at(secs),
        operating: OperatingState::Unknown,
        evidence: Some(evidence(mode)),
    }
}

pub(crate) fn evidence(mode: &str) -> Evidence {
    Evidence {
        model: "pca-t2-q/1".to_owned(),
        window_from: at(-60),
        window_to: at(0),
        baseline_from: at(-4_000),
        baseline_to: at(-2_000),
        baseline_rows: 400,
        operating: OperatingState::Unknown,
        statistics: Statistics {
            score: 2.0,
            on: 1.0,
            off: 0.8,
        },
        views: vec![ViewScore {
            view: "level".to_owned(),
            version: 1,
            score: 6.0,
            limit: 3.0,
        }],
        failure_mode: FailureMode::new(mode).unwrap(),
        failure_mode_fit: 0.9,
        contributions: vec![Contribution {
            signal: SignalName::new("flow_l_min").unwrap(),
            share: 1.0,
            deviation: -6.5,
            value: 20.0,
            normal: 32.0,
            normal_low: 30.0,
            normal_high: 34.0,
        }],
        suspects: Vec::new(),
        peers: None,
    }
}

fn model() -> AssetModel {
    use telemetry::{FailureModeSignature, SignalSpec, Unit};
    let flow = SignalSpec {
        name: SignalName::new("flow_l_min").unwrap(),
        unit: Unit::LitrePerMinute,
        label_en: "Flow".to_owned(),
        label_zh: "流量".to_owned(),
        limits: telemetry::SignalLimits {
            min: Some(0.0),
            max: Some(1_000.0),
            ..telemetry::SignalLimits::default()
        },
        range: None,
        counter: false,
    };
    let id = AssetModelId::new("centrifugal-pump").unwrap();
    let mode = FailureMode::new("cavitation").unwrap();
    let cavitation = FailureModeSignature::new(mode, "Cavitation", "汽蚀", Vec::new());
    AssetModel {
        failure_modes: vec![cavitation],
        machine: Some(machine()),
        ..AssetModel::new(id, "Centrifugal pump", "离心泵", vec![flow])
    }
}

/// The machine of the Case Western Reserve rig, as a pump of medium size.
fn machine() -> telemetry::Machine {
    telemetry::Machine {
        rated_speed_rpm: Some(1797.0),
        vibration_group: Some(telemetry::VibrationGroup::Two),
        foundation: Some(telemetry::Foundation::Rigid),
        speed_signal: Some(SignalName::new("speed_rpm").unwrap()),
        bearings: vec![telemetry::Bearing {
            name: "drive end 6205".to_owned(),
            balls: 9,
            ball_diameter_mm: 7.94,
            pitch_diameter_mm: 39.04,
            contact_angle_deg: 0.0,
        }],
        ..telemetry::Machine::default()
    }
}
