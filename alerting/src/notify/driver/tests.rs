//! The notifier against real sockets, with a clock that stands still until it is moved.

mod receiver;

use std::path::Path;

use serde_json::Value;
use telemetry::{ChainId, ManualClock, PersonId, RotaId, Severity, SiteId};

use super::*;
use crate::{
    notify::{
        allot::LIMIT,
        channel::{Channel, Channels},
        message::{Kind, Recipient},
        outbox::{OutboxQuery, State},
    },
    people::{Chain, Directory, Language, PLANNER, Person, REGIONAL_MANAGER, Rota},
    testing::{Probe, probe, t},
};
use receiver::{Manner, Receiver};

/// The first words of an asset's id are its site.
struct Plant;

impl Facts for Plant {
    fn of_case<'a>(&'a self, case: &'a Case) -> BoxFuture<'a, Result<CaseFacts, PortError>> {
        let site = case.asset.as_str().split('-').next().unwrap_or("none");
        let facts = CaseFacts {
            site: SiteId::new(site).ok(),
            ..CaseFacts::bare(case)
        };
        Box::pin(std::future::ready(Ok(facts)))
    }

    fn visits(&self, _: Timestamp) -> BoxFuture<'_, Result<Vec<Visit>, PortError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

fn person(id: &str, roles: &[&str]) -> Person {
    Person {
        id: PersonId::new(id).unwrap(),
        name: id.to_owned(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        sites: Vec::new(),
        language: Language::En,
        email: None,
        channel: ChannelId::new("hook").unwrap(),
        urgent_channel: None,
    }
}

/// Wang and Chen take turns, Li plans, Zhao manages the region; all are told by one webhook.
fn office(url: &str, allow_private: bool) -> Office {
    let people = [
        person("wang", &[]),
        person("chen", &[]),
        person("li", &[PLANNER]),
        person("zhao", &[REGIONAL_MANAGER]),
    ];
    let hook = Channel {
        id: ChannelId::new("hook").unwrap(),
        kind: ChannelKind::Webhook,
        url: url.to_owned(),
        secret: Some("s3cret".to_owned()),
        from: None,
        allow_private,
        language: Language::En,
    };
    let rota = Rota {
        id: RotaId::new("plant").unwrap(),
        time_zone: chrono_tz::Tz::UTC,
        first_turn: "1969-12-29T00:00:00".parse().unwrap(),
        days: 7,
        members: vec![
            PersonId::new("wang").unwrap(),
            PersonId::new("chen").unwrap(),
        ],
        sites: Vec::new(),
        overrides: Vec::new(),
    };
    Office {
        directory: Directory {
            people: people
                .into_iter()
                .map(|one| (one.id.clone(), one))
                .collect(),
            rotas: vec![rota],
            chains: Chain::defaults(),
        },
        channels: Channels([(hook.id.clone(), hook)].into()),
    }
}

struct Rig {
    desk: CaseDesk,
    clock: ManualClock,
    notifier: Notifier,
    outbox: Outbox,
}

impl Rig {
    async fn open(path: &Path, office: Office, clock: &ManualClock) -> Self {
        let desk = crate::testing::desk(path).await;
        let parts = NotifierParts {
            desk: desk.clone(),
            office: Arc::new(office),
            facts: Arc::new(Plant),
            clock: Arc::new(clock.clone()),
            wake: Arc::default(),
            link: None,
            source: "urn:bellwether:test".to_owned(),
        };
        let mut notifier = Notifier::open(parts).await.unwrap();
        notifier.look().await.unwrap();
        Self {
            outbox: Outbox::new(desk.clone()),
            desk,
            clock: clock.clone(),
            notifier,
        }
    }

    /// A second of the plant's time goes by, and everything that was begun in it ends.
    async fn second(&mut self) {
        self.clock.advance(Duration::from_secs(1));
        self.notifier.look().await.unwrap();
        while let Some(flown) = self.notifier.flying.join_next().await {
            self.notifier.landed(flown).await;
        }
    }

    async fn later(&mut self, span: Duration) {
        self.clock.advance(span);
        // One look writes what a chain says into the log, the next tells it.
        self.second().await;
        self.second().await;
    }

    async fn critical(&self, pump: &Probe, at: i64) -> Case {
        let findings = [
            pump.alarm(at, at, "bearing-wear", 2.0),
            pump.health(at, 5.0),
        ];
        let changes = self.desk.observe(&findings).await.unwrap();
        let case = changes.last().unwrap().case.clone();
        assert_eq!(case.severity, Severity::Critical);
        case
    }

    async fn in_state(&self, state: State) -> Vec<Sending> {
        let query = OutboxQuery {
            state: Some(state),
            limit: 10_000,
            ..OutboxQuery::default()
        };
        self.outbox.list(&query).await.unwrap()
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn clock() -> ManualClock {
    ManualClock::at(t(1_000_000))
}

fn to(body: &Value) -> (&str, &str) {
    let kind = body["type"].as_str().unwrap();
    let kind = kind.strip_prefix("bellwether.notification.").unwrap();
    (kind, body["data"]["recipient"].as_str().unwrap())
}

#[tokio::test]
async fn whoever_is_on_call_is_told_and_the_chain_goes_up_until_somebody_takes_the_case() {
    let (folder, clock) = (folder(), clock());
    let receiver = Receiver::start(Manner::Answers(204)).await;
    let office = office(&format!("http://{}/", receiver.address), true);
    let mut rig = Rig::open(&folder.path().join("cases.db"), office, &clock).await;
    let case = rig.critical(&probe("north-pump", "d-1"), 1_000_000).await;
    rig.second().await;
    rig.later(Duration::from_hours(1)).await;
    rig.later(Duration::from_hours(1)).await;
    rig.desk
        .acknowledge(&case.id, "li", clock.now())
        .await
        .unwrap();
    rig.later(Duration::from_hours(30)).await;
    // It had risen to critical before it was told, so the first one told is the one on call. Nobody
    // of the headquarters is in the directory.
    let seen = receiver.seen.all().clone();
    let told: Vec<_> = seen.iter().map(|(_, body)| to(body)).collect();
    assert_eq!(
        told,
        [
            ("opened", "person:wang"),
            ("escalated", "person:li"),
            ("escalated", "person:zhao"),
            ("escalated", "person:zhao"),
        ]
    );
    let log = rig.desk.get(&case.id).await.unwrap().unwrap().events;
    let steps = log
        .iter()
        .filter(|event| event.kind == crate::CaseEventKind::Escalated);
    assert_eq!(
        steps.count(),
        3,
        "1 h and 2 h for an answer, 24 h for a solution"
    );
}

#[tokio::test]
async fn a_server_that_was_down_gets_each_message_once_with_its_id() {
    let (folder, clock) = (folder(), clock());
    let receiver = Receiver::start(Manner::Answers(503)).await;
    let office = office(&format!("http://{}/", receiver.address), true);
    let mut rig = Rig::open(&folder.path().join("cases.db"), office, &clock).await;
    rig.critical(&probe("north-pump", "d-1"), 1_000_000).await;
    for _ in 0..60 {
        rig.second().await;
    }
    let tried = receiver.seen.ids();
    assert!((3..20).contains(&tried.len()), "{}", tried.len());
    assert!(tried.iter().all(|id| *id == tried[0]));
    assert_eq!(
        rig.outbox.counts().await.unwrap().stuck,
        1,
        "a person can see it"
    );
    receiver.behaves(Manner::Answers(200));
    rig.later(Duration::from_mins(5)).await;
    rig.later(Duration::from_mins(5)).await;
    assert_eq!(receiver.seen.ids().len(), tried.len() + 1, "taken once");
    let sent = rig.in_state(State::Sent).await;
    assert_eq!(
        (sent.len(), sent[0].message.id.as_str()),
        (1, tried[0].as_str())
    );
}

#[tokio::test]
async fn a_process_that_dies_between_sending_and_marking_sends_the_same_id_again() {
    let (folder, clock) = (folder(), clock());
    let path = folder.path().join("cases.db");
    let receiver = Receiver::start(Manner::FallsSilent).await;
    let office = office(&format!("http://{}/", receiver.address), true);
    let mut rig = Rig::open(&path, office.clone(), &clock).await;
    rig.critical(&probe("north-pump", "d-1"), 1_000_000).await;
    clock.advance(Duration::from_secs(1));
    rig.notifier.look().await.unwrap();
    while receiver.seen.ids().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Nothing that would note the end is run: the process is gone.
    drop(rig);
    receiver.behaves(Manner::Answers(200));
    let mut rig = Rig::open(&path, office, &clock).await;
    rig.second().await;
    let ids = receiver.seen.ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(rig.in_state(State::Sent).await.len(), 1);
    rig.later(Duration::from_mins(10)).await;
    assert_eq!(receiver.seen.ids().len(), 2, "nothing more follows");
}

#[tokio::test]
async fn a_flood_of_cases_is_a_few_messages_and_an_unrelated_one_comes_through() {
    let (folder, clock) = (folder(), clock());
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let office = office(&format!("http://{}/", receiver.address), true);
    let mut rig = Rig::open(&folder.path().join("cases.db"), office, &clock).await;
    let devices = if std::env::var_os("BELLWETHER_TESTS_LONG").is_some() {
        5_000
    } else {
        300
    };
    let flood: Vec<Probe> = (0..devices)
        .map(|n| probe(&format!("flooded-pump-{n}"), &format!("d-{n}")))
        .collect();
    let findings: Vec<_> = flood
        .iter()
        .flat_map(|pump| {
            [
                pump.alarm(1_000_000, 1_000_000, "bearing-wear", 2.0),
                pump.health(1_000_000, 5.0),
            ]
        })
        .collect();
    rig.desk.observe(&findings).await.unwrap();
    for _ in 0..5 {
        rig.second().await;
    }
    let other = rig.critical(&probe("north-pump", "d-n"), 1_000_005).await;
    rig.second().await;
    let told_of = |body: &Value| body["subject"].as_str().unwrap_or_default().to_owned();
    let seen = receiver.seen.all().clone();
    assert!(
        seen.iter()
            .any(|(_, body)| told_of(body) == other.id.as_str()),
        "the unrelated case is told within a second"
    );
    for _ in 0..120 {
        rig.clock.advance(Duration::from_secs(4));
        rig.second().await;
    }
    let counts = rig.outbox.counts().await.unwrap();
    assert!(counts.sent as usize <= LIMIT, "{counts:?}");
    assert_eq!(counts.waiting, 0, "{counts:?}");
    let digests: Vec<_> = receiver
        .seen
        .all()
        .iter()
        .filter(|(_, body)| to(body).0 == "digest")
        .cloned()
        .collect();
    let counted: u64 = digests
        .iter()
        .map(|(_, body)| body["data"]["content"]["count"].as_u64().unwrap())
        .sum();
    let alone = counts.sent - digests.len() as u64;
    assert_eq!(counted + alone, devices + 1, "everything is told");
}

#[tokio::test]
async fn an_address_inside_is_refused_and_stays_visible_until_it_is_allowed() {
    let (folder, clock) = (folder(), clock());
    let path = folder.path().join("cases.db");
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let url = format!("http://{}/", receiver.address);
    let mut rig = Rig::open(&path, office(&url, false), &clock).await;
    rig.critical(&probe("north-pump", "d-1"), 1_000_000).await;
    rig.second().await;
    let stuck = rig.in_state(State::Stuck).await;
    assert_eq!(stuck.len(), 1);
    let error = stuck[0].last_error.as_deref().unwrap();
    assert!(error.contains("not a public address"), "{error}");
    assert!(receiver.seen.ids().is_empty());
    drop(rig);
    let mut rig = Rig::open(&path, office(&url, true), &clock).await;
    let id = &stuck[0].message.id;
    rig.outbox.retry(id, clock.now()).await.unwrap().unwrap();
    rig.second().await;
    assert_eq!(receiver.seen.ids(), [id.as_str()]);
    assert!(
        rig.outbox.retry(id, clock.now()).await.is_err(),
        "it has arrived"
    );
}

#[tokio::test]
async fn what_is_over_before_its_turn_is_withdrawn() {
    let (folder, clock) = (folder(), clock());
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let office = office(&format!("http://{}/", receiver.address), true);
    let mut rig = Rig::open(&folder.path().join("cases.db"), office, &clock).await;
    // More than go at once from one site, so that some wait.
    let mut cases = Vec::new();
    for n in 0..6 {
        let pump = probe(&format!("north-pump-{n}"), &format!("d-{n}"));
        cases.push(rig.critical(&pump, 1_000_000).await);
    }
    rig.second().await;
    let waiting = rig.in_state(State::Waiting).await;
    assert!(!waiting.is_empty());
    for one in &waiting {
        let Recipient::Person(_) = one.message.recipient else {
            panic!("{one:?}");
        };
        let case = one.message.content.case().unwrap();
        let ended = crate::testing::ended(
            &format!("WO-{}", one.number),
            &case.asset,
            Some(&case.case),
            Some(telemetry::Outcome::Confirmed),
            1_000_002,
        );
        telemetry::OutcomeSink::record(&rig.desk, &ended)
            .await
            .unwrap();
    }
    rig.later(Duration::from_secs(30)).await;
    assert_eq!(rig.in_state(State::Withdrawn).await.len(), waiting.len());
    assert!(
        receiver
            .seen
            .all()
            .iter()
            .all(|(_, body)| to(body).0 != "digest")
    );
}

#[tokio::test]
async fn a_case_that_is_put_aside_calls_nobody_until_it_is_back() {
    let (folder, clock) = (folder(), clock());
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let office = office(&format!("http://{}/", receiver.address), true);
    let mut rig = Rig::open(&folder.path().join("cases.db"), office, &clock).await;
    let case = rig.critical(&probe("north-pump", "d-1"), 1_000_000).await;
    let until = t(1_700_000_000) + Duration::from_hours(8);
    let shelved = rig
        .desk
        .shelve(&case.id, until, "li", "known")
        .await
        .unwrap();
    assert!(shelved.suppressed.is_some());
    rig.later(Duration::from_hours(3)).await;
    assert!(receiver.seen.ids().is_empty());
    rig.desk.unshelve(&case.id, "li").await.unwrap();
    rig.second().await;
    assert_eq!(receiver.seen.ids().len(), 1);
}

#[tokio::test]
async fn who_is_given_a_case_is_told_and_who_takes_it_is_not() {
    let (folder, clock) = (folder(), clock());
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let office = office(&format!("http://{}/", receiver.address), true);
    let mut rig = Rig::open(&folder.path().join("cases.db"), office, &clock).await;
    let case = rig.critical(&probe("north-pump", "d-1"), 1_000_000).await;
    rig.second().await;
    let id = |id: &str| PersonId::new(id).unwrap();
    let now = clock.now();
    assert!(
        rig.desk
            .hand_over(&case.id, &id("li"), "chen", "", now)
            .await
            .is_err()
    );
    let taken = rig
        .desk
        .assign(&case.id, &id("chen"), "chen", now)
        .await
        .unwrap();
    assert_eq!(taken.assignee, Some(id("chen")));
    rig.desk
        .comment(&case.id, "li", "grease it first", now)
        .await
        .unwrap();
    rig.desk
        .hand_over(&case.id, &id("wang"), "chen", "parts are here", now)
        .await
        .unwrap();
    assert!(
        rig.desk
            .hand_over(&case.id, &id("wang"), "chen", "", now)
            .await
            .is_err()
    );
    assert!(rig.desk.comment(&case.id, "li", " ", now).await.is_err());
    rig.second().await;
    rig.later(Duration::from_hours(3)).await;
    let mut seen = receiver.seen.all().clone();
    // What falls due together goes out together, and arrives in any order.
    seen[1..].sort_by(|(_, a), (_, b)| to(b).cmp(&to(a)));
    let told: Vec<_> = seen.iter().skip(1).map(|(_, body)| to(body)).collect();
    // The comment was for whoever had the case when it was told: it had been handed on by then.
    assert_eq!(
        told,
        [("commented", "person:wang"), ("assigned", "person:wang")]
    );
    assert_eq!(seen[2].1["data"]["content"]["note"], "parts are here");
    assert_eq!(Kind::parse("assigned"), Some(Kind::Assigned));
    assert_eq!(
        ChainId::new("urgent").unwrap(),
        rig.desk.escalations(Some(&case.id)).await.unwrap()[0]
            .1
            .chain
    );
}
