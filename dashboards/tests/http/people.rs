//! People: who is told, who is on call, what was told, and calendars.

use alerting::{
    notify::{Channel, ChannelKind, Channels, Office},
    people::{Chain, Directory, Language, PLANNER, Person, Rota},
};
use reqwest::Method;
use serde_json::{Value, json};
use telemetry::{ChannelId, PersonId, RotaId};

use crate::plant::Plant;

/// What the contract promises of people, beside the list in `contract`.
pub(crate) const ROUTES: [(&str, &str); 16] = [
    ("patch", "/api/v1/customers/{id}"),
    ("post", "/api/v1/cases/{id}/assign"),
    ("post", "/api/v1/cases/{id}/hand-over"),
    ("post", "/api/v1/cases/{id}/comment"),
    ("get", "/api/v1/people"),
    ("get", "/api/v1/rota"),
    ("post", "/api/v1/rota/{id}/overrides"),
    ("delete", "/api/v1/rota/{id}/overrides/{number}"),
    ("get", "/api/v1/escalations"),
    ("get", "/api/v1/notifications"),
    ("get", "/api/v1/notifications/summary"),
    ("post", "/api/v1/notifications/{id}/retry"),
    ("post", "/api/v1/notifications/test"),
    ("get", "/api/v1/calendar-feeds"),
    ("post", "/api/v1/calendar-feeds"),
    ("delete", "/api/v1/calendar-feeds/{id}"),
];

