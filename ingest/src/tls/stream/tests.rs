//! Sessions with the library's own client, over real sockets and in awkward pieces.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring, pki_types::ServerName,
    version,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsConnector, client};

use super::*;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// Settings of both sides for one version.
fn configs(only: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = own.signing_key.serialize_der().try_into().unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[only])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Two ends of a connection.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (far, _) = listener.accept().await.unwrap();
    (near.unwrap(), far)
}

/// A client and a server that shook hands; what the client sends goes through `wire`.
async fn session(
    only: &'static SupportedProtocolVersion,
    (near, far): (TcpStream, TcpStream),
) -> (client::TlsStream<TcpStream>, Box<TlsStream>) {
    let (server, client) = configs(only);
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(client).connect(name, near);
    let (client, server) = tokio::join!(connecting, accept(far, server));
    (client.unwrap(), server.unwrap())
}

/// Carries bytes from one socket to another in pieces of 1 to `most` bytes, until the end.
async fn in_pieces(mut from: TcpStream, mut to: TcpStream, most: usize) {
    let (mut rng, mut buffer) = (StdRng::seed_from_u64(7), vec![0; most]);
    to.set_nodelay(true).unwrap();
    loop {
        let wanted = rng.random_range(1..=most);
        match from.read(&mut buffer[..wanted]).await {
            Ok(0) | Err(_) => return,
            Ok(count) => to.write_all(&buffer[..count]).await.unwrap(),
        }
    }
}

/// Bytes that are not all the same.
fn noise(count: usize) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(count as u64);
    (0..count).map(|_| rng.random()).collect()
}

#[tokio::test]
async fn what_is_sent_arrives_whole_whatever_the_pieces() {
    for only in VERSIONS {
        for most in [7, 500, 40_000] {
            let ((near, wire_in), (wire_out, far)) = (sockets().await, sockets().await);
            // Only what the client sends is cut up; the server's answers go back unharmed.
            let (in_read, in_write) = (wire_in.into_std().unwrap(), wire_out.into_std().unwrap());
            let (back_from, back_to) =
                (in_write.try_clone().unwrap(), in_read.try_clone().unwrap());
            let socket = |std| TcpStream::from_std(std).unwrap();
            tokio::spawn(in_pieces(socket(in_read), socket(in_write), most));
            tokio::spawn(in_pieces(socket(back_from), socket(back_to), 65_536));
            let (mut client, mut server) = session(only, (near, far)).await;
            let sent = noise(60_000);
            let echo = async {
                let mut got = vec![0; sent.len()];
                server.read_exact(&mut got).await.unwrap();
                server.write_all(&got).await.unwrap();
                server.flush().await.unwrap();
            };
            let mut back = vec![0; sent.len()];
            let ask = async {
                client.write_all(&sent).await.unwrap();
                client.flush().await.unwrap();
                client.read_exact(&mut back).await.unwrap();
            };
            tokio::join!(echo, ask);
            assert!(back == sent, "{only:?} in pieces of {most}");
        }
    }
}

#[tokio::test]
async fn a_quiet_session_holds_no_buffer() {
    for only in VERSIONS {
        let (mut client, mut server) = session(only, sockets().await).await;
        client.write_all(&noise(50_000)).await.unwrap();
        client.flush().await.unwrap();
        server.read_exact(&mut vec![0; 50_000]).await.unwrap();
        server.write_all(b"taken").await.unwrap();
        server.flush().await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        // It waits for more, as an idle connection does.
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), server.read_u8());
        assert!(waiting.await.is_err());
        assert_eq!(
            (
                server.residue.capacity(),
                server.plain.capacity(),
                server.outgoing.capacity()
            ),
            (0, 0, 0),
            "{only:?}"
        );
    }
}

#[tokio::test]
async fn a_reader_with_little_room_gets_everything_in_order() {
    let (mut client, mut server) = session(&version::TLS13, sockets().await).await;
    let sent = noise(40_000);
    client.write_all(&sent).await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    let mut piece = [0; 100];
    loop {
        match server.read(&mut piece).await.unwrap() {
            0 => break,
            count => got.extend_from_slice(&piece[..count]),
        }
    }
    assert!(got == sent);
}

#[tokio::test]
async fn keys_may_be_changed_on_the_way() {
    let (mut client, mut server) = session(&version::TLS13, sockets().await).await;
    for round in 0..5_u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[round]).await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), round);
        // The answer to the change goes out before what is said after it.
        server.write_all(&[round, round]).await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(client.read_u16().await.unwrap(), u16::from(round) * 0x101);
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_makes_the_writer_wait() {
    let (mut client, mut server) = session(&version::TLS13, sockets().await).await;
    let block = noise(MAX_RECORD_BYTES);
    let mut written = 0;
    loop {
        let writing = poll_fn(|cx| {
            let server = Pin::new(&mut *server);
            Poll::Ready(server.poll_write(cx, &block))
        });
        match writing.await {
            Poll::Ready(count) => written += count.unwrap(),
            Poll::Pending => break,
        }
        let held = server.outgoing.len();
        assert!(
            held < MAX_OUTGOING_BYTES + MAX_RECORD_BYTES + OVERHEAD_BYTES,
            "{held}"
        );
    }
    assert!(written >= MAX_OUTGOING_BYTES);
    let mut got = vec![0; written];
    let (flushed, read) = tokio::join!(server.flush(), client.read_exact(&mut got));
    flushed.unwrap();
    read.unwrap();
    assert!(got.chunks(block.len()).all(|part| *part == block));
}

#[tokio::test]
async fn both_sides_say_goodbye() {
    for only in VERSIONS {
        let (mut client, mut server) = session(only, sockets().await).await;
        server.write_all(b"bye").await.unwrap();
        server.shutdown().await.unwrap();
        let mut all = Vec::new();
        // An end that was not announced is an error on this side.
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"bye");
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "{only:?}");
        assert!(server.ended);
    }
}

#[tokio::test]
async fn what_is_no_tls_is_told_so_and_refused() {
    let (server, _) = configs(&version::TLS13);
    let (mut near, far) = sockets().await;
    near.write_all(b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0")
        .await
        .unwrap();
    assert!(accept(far, server).await.is_err());
    let mut answer = Vec::new();
    // The socket may end in a reset, after the alert.
    let _ = near.read_to_end(&mut answer).await;
    assert_eq!(answer[0], 0x15, "an alert record (RFC 8446, section 5.1)");
    assert_eq!(answer[5], 2, "it is fatal");
}

#[tokio::test]
async fn a_damaged_record_ends_the_session() {
    let ((near, wire_in), (wire_out, far)) = (sockets().await, sockets().await);
    let (in_read, in_write) = (wire_in.into_std().unwrap(), wire_out.into_std().unwrap());
    let (back_from, back_to) = (in_write.try_clone().unwrap(), in_read.try_clone().unwrap());
    let mut liar = in_write.try_clone().unwrap();
    let socket = |std| TcpStream::from_std(std).unwrap();
    tokio::spawn(in_pieces(socket(in_read), socket(in_write), 4_096));
    tokio::spawn(in_pieces(socket(back_from), socket(back_to), 4_096));
    let (_client, mut server) = session(&version::TLS13, (near, far)).await;
    let mut record = vec![0x17, 3, 3, 0, 40];
    record.extend(noise(40));
    std::io::Write::write_all(&mut liar, &record).unwrap();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    assert!(server.write_all(b"x").await.is_err(), "it stays broken");
}
