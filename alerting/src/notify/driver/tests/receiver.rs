//! A receiver of webhooks on a real socket, whose manner can be changed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What a receiver saw, in order: the id of each request and what it said.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<(String, Value)>>>);

impl Seen {
    pub(super) fn all(&self) -> MutexGuard<'_, Vec<(String, Value)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.all().iter().map(|(id, _)| id.clone()).collect()
    }
}

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Answers(u16),
    /// It has read everything and never answers.
    FallsSilent,
}

/// A receiver of webhooks on a real socket.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) seen: Seen,
    manner: Arc<Mutex<Manner>>,
}

impl Receiver {
    pub(super) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
        let manner = Arc::new(Mutex::new(manner));
        let (kept, told) = (seen.clone(), Arc::clone(&manner));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let manner = *told.lock().unwrap_or_else(PoisonError::into_inner);
                tokio::spawn(receive(stream, kept.clone(), manner));
            }
        });
        Self {
            address,
            seen,
            manner,
        }
    }

    pub(super) fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }
}

async fn receive(mut stream: TcpStream, seen: Seen, manner: Manner) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut some = [0; 4_096];
        let read = stream.read(&mut some).await.unwrap_or(0);
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = header(head, "content-length").parse().unwrap();
            if body.len() >= length {
                break (head.to_owned(), body.to_owned());
            }
        }
        if read == 0 {
            return;
        }
    };
    let id = header(&head, "webhook-id");
    seen.all().push((id, serde_json::from_str(&body).unwrap()));
    match manner {
        Manner::Answers(status) => {
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Manner::FallsSilent => std::future::pending().await,
    }
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or_else(String::new, |(_, value)| value.to_owned())
}
