//! A maintenance system on a real socket that can be told to misbehave.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use service::{Service, WorkOrderQuery, WorkOrderStatus, delivery::DeliveryView};
use telemetry::CaseId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What keeps a repeat from making a second order there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It honours the key of a message.
    Key,
    /// It does not, and can be asked for the order of a case.
    Lookup,
}

/// How a request fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The connection is closed before anything is done.
    DropBefore,
    /// It is done, and the connection is closed.
    DropAfter,
    /// It is done, and nothing is said until the sender has given up.
    Hang,
    /// Nothing is done.
    Unavailable,
    /// It is done, and the answer does not say what was made.
    Speechless,
}

#[derive(Default)]
struct Book {
    rng: Option<StdRng>,
    honours_keys: bool,
    by_key: BTreeMap<String, String>,
    /// Every order that was made: reference and case.
    made: Vec<(String, String)>,
    withdrawn: BTreeSet<String>,
    said: BTreeMap<String, (String, String)>,
    refused: BTreeSet<String>,
    requests: usize,
    /// Connections that were taken and not yet acted on.
    underway: usize,
    /// Connections that were closed without a word.
    marks: usize,
}

#[derive(Clone)]
pub(super) struct Server {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

impl Server {
    pub(super) async fn start(trust: Trust, seed: u64) -> Self {
        Self::with(trust, Some(StdRng::seed_from_u64(seed))).await
    }

    /// One that misbehaves only where it is told to.
    pub(super) async fn calm(trust: Trust) -> Self {
        Self::with(trust, None).await
    }

