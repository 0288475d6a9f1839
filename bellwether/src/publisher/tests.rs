use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// Serves one connection: acknowledges the first `acks` messages, takes `more` without a
/// word, and hangs up. Returns the payloads it saw.
async fn serve(mut socket: TcpStream, acks: usize, more: usize) -> Vec<String> {
    let (mut stream, mut seen) = (BytesMut::new(), Vec::new());
    loop {
        while let Ok(packet) = Packet::read(&mut stream, MAX_PACKET_BYTES) {
            let mut answer = BytesMut::new();
            match packet {
                Packet::Connect(_) => {
                    ConnAck::new(ConnectReturnCode::Success, false)
                        .write(&mut answer)
                        .unwrap();
                }
                Packet::Publish(publish) => {
                    seen.push(String::from_utf8(publish.payload.to_vec()).unwrap());
                    if seen.len() <= acks {
                        PubAck::new(publish.pkid).write(&mut answer).unwrap();
                    }
                    if seen.len() == acks + more {
                        return seen;
                    }
                }
                Packet::Disconnect => return seen,
                _ => {}
            }
            socket.write_all(&answer).await.unwrap();
        }
        if socket.read_buf(&mut stream).await.unwrap() == 0 {
            return seen;
        }
    }
}

#[tokio::test]
async fn what_a_lost_connection_left_open_is_published_again_and_counted_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let broker = tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        let first = serve(first, 7, 5).await;
        let (second, _) = listener.accept().await.unwrap();
        (first, serve(second, usize::MAX, 0).await)
    });
    let acknowledged = Arc::new(Acknowledged::default());
    let connection = Connection {
        url: url.parse().unwrap(),
        client_id: "pump-1".to_owned(),
        qos: QoS::AtLeastOnce,
        window: 10,
    };
    let (_abandon, abandoned) = watch::channel(false);
    let publisher = Publisher::start(connection, Arc::clone(&acknowledged), abandoned);
    for nth in 0..40 {
        let message = Message {
            topic: "telemetry/pump-1".into(),
            payload: nth.to_string(),
            readings: 3,
        };
        publisher.send(message).await.unwrap();
    }
    publisher.finish().await.unwrap();
    assert_eq!(
        (acknowledged.messages(), acknowledged.readings()),
        (40, 120)
    );

    let (first, second) = broker.await.unwrap();
    assert_eq!(first.len(), 12);
    // In order, from the first message the lost connection had not acknowledged or later.
    let again: Vec<usize> = second
        .iter()
        .map(|payload| payload.parse().unwrap())
        .collect();
    assert!(again[0] <= 7, "{again:?}");
    assert_eq!(again, (again[0]..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_is_told_to_give_up_does_not_claim_success() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let broker = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        serve(socket, 1, usize::MAX - 1).await
    });
    let acknowledged = Arc::new(Acknowledged::default());
    let connection = Connection {
        url: url.parse().unwrap(),
        client_id: "pump-1".to_owned(),
        qos: QoS::AtLeastOnce,
        window: 10,
    };
    let (abandon, abandoned) = watch::channel(false);
    let publisher = Publisher::start(connection, Arc::clone(&acknowledged), abandoned);
    for nth in 0..3 {
        let message = Message {
            topic: "telemetry/pump-1".into(),
            payload: nth.to_string(),
            readings: 1,
        };
        publisher.send(message).await.unwrap();
    }
    while acknowledged.messages() == 0 {
        tokio::task::yield_now().await;
    }
    abandon.send(true).unwrap();
    let error = publisher.finish().await.unwrap_err().to_string();
    assert!(error.contains("2 messages"), "{error}");
    broker.await.unwrap();
}
