//! Where messages to people arrive: a small mail server and a small web server on real sockets.
//!
//! Both keep what they were sent, in order, and can be told to be out of order: then the mail
//! server says 451 and the web server 503, which is what asks a sender to try again.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
};

/// How a sink treats what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Takes,
    /// Has read it and says that it cannot take it now.
    Refuses,
    /// Has read it and never answers.
    FallsSilent,
}

/// One message as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// The id of the message: the header that carries it.
    pub id: String,
    /// Whether the sink took it.
    pub taken: bool,
    /// Everything that was sent.
    pub text: String,
    /// When all of it had arrived, in milliseconds since 1970.
    pub at_ms: i64,
}

impl Arrived {
    /// The body of a web request as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        let (_, body) = self.text.split_once("\r\n\r\n").context("no body")?;
        Ok(serde_json::from_str(body)?)
    }
}

/// A server that keeps what it is sent. It ends with the test.
#[derive(Debug, Clone)]
pub struct Sink {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    manner: Arc<Mutex<Manner>>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// A mail server.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn mail(manner: Manner) -> Result<Self> {
        Self::start(manner, |sink, stream| async move {
            let _ = sink.take_mail(stream).await;
        })
        .await
    }

    /// A web server.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn web(manner: Manner) -> Result<Self> {
        Self::start(manner, |sink, stream| async move {
            let _ = sink.take_request(stream).await;
        })
        .await
    }

    async fn start<F, Served>(manner: Manner, serve: F) -> Result<Self>
    where
        F: Fn(Self, TcpStream) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let sink = Self {
            address: listener.local_addr()?,
            arrived: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
        };
        let kept = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(kept.clone(), stream));
            }
        });
        Ok(sink)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it treats what arrives from now on.
    pub fn behaves(&self, manner: Manner) {
        *locked(&self.manner) = manner;
    }

    /// What arrived, in order.
    pub fn arrived(&self) -> Vec<Arrived> {
        locked(&self.arrived).clone()
    }

    /// The ids of what it took, in order.
    pub fn taken(&self) -> Vec<String> {
        let arrived = locked(&self.arrived);
        let taken = arrived.iter().filter(|one| one.taken);
        taken.map(|one| one.id.clone()).collect()
    }

    fn keep(&self, header: &str, text: String) -> Manner {
        let manner = *locked(&self.manner);
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let mut ids = lines.filter(|(name, _)| name.eq_ignore_ascii_case(header));
        let id = ids.next().map(|(_, id)| id.trim().to_owned());
        locked(&self.arrived).push(Arrived {
            id: id.unwrap_or_default(),
            taken: manner == Manner::Takes,
            text,
            at_ms: chrono::Utc::now().timestamp_millis(),
        });
        manner
    }

    /// A conversation of RFC 5321, as little of it as a client needs.
    async fn take_mail(&self, stream: TcpStream) -> Result<()> {
        let mut stream = BufStream::new(stream);
        say(&mut stream, "220 sink").await?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.trim().to_ascii_uppercase();
            if verb.starts_with("DATA") {
                say(&mut stream, "354 go on").await?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail).await? == 0 {
                        return Ok(());
                    }
                }
                match self.keep("X-Bellwether-Message", mail) {
                    Manner::Takes => say(&mut stream, "250 taken").await?,
                    Manner::Refuses => say(&mut stream, "451 not now").await?,
                    Manner::FallsSilent => std::future::pending().await,
                }
            } else if verb.starts_with("QUIT") {
                return say(&mut stream, "221 bye").await;
            } else {
                say(&mut stream, "250 sink").await?;
            }
        }
    }

    async fn take_request(&self, mut stream: TcpStream) -> Result<()> {
        let mut bytes = Vec::new();
        loop {
            let mut some = [0; 4_096];
            let read = stream.read(&mut some).await?;
            bytes.extend_from_slice(&some[..read]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                length.and_then(|(_, length)| length.parse().ok()) == Some(body.len())
            });
            if whole {
                let status = match self.keep("webhook-id", text) {
                    Manner::Takes => "204 No Content",
                    Manner::Refuses => "503 Not Now",
                    Manner::FallsSilent => std::future::pending().await,
                };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                return Ok(stream.write_all(answer.as_bytes()).await?);
            }
            if read == 0 {
                return Ok(());
            }
        }
    }
}

async fn say(stream: &mut BufStream<TcpStream>, line: &str) -> Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    Ok(stream.flush().await?)
}