/// Wang and Chen take turns of a week from the first Monday of 2026, by a webhook.
pub(crate) fn office() -> Office {
    let hook = Channel {
        id: ChannelId::new("hook").unwrap(),
        kind: ChannelKind::Webhook,
        url: "https://hooks.example.com/hidden".to_owned(),
        secret: None,
        from: None,
        allow_private: false,
        language: Language::Zh,
    };
    let person = |id: &str, name: &str| Person {
        id: PersonId::new(id).unwrap(),
        name: name.to_owned(),
        roles: vec![PLANNER.to_owned()],
        sites: Vec::new(),
        language: Language::Zh,
        email: None,
        channel: hook.id.clone(),
        urgent_channel: None,
    };
    let people = [person("wang-li", "王丽"), person("chen", "陈")];
    let rota = Rota {
        id: RotaId::new("plant").unwrap(),
        time_zone: "Asia/Shanghai".parse().unwrap(),
        first_turn: "2026-01-05T08:00:00".parse().unwrap(),
        days: 7,
        members: people.iter().map(|one| one.id.clone()).collect(),
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

#[tokio::test]
async fn a_case_is_given_handed_over_and_talked_about() {
    let plant = Plant::open().await;
    let case = plant.alarm("pump-1", "bearing-wear", 0).await;
    let path = |verb: &str| format!("/api/v1/cases/{case}/{verb}");
    let to_wang = json!({ "to": "wang-li", "by": "Li" });
    let given = plant.post(&path("assign"), to_wang.clone(), 200).await;
    assert_eq!(given["assignee"], "wang-li");
    plant
        .post(
            &path("comment"),
            json!({ "by": "Li", "text": "Listen to it first" }),
            200,
        )
        .await;
    let over = json!({ "to": "chen", "by": "wang-li", "note": "Parts are here" });
    let given = plant.post(&path("hand-over"), over, 200).await;
    assert_eq!(given["assignee"], "chen");
    for (verb, body) in [
        ("assign", json!({ "to": "nobody", "by": "Li" })),
        ("assign", json!({ "to": "chen", "by": " " })),
        ("comment", json!({ "by": "Li", "text": "" })),
        ("hand-over", json!({ "to": "chen", "by": "Li" })),
    ] {
        plant.post(&path(verb), body, 422).await;
    }
    plant.post("/api/v1/cases/C-0/assign", to_wang, 404).await;
    let log = plant.read(&format!("/api/v1/cases/{case}")).await;
    let kinds: Vec<&str> = log["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    for kind in ["assigned", "commented", "handed_over"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    plant.close().await;
}

#[tokio::test]
async fn whoever_stands_in_is_on_call_until_it_is_taken_back() {
    let plant = Plant::open().await;
    // 2026-03-01 is in the eighth week.
    let on_call = async || {
        let people = plant.read("/api/v1/people").await;
        let people = people["items"].as_array().unwrap().clone();
        let mut on_call = people
            .into_iter()
            .filter(|one| one["on_call"] == json!(["plant"]));
        let one = on_call.next().unwrap();
        assert!(on_call.next().is_none());
        one["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(on_call().await, "chen");
    let span = json!({ "person": "wang-li", "from": "2026-03-01T00:00:00Z",
        "until": "2026-03-01T12:00:00Z", "by": "Li" });
    let entered = plant
        .post("/api/v1/rota/plant/overrides", span.clone(), 201)
        .await;
    assert_eq!(on_call().await, "wang-li");
    let rotas = plant.read("/api/v1/rota").await;
    let rota = &rotas["items"][0];
    assert_eq!(
        (&rota["now"]["name"], &rota["now"]["stands_in"]),
        (&json!("王丽"), &json!(true))
    );
    assert_eq!(rota["ahead"][0]["person"], "chen");
    assert_eq!(rota["overrides"][0]["by"], "Li");
    let path = format!("/api/v1/rota/plant/overrides/{}", entered["id"]);
    for status in [204, 404] {
        let answer = plant.request(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    assert_eq!(on_call().await, "chen");
    for (key, value) in [("person", "nobody"), ("until", "2026-02-01T00:00:00Z")] {
        let mut wrong = span.clone();
        wrong[key] = json!(value);
        plant.post("/api/v1/rota/plant/overrides", wrong, 422).await;
    }
    plant.post("/api/v1/rota/attic/overrides", span, 404).await;
    plant.close().await;
}

#[tokio::test]
async fn a_test_message_waits_in_the_outbox_and_is_counted() {
    let plant = Plant::open().await;
    let test = json!({ "channel": "hook", "person": "wang-li", "by": "Li" });
    let message = plant.post("/api/v1/notifications/test", test, 202).await;
    assert_eq!(message["kind"], "test");
    assert_eq!(message["subject"], "Bellwether 测试消息");
    plant
        .post(
            "/api/v1/notifications/test",
            json!({ "channel": "fax", "by": "Li" }),
            422,
        )
        .await;
    let listed = plant
        .read("/api/v1/notifications?state=waiting&person=wang-li")
        .await;
    assert_eq!(listed["items"][0]["id"], message["id"]);
    assert!(
        plant.read("/api/v1/notifications?state=stuck").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let path = format!(
        "/api/v1/notifications/{}/retry",
        message["id"].as_str().unwrap()
    );
    plant.post(&path, Value::Null, 200).await;
    plant
        .post("/api/v1/notifications/N-0/retry", Value::Null, 404)
        .await;
    assert_eq!(
        plant.read("/api/v1/notifications/summary").await["waiting"],
        1
    );
    assert_eq!(
        plant.read("/api/v1/status").await["notifications"]["waiting"],
        1
    );
    let metrics = plant.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("bellwether_notifications{state=\"stuck\"} 0"),
        "{metrics}"
    );
    assert!(
        plant.read("/api/v1/escalations").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    plant.close().await;
}

#[tokio::test]
async fn a_customer_says_where_it_is_told_of_visits() {
    let plant = Plant::open().await;
    let new = json!({ "name": "Harbour Water" });
    let customer = plant.post("/api/v1/customers", new, 201).await;
    assert_eq!(customer["contact_email"], Value::Null);
    let path = format!("/api/v1/customers/{}", customer["id"].as_str().unwrap());
    let contact = json!({ "contact_email": "pumps@harbour.example", "language": "zh" });
    let changed = plant.patch(&path, contact, 200).await;
    assert_eq!(
        (&changed["contact_email"], &changed["language"]),
        (&json!("pumps@harbour.example"), &json!("zh"))
    );
    plant
        .patch(&path, json!({ "contact_email": "harbour" }), 422)
        .await;
    plant
        .patch("/api/v1/customers/nobody", json!({ "language": "en" }), 404)
        .await;
    let changed = plant
        .patch(&path, json!({ "contact_email": "" }), 200)
        .await;
    assert_eq!(
        (&changed["contact_email"], &changed["language"]),
        (&Value::Null, &json!("zh"))
    );
    plant.close().await;
}

#[tokio::test]
async fn a_calendar_shows_the_visits_of_its_engineer_to_who_knows_its_address() {
    let plant = Plant::open().await;
    let case = plant.alarm("pump-1", "bearing-wear", 0).await;
    let order = plant.read(&format!("/api/v1/cases/{case}")).await["work_order"]
        .as_str()
        .unwrap()
        .to_owned();
    for name in ["Ann", "Bo"] {
        plant
            .post("/api/v1/engineers", json!({ "name": name }), 201)
            .await;
    }
    let step = |verb: &str| format!("/api/v1/work-orders/{order}/{verb}");
    plant
        .post(&step("approve"), json!({ "by": "Li" }), 200)
        .await;
    let when =
        json!({ "by": "Li", "engineer": "ENG-0001", "scheduled_for": "2026-03-04T01:00:00Z" });
    plant.post(&step("schedule"), when, 200).await;
    let mut calendars = Vec::new();
    for engineer in [json!("ENG-0001"), json!("ENG-0002"), Value::Null] {
        let new = json!({ "engineer": engineer, "by": "Li" });
        let feed = plant.post("/api/v1/calendar-feeds", new, 201).await;
        let path = feed["path"].as_str().unwrap().to_owned();
        let answer = plant.get(&path).await;
        assert_eq!(
            answer.headers()["content-type"],
            "text/calendar; charset=utf-8"
        );
        calendars.push((feed["id"].clone(), path, answer.text().await.unwrap()));
    }
    let shows = |text: &str| text.contains("DTSTART:20260304T010000Z") && text.contains(&order);
    assert!(shows(&calendars[0].2) && !shows(&calendars[1].2) && shows(&calendars[2].2));
    assert_eq!(
        plant
            .get("/api/v1/calendar/guess.ics")
            .await
            .status()
            .as_u16(),
        404
    );
    let listed = plant.read("/api/v1/calendar-feeds").await;
    let secret = calendars[0]
        .1
        .trim_start_matches("/api/v1/calendar/")
        .trim_end_matches(".ics");
    assert!(!listed.to_string().contains(secret), "{listed}");
    let path = format!("/api/v1/calendar-feeds/{}", calendars[0].0);
    let gone = plant.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(gone.status().as_u16(), 204);
    assert_eq!(plant.get(&calendars[0].1).await.status().as_u16(), 404);
    plant
        .post(
            "/api/v1/calendar-feeds",
            json!({ "engineer": "ENG-9", "by": "Li" }),
            422,
        )
        .await;
    plant.close().await;
}
