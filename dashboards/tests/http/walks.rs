//! Walking whole lists page by page while others insert.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use telemetry::{Assessment, DeadLetterReason, Finding, HealthIndex};

use crate::plant::{Plant, asset, at, device};

/// What tells items of a list apart.
type Key<'a> = &'a dyn Fn(&Value) -> String;

/// Walks a list and gives the keys in the order they came; `between` runs after each page.
async fn walk(
    plant: &Plant,
    path: &str,
    key: Key<'_>,
    mut between: impl AsyncFnMut(usize),
) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor = String::new();
    for round in 0.. {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = plant
            .read(&format!("{path}{joint}limit=7&cursor={cursor}"))
            .await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 7);
        keys.extend(items.iter().map(key));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
        assert!(round < 100, "the walk does not end");
        between(round).await;
    }
    let distinct: BTreeSet<&String> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "{path} repeats");
    keys
}

fn id(item: &Value) -> String {
    match &item["id"] {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn assets_devices_and_signals_are_walked_while_new_ones_appear() {
    let plant = Plant::open().await;
    let mut there = BTreeSet::new();
    for n in 0..30 {
        let name = format!("m-{:02}", n * 3);
        plant.publish(&[(&name, 0, &[("flow_l_min", 1.0)])]).await;
        there.insert(name);
    }
    let device_of = |item: &Value| item["device"].as_str().unwrap().to_owned();
    let keys: [(&str, Key<'_>); 4] = [
        ("/api/v1/assets", &id),
        ("/api/v1/assets?state=learning", &id),
        ("/api/v1/devices", &id),
        ("/api/v1/signals", &device_of),
    ];
    for (round_of, (path, key)) in keys.into_iter().enumerate() {
        let keys = walk(&plant, path, key, async |round| {
            let name = format!("m-{:02}-{round_of}", (round * 29) % 90);
            plant.publish(&[(&name, 0, &[("flow_l_min", 1.0)])]).await;
        })
        .await;
        assert!(keys.is_sorted(), "{path}");
        let seen: BTreeSet<String> = keys.into_iter().collect();
        assert!(seen.is_superset(&there), "{path} has gaps");
        there.extend(seen);
    }
    plant.close().await;
}

#[tokio::test]
async fn cases_and_orders_are_walked_newest_first_while_new_ones_are_opened() {
    let plant = Plant::open().await;
    let mut cases = Vec::new();
    for n in 0..17 {
        cases.insert(
            0,
            plant
                // Hours apart: alarms of one moment would share an order.
                .alarm(&format!("pump-{n}"), "cavitation", n * 7_200)
                .await
                .to_string(),
        );
    }
    let seen = walk(&plant, "/api/v1/cases", &id, async |round| {
        plant
            .alarm(
                &format!("late-{round}"),
                "cavitation",
                1_000_000 + 7_200 * i64::try_from(round).unwrap(),
            )
            .await;
    })
    .await;
    assert_eq!(seen, cases);
    let orders = walk(&plant, "/api/v1/work-orders", &id, async |round| {
        let by = json!({ "asset": "pump-0", "kind": "inspection", "by": format!("p{round}") });
        plant.post("/api/v1/work-orders", by, 201).await;
    })
    .await;
    assert!(orders.is_sorted_by(|a, b| a > b), "{orders:?}");
    assert_eq!(orders.len(), 19, "seventeen and the two of the walk before");
    plant.close().await;
}

#[tokio::test]
async fn readings_are_walked_in_a_span_that_stays() {
    let plant = Plant::open().await;
    for n in 0..40 {
        plant
            .publish(&[("pump-1", n, &[("flow_l_min", n as f64)])])
            .await;
    }
    let key = |item: &Value| item["value"].to_string();
    let path = "/api/v1/readings?device=pump-1&signal=flow_l_min";
    let seen = walk(&plant, path, &key, async |round| {
        let n = 1_000 + round as i64;
        plant
            .publish(&[("pump-1", n, &[("flow_l_min", n as f64)])])
            .await;
    })
    .await;
    let expected: Vec<String> = (0..40).map(|n| format!("{n}.0")).collect();
    assert_eq!(seen, expected);
    plant.close().await;
}

#[tokio::test]
async fn findings_of_one_instant_are_walked_whole_in_both_directions() {
    let plant = Plant::open().await;
    let health = HealthIndex::new(90.0);
    let finding = |n: i64, secs: i64| {
        Finding::Assessment(Assessment {
            asset: asset(&format!("a-{n:02}")),
            device: device("dev"),
            at: at(secs),
            health,
            zone: health.zone(),
            score: n as f64,
            components: Vec::new(),
        })
    };
    // Twenty assets say something in the same instant, then five more a second later each.
    let all = (0..20)
        .map(|n| finding(n, 0))
        .chain((20..25).map(|n| finding(n, n)));
    plant.parts.store.put_findings(all.collect()).await.unwrap();
    let key = |item: &Value| item["asset"].as_str().unwrap().to_owned();
    let expected: Vec<String> = (0..25).map(|n| format!("a-{n:02}")).collect();
    let up = walk(&plant, "/api/v1/assessments", &key, async |_| {}).await;
    assert_eq!(up, expected);
    let mut down = walk(&plant, "/api/v1/assessments?order=desc", &key, async |_| {}).await;
    down.reverse();
    assert_eq!(down, expected);
    plant.close().await;
}

#[tokio::test]
async fn dead_letters_are_walked_while_more_arrive() {
    let plant = Plant::open().await;
    for _ in 0..20 {
        plant.refuse(DeadLetterReason::MalformedPayload, b"{").await;
    }
    let seen = walk(&plant, "/api/v1/dead-letters", &id, async |_| {
        plant.refuse(DeadLetterReason::EmptyPayload, b"").await;
    })
    .await;
    assert_eq!(seen.len(), 20);
    plant.close().await;
}