    async fn with(trust: Trust, rng: Option<StdRng>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            book: Arc::new(Mutex::new(Book {
                rng,
                honours_keys: trust == Trust::Key,
                ..Book::default()
            })),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                serving.book().underway += 1;
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    pub(super) fn requests(&self) -> usize {
        self.book().requests
    }

    pub(super) fn refuse(&self, case: &CaseId) {
        self.book().refused.insert(case.to_string());
    }

    pub(super) fn refuse_nothing(&self) {
        self.book().refused.clear();
    }

    /// Where its order of a case stands from now on.
    pub(super) fn say_of(&self, case: &CaseId, state: &str, found: &str) {
        let mut book = self.book();
        let made = book.made.iter().find(|(_, of)| *of == case.as_str());
        let reference = made.unwrap().0.clone();
        book.said
            .insert(reference, (state.to_owned(), found.to_owned()));
    }

    /// Waits until everything that was sent before has been acted on, also for senders that have
    /// long given up waiting: connections are taken in the order in which they were made.
    pub(super) async fn quiet(&self) {
        let before = self.book().marks;
        drop(TcpStream::connect(self.address).await.unwrap());
        while self.book().marks == before || self.book().underway > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn serve(&self, mut stream: TcpStream) {
        let asked = read(&mut stream).await;
        let fault = asked.as_ref().map(|_| self.fault());
        let reply = match (asked, fault) {
            (Some(_), Some(Fault::Unavailable)) => {
                Some((503, json!({ "error": "down for maintenance" })))
            }
            (Some((head, body)), Some(fault)) if fault != Fault::DropBefore => {
                Some(self.answer(&head, &body))
            }
            _ => None,
        };
        {
            let mut book = self.book();
            book.underway -= 1;
            book.marks += usize::from(fault.is_none());
        }
        let (Some((status, mut answer)), Some(fault)) = (reply, fault) else {
            return;
        };
        match fault {
            Fault::DropAfter => return,
            Fault::Hang => tokio::time::sleep(Duration::from_secs(2)).await,
            Fault::Speechless => answer = json!({}),
            _ => {}
        }
        let text = answer.to_string();
        let length = text.len();
        let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{text}");
        let _ = stream.write_all(reply.as_bytes()).await;
    }

    fn fault(&self) -> Fault {
        let mut book = self.book();
        book.requests += 1;
        let Some(rng) = &mut book.rng else {
            return Fault::None;
        };
        match rng.random_range(0..20) {
            0..3 => Fault::DropBefore,
            3..6 => Fault::DropAfter,
            6 => Fault::Hang,
            7..9 => Fault::Unavailable,
            9..11 => Fault::Speechless,
            _ => Fault::None,
        }
    }

    fn answer(&self, head: &str, body: &str) -> (u16, Value) {
        let mut book = self.book();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        if !head.contains("authorization: Bearer secret") {
            return (401, json!({ "error": "who are you" }));
        }
        if let Some(case) = path.strip_prefix("/orders?case=") {
            let found = book.made.iter().filter(|(_, of)| of == case);
            let items: Vec<Value> = found.map(|(id, _)| json!({ "id": id })).collect();
            return (200, json!({ "items": items }));
        }
        if let Some(reference) = path.strip_prefix("/orders/") {
            if method == "PATCH" {
                book.withdrawn.insert(reference.to_owned());
            }
            let said = book.said.get(reference).cloned().unwrap_or_default();
            return (
                200,
                json!({ "id": reference, "state": said.0, "found": said.1 }),
            );
        }
        book.create(head, body)
    }
}

impl Book {
    fn create(&mut self, head: &str, body: &str) -> (u16, Value) {
        let told: Value = serde_json::from_str(body).unwrap();
        let case = told["case"].as_str().unwrap().to_owned();
        if self.refused.contains(&case) {
            return (422, json!({ "error": "no such equipment" }));
        }
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("idempotency-key: "));
        if let Some(known) = key
            .filter(|_| self.honours_keys)
            .and_then(|key| self.by_key.get(key))
        {
            return (200, json!({ "id": known }));
        }
        let reference = format!("R-{}", self.made.len());
        if let Some(key) = key {
            self.by_key.insert(key.to_owned(), reference.clone());
        }
        self.made.push((reference.clone(), case));
        (201, json!({ "id": reference }))
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut seen = Vec::new();
    loop {
        let mut some = [0; 4_096];
        let count = stream.read(&mut some).await.ok()?;
        seen.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&seen);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        if count == 0 {
            return None;
        }
    }
}

impl Server {
    /// Compares the two books: nothing twice, nothing missing, nothing left that is not wanted.
    pub(super) async fn balance(&self, service: &Service, episodes: usize, withdrawn: &[CaseId]) {
        let counts = service.connector_counts("cmms").await.unwrap();
        assert_eq!(counts.stuck, 0, "{counts:?}");
        let told = service.deliveries(None, None).await.unwrap();
        self.compare(&told, episodes, withdrawn);
        let query = WorkOrderQuery {
            status: vec![WorkOrderStatus::Proposed],
            limit: WorkOrderQuery::MAX_LIMIT,
            ..WorkOrderQuery::default()
        };
        let here = service.work_orders(query).await.unwrap();
        assert_eq!(here.len(), episodes - withdrawn.len());
    }

    fn compare(&self, told: &[DeliveryView], episodes: usize, withdrawn: &[CaseId]) {
        let book = self.book();
        let cases: BTreeSet<&String> = book.made.iter().map(|(_, case)| case).collect();
        assert_eq!(cases.len(), book.made.len(), "no case has two orders there");
        for number in 0..episodes {
            let case = format!("C-{number:05}");
            let there = book.made.iter().find(|(_, of)| *of == case);
            let wanted = withdrawn.iter().all(|gone| gone.as_str() != case);
            let Some((reference, _)) = there else {
                assert!(!wanted, "{case} is missing there");
                continue;
            };
            assert_eq!(book.withdrawn.contains(reference), !wanted, "{case}");
            // What is known here is what it is called there; of long runs the latest.
            let about =
                |row: &&DeliveryView| row.case.as_ref().is_some_and(|of| of.as_str() == case);
            let mut known = told.iter().filter(about);
            assert!(
                known.all(|row| row.reference.as_ref() == Some(reference)),
                "{case}"
            );
        }
    }
}
