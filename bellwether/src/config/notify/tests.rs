use std::path::Path;

use telemetry::{SiteId, Timestamp};

use super::*;
use crate::config::{Config, Layers};

const OFFICE: &str = r#"
[notify]
link = "https://bellwether.example"

[[notify.channel]]
id = "mail"
kind = "smtp"
url = "smtp://127.0.0.1:2525"
from = "bellwether@plant.example"

[[notify.channel]]
id = "plant-chat"
kind = "dingtalk"
url = "https://oapi.dingtalk.example/robot/send?access_token=hidden"
secret = "hidden"
language = "zh"

[[notify.person]]
id = "wang-li"
name = "王丽"
email = "wang.li@plant.example"
language = "zh"
roles = ["planner"]
channel = "mail"
urgent_channel = "plant-chat"

[[notify.person]]
id = "chen"
email = "chen@plant.example"
sites = ["SITE-0001"]
channel = "mail"

[[notify.rota]]
id = "plant"
time_zone = "Europe/Berlin"
first_turn = "2026-01-05T08:00"
members = ["wang-li", "chen"]
overrides = ["2026-03-29T02:30/2026-03-30T08:00 chen"]
"#;

const CHAIN: &str = r#"
[[notify.chain]]
id = "urgent"
severity = "critical"
steps = ["0s on_call", "5m channel:plant-chat", "2h role:planner", "24h unresolved person:chen"]
"#;

fn parsed(text: &str) -> Result<Notify, String> {
    let mut layers = Layers::default();
    layers
        .add_file(Path::new("test.toml"), text)
        .map_err(|error| error.to_string())?;
    Config::try_from(layers)
        .map(|config| config.notify)
        .map_err(|error| error.to_string())
}

#[test]
fn people_rotas_chains_and_channels_are_read() {
    let notify = parsed(&format!("{OFFICE}{CHAIN}")).unwrap();
    let directory = &notify.office.directory;
    assert_eq!(
        (directory.people.len(), notify.office.channels.0.len()),
        (2, 2)
    );
    let chain = &directory.chains[0];
    assert_eq!(
        (chain.steps.len(), chain.steps[2].after.as_secs()),
        (4, 7_200)
    );
    // 02:30 is left out on that day; by the offset before, it is 01:30Z.
    let stand_in = &directory.rotas[0].overrides[0];
    assert_eq!(
        stand_in.from,
        Timestamp::parse("2026-03-29T01:30:00Z").unwrap()
    );
    let site = SiteId::new("SITE-0002").unwrap();
    let planner = Target::Role("planner".to_owned());
    let meant = directory.meant(&planner, None, Some(&site), Timestamp::EPOCH);
    assert_eq!(meant.len(), 1);
}

#[test]
fn the_default_chains_hold_where_people_are_and_none_is_written() {
    assert_eq!(
        parsed(OFFICE).unwrap().office.directory.chains,
        Chain::defaults()
    );
    assert!(parsed("").unwrap().office.directory.chains.is_empty());
}

#[test]
fn neither_an_address_nor_a_secret_is_shown_with_the_configuration() {
    let notify = parsed(OFFICE).unwrap();
    let shown = serde_json::to_string(&notify).unwrap() + &format!("{notify:?}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn mistakes_are_told_with_the_key() {
    for (from, to, says) in [
        ("id = \"mail\"\n", "", "notify.channel.0.id"),
        (
            "kind = \"smtp\"",
            "kind = \"pigeon\"",
            "use one of smtp, webhook",
        ),
        (
            "smtp://127.0.0.1:2525",
            "https://mail.example",
            "notify.channel.0.url",
        ),
        ("https://oapi", "ftp://oapi", "use https://"),
        (
            "channel = \"mail\"\nurgent",
            "channel = \"fax\"\nurgent",
            "there is no [[notify.channel]]",
        ),
        ("email = \"chen@plant.example\"\n", "", "has no email"),
        ("wang.li@plant.example", "wang li", "no mail address"),
        ("Europe/Berlin", "Europe/Atlantis", "no time zone"),
        ("2026-01-05T08:00\"", "Monday\"", "no time such as"),
        (
            "[\"wang-li\", \"chen\"]",
            "[\"nobody\"]",
            "no [[notify.person]]",
        ),
        ("members = [\"wang-li\", \"chen\"]\n", "", "needs members"),
        (
            "2026-03-30T08:00 chen",
            "2026-03-28T08:00 chen",
            "ends before it begins",
        ),
        ("0s on_call", "soon on_call", "is no duration"),
        ("0s on_call", "0s everybody", "use on_call"),
        (
            "24h unresolved",
            "24h unhappy",
            "use unacknowledged or unresolved",
        ),
        ("channel:plant-chat", "channel:fax", "no [[notify.channel]]"),
        (
            "https://bellwether.example",
            "bellwether.example",
            "notify.link",
        ),
    ] {
        let text = format!("{OFFICE}{CHAIN}");
        assert!(text.contains(from), "{from}");
        let error = parsed(&text.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
}
