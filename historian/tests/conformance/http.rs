//! A small HTTP/1.1 peer on loopback: hands requests to a closure and does what it answers,
//! misbehaving included.

use std::{collections::HashMap, fmt::Write as _, io::Read as _, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// One request, its body unpacked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they stand in the request line.
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// What the peer does.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Says nothing, for as long as the client waits.
    Hang,
    /// Ends the connection without a word.
    Cut,
    /// Announces more than it sends, and ends the connection.
    CutInBody(String),
}

impl Reply {
    pub(crate) fn status(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }
}

/// A running peer; it ends with the value.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Peer {
    pub(crate) async fn start(answer: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let _ = serve(stream, &*answer).await;
                });
            }
        });
        Self { address, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    stream: TcpStream,
    answer: &(impl Fn(Request) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        match answer(request) {
            Reply::Answer {
                status,
                headers,
                body,
            } => {
                let mut head = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n",
                    body.len()
                );
                for (name, value) in headers {
                    let _ = write!(head, "{name}: {value}\r\n");
                }
                head += "\r\n";
                // 204 has no body.
                let body = if status == 204 { "" } else { &body };
                let head = if status == 204 {
                    head.replace("content-length: 0\r\n", "")
                } else {
                    head
                };
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
                stream.flush().await?;
            }
            Reply::Hang => std::future::pending().await,
            Reply::Cut => return Ok(()),
            Reply::CutInBody(body) => {
                let head = format!(
                    "HTTP/1.1 200 Said\r\ncontent-length: {}\r\n\r\n",
                    body.len() + 100
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
                stream.flush().await?;
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok());
    let mut packed = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut packed).await?;
    let mut body = String::new();
    if headers
        .get("content-encoding")
        .is_some_and(|encoding| encoding == "gzip")
    {
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut body)?;
    } else {
        body = String::from_utf8(packed).map_err(std::io::Error::other)?;
    }
    Ok(Some(Request {
        method,
        target,
        headers,
        body,
    }))
}
