//! Replies to queries that are broken, cut or full of holes.

use std::fmt::Write as _;

use historian::{InfluxStore, SeriesKey, TimeSeries};

use super::*;

fn key() -> SeriesKey {
    SeriesKey {
        device: DeviceId::new("p").unwrap(),
        signal: SignalName::new("a").unwrap(),
    }
}

const HEAD: &str = "#datatype,string,long,dateTime:RFC3339,double\r\n#group,false,false,false,false\r\n\
                    #default,_result,,,\r\n,result,table,_time,_value\r\n";

#[tokio::test]
async fn a_broken_reply_is_an_error_that_says_whether_to_ask_again() {
    let table = |rows: &str| Reply::status(200, format!("{HEAD}{rows}"));
    let error =
        "#datatype,string,string\r\n#default,,\r\n,error,reference\r\n,out of memory,897\r\n";
    for (reply, transient, expected) in [
        (Reply::CutInBody(HEAD.to_owned()), true, "answer a query"),
        (Reply::Cut, true, "answer a query"),
        (Reply::Hang, true, "answer a query"),
        (Reply::status(503, "later"), true, "later"),
        (Reply::status(429, ""), true, "429"),
        (
            Reply::status(401, "{\"message\":\"unauthorized access\"}"),
            false,
            "unauthorized access",
        ),
        (
            Reply::status(400, "{\"message\":\"compilation failed\"}"),
            false,
            "compilation failed",
        ),
        (table(",,0,2026-01-01T00:00:00Z,1"), true, "cut off"),
        (table(",,0,2026-01-01T00:00:00Z,one\r\n"), false, "_value"),
        (
            table(",,0,2026-01-01T00:00:00Z\r\n"),
            false,
            "4 cells under 5",
        ),
        (
            table(&format!(",,0,2026-01-01T00:00:00Z,1\r\n\r\n{error}")),
            false,
            "out of memory",
        ),
    ] {
        let shown = format!("{reply:?}");
        let peer = Peer::start(move |_| reply.clone()).await;
        let mut config = config(peer.url());
        config.timeout = Duration::from_millis(300);
        let store = InfluxStore::new(&config).unwrap();
        let asked = store
            .range(&key(), Timestamp::MIN, Timestamp::MAX, 10)
            .await;
        let error = asked.expect_err(&shown);
        assert_eq!(error.is_transient(), transient, "{shown}: {error}");
        assert!(error.to_string().contains(expected), "{shown}: {error}");
    }
}

#[tokio::test]
async fn holes_and_strangers_in_a_reply_are_left_out() {
    let rows = ",,0,2026-01-01T00:00:00Z,1\r\n,,0,2026-01-01T00:00:01Z,\r\n,,0,,2\r\n\
                ,,0,2026-01-01T00:00:02Z,NaN\r\n,,0,2026-01-01T00:00:03Z,3\r\n";
    let reply = Reply::status(200, format!("{HEAD}{rows}"));
    let peer = Peer::start(move |_| reply.clone()).await;
    let store = InfluxStore::new(&config(peer.url())).unwrap();
    let samples = store
        .range(&key(), Timestamp::MIN, Timestamp::MAX, 10)
        .await
        .unwrap();
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [1.0, 3.0]);
    // Series of nobody's device or of a name that is none of ours.
    assert_eq!(store.series(None).await.unwrap(), []);
    assert_eq!(store.last(&[key()]).await.unwrap(), [None]);
}

/// Serves a series of one reading a second in the pages it is asked for.
#[tokio::test]
async fn long_ranges_are_read_in_pages_without_a_gap_or_a_double() {
    const READINGS: i64 = 120_001;
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let peer = Peer::start(move |request| {
        *count.lock().unwrap() += 1;
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        let query = body["query"].as_str().unwrap();
        let number = |after: &str, end: char| -> i64 {
            let rest = query.split_once(after).unwrap().1;
            rest.split_once(end).unwrap().0.parse().unwrap()
        };
        let (start, limit) = (number("start: time(v: ", ')'), number("limit(n: ", ')'));
        let first =
            start.div_euclid(1_000_000_000) + i64::from(start.rem_euclid(1_000_000_000) > 0);
        let mut reply = HEAD.to_owned();
        for second in (first.max(0)..READINGS).take(limit as usize) {
            let _ = write!(reply, ",,0,{},{second}\r\n", Timestamp::from_secs(second));
        }
        Reply::status(200, reply)
    })
    .await;
    let store = InfluxStore::new(&config(peer.url())).unwrap();
    let all = store
        .range(&key(), Timestamp::MIN, Timestamp::MAX, usize::MAX)
        .await
        .unwrap();
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, sample)| sample.at == Timestamp::from_secs(at as i64))
    );
    assert_eq!((all.len() as i64, *asked.lock().unwrap()), (READINGS, 3));
}
