//! A server that takes what `InfluxDB` 2 takes at `/api/v2/write`, and misbehaves on demand.
//!
//! It keeps every point in memory, so that what arrived can be compared with the books. Of the
//! HTTP it needs only what the writer sends: a request line, headers, and a body with a length or
//! in chunks, gzipped or not.

use std::{
    collections::BTreeMap,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A batch of the writer is far smaller; more is a defect of the writer or of this server.
const MAX_BODY: usize = 64 << 20;

/// How it treats a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Takes it: 204.
    Well,
    /// Takes the request and never answers.
    Hangs,
    /// 500, nothing kept.
    Broken,
    /// 429 with `Retry-After: 1`, nothing kept.
    Busy,
    /// Keeps the points and hangs up before answering.
    CutsAfter,
    /// Hangs up in the middle of the body.
    CutsBefore,
}

/// Points by device and time in microseconds.
pub(super) type Points = BTreeMap<(String, i64), f64>;

#[derive(Debug)]
struct Shared {
    points: Mutex<Points>,
    /// Points that came a second time; the writer may send again what was not answered.
    again: AtomicU64,
    /// Writes refused or cut, so that a mood is known to have been met.
    refused: AtomicU64,
    /// What was wrong with a request, if anything ever was.
    complaint: Mutex<Option<String>>,
}

/// A server on a port of its own; stops listening when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// A server that does not listen yet; `port` stays its own.
    pub(super) fn dead(port: u16) -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            mood: watch::Sender::new(Mood::Well),
            shared: Arc::new(Shared {
                points: Mutex::default(),
                again: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                complaint: Mutex::default(),
            }),
            task: None,
        }
    }

    /// Where it is reached.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts to listen.
    pub(super) async fn listen(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let (shared, mood) = (self.shared.clone(), self.mood.subscribe());
        let task = tokio::spawn(async move {
            let mut peers = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (shared, mood) = (shared.clone(), mood.clone());
                peers.spawn(async move {
                    if let Err(problem) = serve(socket, &shared, mood).await {
                        note(&shared, &problem);
                    }
                });
            }
        });
        self.task = Some(task);
        Ok(())
    }

    /// Stops listening; open connections end.
    pub(super) fn die(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// From now on it is in this mood.
    pub(super) fn is_now(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Writes it refused or cut so far.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Points that came more than once.
    pub(super) fn again(&self) -> u64 {
        self.shared.again.load(Ordering::SeqCst)
    }

    /// How many distinct points it has.
    pub(super) fn count(&self) -> usize {
        lock(&self.shared.points).len()
    }

    /// Every point it has; an error when a request was none.
    pub(super) fn points(&self) -> Result<Points> {
        if let Some(complaint) = lock(&self.shared.complaint).clone() {
            bail!("the writer sent what is no line protocol: {complaint}");
        }
        Ok(lock(&self.shared.points).clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.die();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(shared: &Shared, problem: &anyhow::Error) {
    // A connection that ended is nothing to complain about; a body that cannot be read is.
    if problem.downcast_ref::<std::io::Error>().is_none() {
        lock(&shared.complaint).get_or_insert(format!("{problem:#}"));
    }
}

struct Request {
    line: String,
    length: Option<usize>,
    chunked: bool,
    gzip: bool,
}

async fn serve(socket: TcpStream, shared: &Shared, mut mood: watch::Receiver<Mood>) -> Result<()> {
    let mut stream = BufReader::new(socket);
    while let Some(request) = head(&mut stream).await? {
        let is_write = request.line.starts_with("POST /api/v2/write");
        let now = *mood.borrow_and_update();
        if is_write && now == Mood::CutsBefore {
            stream.read_u8().await?;
            shared.refused.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        let body = body(&mut stream, &request).await?;
        if !is_write {
            answer(&mut stream, "200 OK", "", other(&request.line)).await?;
            continue;
        }
        if now != Mood::Well {
            shared.refused.fetch_add(1, Ordering::SeqCst);
        }
        match now {
            Mood::Well => {
                keep(shared, &body)?;
                answer(&mut stream, "204 No Content", "", "").await?;
            }
            Mood::Hangs => {
                // Until the mood changes, and then hangs up: the writer has to notice itself.
                let _ = mood.changed().await;
                return Ok(());
            }
            Mood::Broken => {
                let said = r#"{"code":"internal error","message":"engine: disk on fire"}"#;
                answer(&mut stream, "500 Internal Server Error", "", said).await?;
            }
            Mood::Busy => {
                let said = r#"{"code":"too many requests","message":"slow down"}"#;
                answer(
                    &mut stream,
                    "429 Too Many Requests",
                    "Retry-After: 1\r\n",
                    said,
                )
                .await?;
            }
            Mood::CutsAfter => {
                keep(shared, &body)?;
                return Ok(());
            }
            Mood::CutsBefore => return Ok(()),
        }
    }
    Ok(())
}

/// What the writer may ask before it writes: whether the server is well and has the bucket.
fn other(line: &str) -> &'static str {
    if line.contains("/api/v2/buckets") {
        r#"{"buckets":[{"id":"0000000000000002","orgID":"0000000000000001","type":"user","name":"bellwether","retentionRules":[],"labels":[]}]}"#
    } else if line.contains("/api/v2/orgs") {
        r#"{"orgs":[{"id":"0000000000000001","name":"bellwether"}]}"#
    } else {
        r#"{"name":"influxdb","message":"ready for queries and writes","status":"pass","checks":[]}"#
    }
}

async fn head(stream: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut request = Request {
        line: line.trim_end().to_owned(),
        length: None,
        chunked: false,
        gzip: false,
    };
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            return Ok(Some(request));
        }
        let (name, value) = header.split_once(':').context("a header without a colon")?;
        match (name, value.trim()) {
            ("content-length", length) => request.length = Some(length.parse()?),
            ("transfer-encoding", "chunked") => request.chunked = true,
            ("content-encoding", "gzip") => request.gzip = true,
            _ => {}
        }
    }
}

async fn body(stream: &mut BufReader<TcpStream>, request: &Request) -> Result<String> {
    let mut body = Vec::new();
    if request.chunked {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).await?;
            let size = usize::from_str_radix(size.trim_end(), 16)?;
            ensure!(
                body.len() + size <= MAX_BODY,
                "a body of more than {MAX_BODY} bytes"
            );
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..]).await?;
            let mut end = String::new();
            stream.read_line(&mut end).await?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = request.length.unwrap_or(0);
        ensure!(length <= MAX_BODY, "a body of {length} bytes");
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
    }
    if request.gzip {
        let mut plain = String::new();
        let packed = flate2::read::GzDecoder::new(&body[..]);
        // An error here is a complaint, not the end of a connection.
        let read = packed.take(MAX_BODY as u64).read_to_string(&mut plain);
        read.map_err(|error| anyhow::anyhow!("not gzip: {error}"))?;
        return Ok(plain);
    }
    Ok(String::from_utf8(body)?)
}

