//! The promise: one order in the other system for each order here, whatever breaks on the way.
//!
//! Two evaluators hand in the same cases and two senders empty one outbox, against a server on a
//! real socket that drops, hangs, fails and forgets to name what it made. Senders die after they
//! claimed and after the server answered. Time moves between rounds, so that leases run out.

mod server;

use std::{path::Path, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use service::{ServiceConfig, delivery::DeliveryState};
use telemetry::{
    Advisory, AdvisorySink as _, AssetId, CaseId, DeviceId, Evidence, Explanation, FailureMode,
    ManualClock, OperatingState, Severity, Statistics,
};

use self::server::{Server, Trust};
use super::*;

/// How many cases are handed in: a hundred in a hurry, or what this variable says.
const EPISODES: &str = "BELLWETHER_EPISODES";
/// Cases handed in at once.
const BATCH: usize = 25;
const NAME: &str = "cmms";

fn advisory(number: usize) -> Advisory {
    let t = Timestamp::from_secs;
    let mode = FailureMode::unclassified();
    Advisory {
        case: CaseId::new(&format!("C-{number:05}")).unwrap(),
        round: 1,
        asset: AssetId::new(&format!("pump-{}", number % 40)).unwrap(),
        device: DeviceId::new("gauge").unwrap(),
        failure_mode: mode.clone(),
        signal: None,
        severity: Severity::Warning,
        opened_at: t(1_000),
        evidence: Evidence {
            model: "pca-t2-q/1".to_owned(),
            window_from: t(900),
            window_to: t(1_000),
            baseline_from: t(0),
            baseline_to: t(800),
            baseline_rows: 400,
            operating: OperatingState::Unknown,
            statistics: Statistics {
                score: 2.0,
                on: 1.0,
                off: 0.7,
            },
            views: Vec::new(),
            failure_mode: mode,
            failure_mode_fit: 0.9,
            contributions: Vec::new(),
            suspects: Vec::new(),
            peers: None,
        },
        prognosis: None,
    }
}

fn mapping(trust: Trust) -> Mapping {
    let repeats = match trust {
        Trust::Key => "idempotency_header = \"idempotency-key\"",
        Trust::Lookup => "[lookup]\npath = \"/orders?case={{case}}\"\nreference = \"/items/0/id\"",
    };
    Mapping::parse(&format!(
        "written_for = \"a test\"\n{repeats}\n\
         [create]\nmethod = \"POST\"\npath = \"/orders\"\nreference = \"/id\"\n\
         body = {{ case = \"{{{{case}}}}\", title = \"{{{{title_en}}}}\" }}\n\
         [withdraw]\nmethod = \"PATCH\"\npath = \"/orders/{{{{reference}}}}\"\n\
         body = {{ why = \"{{{{note}}}}\" }}\n\
         [status]\npath = \"/orders/{{{{reference}}}}\"\nstatus = \"/state\"\noutcome = \"/found\"\n\
         words = {{ done = \"completed\", planned = \"approved\", dropped = \"cancelled\" }}\n\
         outcomes = {{ yes = \"confirmed\", no = \"no_fault_found\" }}\n"
    ))
    .unwrap()
}

async fn connector(path: &Path, clock: &ManualClock, server: &Server, trust: Trust) -> Connector {
    let config = ServiceConfig {
        connectors: vec![NAME.to_owned()],
        ..ServiceConfig::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let service = Service::open(path, config, Arc::clone(&clock))
        .await
        .unwrap();
    Connector {
        name: NAME.to_owned(),
        rest: Rest {
            mapping: mapping(trust),
            base_url: server.url(),
            credential: Some(("authorization".to_owned(), "Bearer secret".to_owned())),
            allow_private: true,
            timeout: Duration::from_millis(250),
            link: None,
        },
        poll_every: Duration::from_mins(5),
        service,
        client: Client::new().unwrap(),
        clock,
        events: EventBus::new(),
        outcomes: Arc::new(Notify::new()),
    }
}

/// Empties the outbox as far as it is due, dying now and then.
async fn send(connector: &Connector, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    while let Some(claimed) = connector.service.claim_delivery(NAME, LEASE).await.unwrap() {
        let dies = rng.random_range(0..10);
        if dies == 0 {
            continue;
        }
        let said = connector
            .rest
            .say(&connector.client, &connector.service, &claimed)
            .await;
        if dies == 1 {
            continue;
        }
        connector.settle(&claimed, said).await.unwrap();
    }
}

/// Hands in a case until it is taken, as an evaluator does that does not know of the other one.
async fn hand_in(connector: &Connector, advisory: &Advisory) -> telemetry::WorkOrderId {
    loop {
        match connector.service.submit(advisory).await {
            Ok(order) => return order,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

async fn race(trust: Trust, seed: u64) {
    let episodes = std::env::var(EPISODES).ok();
    let episodes: usize = episodes.and_then(|text| text.parse().ok()).unwrap_or(100);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.db");
    let clock = ManualClock::at(Timestamp::from_secs(1_700_000_000));
    let server = Server::start(trust, seed).await;
    let one = connector(&path, &clock, &server, trust).await;
    let two = connector(&path, &clock, &server, trust).await;
    let why = Explanation {
        en: "cleared".to_owned(),
        zh: "已恢复".to_owned(),
    };
    let mut rng = StdRng::seed_from_u64(seed);
    let mut withdrawn = Vec::new();
    let mut next = 0;
    let mut round = 0;
    loop {
        for _ in 0..BATCH.min(episodes - next) {
            let advisory = advisory(next);
            let (a, b) = tokio::join!(hand_in(&one, &advisory), hand_in(&two, &advisory));
            assert_eq!(a, b, "one order a case");
            next += 1;
            if rng.random_range(0..5) == 0 {
                one.service.withdraw(&advisory.case, &why).await.unwrap();
                withdrawn.push(advisory.case);
            }
        }
        round += 1;
        let seed = seed + 2 * round;
        tokio::join!(send(&one, seed), send(&two, seed + 1));
        let counts = one.service.connector_counts(NAME).await.unwrap();
        if next == episodes && counts.waiting == 0 {
            break;
        }
        assert!(round < 1_000, "{counts:?}");
        // So much time passes that the server has done by then what it was sent.
        server.quiet().await;
        clock.advance(RETRY_MOST + LEASE);
    }
    server.balance(&one.service, episodes, &withdrawn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_honours_keys_gets_each_order_once_whatever_breaks() {
    Box::pin(race(Trust::Key, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_knows_no_keys_is_asked_first_and_gets_each_order_once() {
    Box::pin(race(Trust::Lookup, 7)).await;
}

async fn calm(trust: Trust) -> (tempfile::TempDir, Server, Connector, ManualClock) {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::from_secs(1_700_000_000));
    let server = Server::calm(trust).await;
    let one = connector(&folder.path().join("service.db"), &clock, &server, trust).await;
    (folder, server, one, clock)
}

#[tokio::test]
async fn what_the_other_system_says_of_its_order_is_followed_here() {
    let (_folder, server, one, clock) = calm(Trust::Key).await;
    for (number, state, found, expected) in [
        (0, "planned", "", WorkOrderStatus::Approved),
        (1, "done", "yes", WorkOrderStatus::Completed),
        // Nobody has said what was found: a person has to.
        (2, "done", "", WorkOrderStatus::Proposed),
        (3, "dropped", "", WorkOrderStatus::Cancelled),
        (4, "on the moon", "", WorkOrderStatus::Proposed),
    ] {
        let id = one.service.submit(&advisory(number)).await.unwrap();
        assert!(one.deliver_one().await.unwrap());
        server.say_of(&advisory(number).case, state, found);
        clock.advance(Duration::from_mins(6));
        one.look().await.unwrap();
        let order = one.service.work_order(&id).await.unwrap().unwrap().order;
        assert_eq!(order.status, expected, "{state}");
        let told = one.service.deliveries(Some(&id), None).await.unwrap();
        assert_eq!(told[0].remote_status.as_deref(), Some(state));
        // It knows by itself what it has cancelled.
        assert_eq!(told.len(), 1, "{told:?}");
    }
    let ended = one.service.unsent_outcomes().await.unwrap();
    assert_eq!(ended.len(), 2);
    assert!(
        ended
            .iter()
            .any(|end| end.outcome == Some(telemetry::Outcome::Confirmed))
    );
}

#[tokio::test]
async fn what_is_refused_waits_for_a_person_and_holds_up_nobody_else() {
    let (_folder, server, one, clock) = calm(Trust::Key).await;
    server.refuse(&advisory(0).case);
    for number in 0..2 {
        one.service.submit(&advisory(number)).await.unwrap();
    }
    while one.deliver_one().await.unwrap() {}
    let counts = one.service.connector_counts(NAME).await.unwrap();
    assert_eq!((counts.stuck, counts.delivered), (1, 1));
    let error = counts.last_error.unwrap();
    assert!(
        error.contains("422") && !error.contains("secret"),
        "{error}"
    );
    let stuck = one
        .service
        .deliveries(None, Some(DeliveryState::Stuck))
        .await
        .unwrap();
    server.refuse_nothing();
    clock.advance(Duration::from_secs(1));
    one.service.retry_delivery(stuck[0].number).await.unwrap();
    while one.deliver_one().await.unwrap() {}
    let counts = one.service.connector_counts(NAME).await.unwrap();
    assert_eq!((counts.stuck, counts.delivered), (0, 2));
}

#[tokio::test]
async fn an_address_inside_is_not_called_unless_it_was_allowed() {
    let (_folder, server, mut one, _clock) = calm(Trust::Key).await;
    one.rest.allow_private = false;
    one.service.submit(&advisory(0)).await.unwrap();
    assert!(one.deliver_one().await.unwrap());
    let counts = one.service.connector_counts(NAME).await.unwrap();
    assert_eq!(counts.stuck, 1);
    assert_eq!(server.requests(), 0);
}

#[test]
fn pauses_double_to_a_quarter_of_an_hour_and_scatter() {
    for (attempt, chance, secs) in [
        (1, 0.0, 5.0),
        (2, 0.0, 10.0),
        (4, 0.0, 40.0),
        (4, 1.0, 28.0),
        (9, 0.0, 900.0),
        (4_000_000, 0.0, 900.0),
    ] {
        assert!(
            (backoff(attempt, chance).as_secs_f64() - secs).abs() < 1e-6,
            "{attempt}"
        );
    }
}