async fn answer(
    stream: &mut BufReader<TcpStream>,
    status: &str,
    headers: &str,
    body: &str,
) -> Result<()> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    let written = stream.get_mut().write_all(text.as_bytes());
    tokio::time::timeout(Duration::from_secs(10), written).await??;
    Ok(())
}

fn keep(shared: &Shared, body: &str) -> Result<()> {
    let mut points = lock(&shared.points);
    for line in body.lines() {
        let (device, value, at) = parse(line).with_context(|| format!("line {line:?}"))?;
        if points.insert((device, at), value).is_some() {
            shared.again.fetch_add(1, Ordering::SeqCst);
        }
    }
    Ok(())
}

/// Reads a line of one field: `reading,device=press-1 force_kn=1.5 1709251200000000`.
fn parse(line: &str) -> Result<(String, f64, i64)> {
    let mut parts = line.split(' ');
    let (series, fields, at) = (parts.next(), parts.next(), parts.next());
    ensure!(parts.next().is_none(), "more than three parts");
    let series = series.context("no series")?;
    let tags = series
        .split(',')
        .skip(1)
        .filter_map(|tag| tag.split_once('='));
    let device = tags.into_iter().find(|(name, _)| *name == "device");
    let (_, device) = device.context("no device")?;
    let (_, value) = fields
        .and_then(|fields| fields.split_once('='))
        .context("no field")?;
    Ok((
        device.to_owned(),
        value.parse()?,
        at.context("no time")?.parse()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_plain_client_gets_the_mood_and_leaves_its_points() {
        let mut server = Server::dead(crate::ports::free_port().unwrap());
        server.listen().await.unwrap();
        let client = reqwest::Client::new();
        let write = |line: &'static str| {
            let url = format!("{}/api/v2/write?bucket=b", server.url());
            client.post(url).body(line).send()
        };
        let done = write("reading,device=a x=1.5 7").await.unwrap();
        assert_eq!(done.status(), 204);
        server.is_now(Mood::Busy);
        let busy = write("reading,device=a x=2 8").await.unwrap();
        assert_eq!(
            (busy.status().as_u16(), &busy.headers()["retry-after"]),
            (429, &"1".parse().unwrap())
        );
        server.is_now(Mood::CutsAfter);
        assert!(write("reading,device=a x=2 9").await.is_err());
        let points = server.points().unwrap();
        assert_eq!(
            points.into_iter().collect::<Vec<_>>(),
            [(("a".to_owned(), 7), 1.5), (("a".to_owned(), 9), 2.0)]
        );
        server.is_now(Mood::Well);
        write("nonsense").await.unwrap_err();
        assert!(server.points().is_err());
    }
}
