use std::path::Path;

use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn parse(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
    let mut layers = Layers::default();
    let result = layers
        .add_file(Path::new("plant.toml"), text)
        .and_then(|()| layers.add_env(env(variables)));
    for (key, value) in flags {
        layers.add_flag("--set", key, value);
    }
    result
        .and_then(|()| Config::try_from(layers))
        .map_err(|error| error.to_string())
}

#[test]
fn no_configuration_at_all_works_on_loopback() {
    let others = env(&[
        ("PATH", "/bin"),
        ("BELLWETHER_BIN", "target/debug/bellwether"),
        ("BELLWETHER_REQUIRE_WEB", "1"),
        ("BELLWETHER_TESTS_LONG", "1"),
    ]);
    let config = Config::load(None, others, &[]).unwrap();
    assert_eq!(config.data_dir, Path::new("./bellwether-data"));
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8080");
    let listener = config.ingest.listener.unwrap();
    assert_eq!(listener.bind.to_string(), "127.0.0.1:1883");
    assert_eq!(config.ingest.topics.len(), 3);
    assert!(config.service.open_registration);
}

#[test]
fn a_later_layer_replaces_single_keys_of_an_earlier_one() {
    let file =
        "[analytics]\nlearning_rows = 500\nlateness = \"30s\"\n[http]\nbind = \"127.0.0.1:9000\"";
    let rows = |variables: &[(&str, &str)], flags: &[(&str, &str)]| {
        let config = parse(file, variables, flags).unwrap();
        assert_eq!(config.analytics.lateness.as_secs(), 30);
        assert_eq!(config.http.bind.port(), 9000);
        config.analytics.learning_rows
    };
    let variable = [("BELLWETHER_ANALYTICS__LEARNING_ROWS", "600")];
    assert_eq!(rows(&[], &[]), 500);
    assert_eq!(rows(&variable, &[]), 600);
    assert_eq!(rows(&variable, &[("analytics.learning_rows", "700")]), 700);
}

type Pairs = &'static [(&'static str, &'static str)];

/// A file, variables, and what the complaint must hold.
const COMPLAINTS: &[(&str, Pairs, &[&str])] = &[
    (
        "[analytics]\nlerning_rows = 4",
        &[],
        &[
            "analytics.lerning_rows",
            "= 4",
            "plant.toml, line 2",
            "did you mean analytics.learning_rows?",
        ],
    ),
    (
        "nonsense = true",
        &[],
        &["unknown key nonsense", "true", "plant.toml, line 1"],
    ),
    (
        "",
        &[("BELLWETHER_HTTP__BIND", "0.0.0.0:8080")],
        &[
            "http.bind",
            "\"0.0.0.0:8080\"",
            "environment variable BELLWETHER_HTTP__BIND",
            "127.0.0.1:8080",
        ],
    ),
    (
        "[ingest.listener]\n\nbind = \"192.168.1.5:1883\"",
        &[],
        &[
            "ingest.listener.bind",
            "192.168.1.5:1883",
            "plant.toml, line 3",
            "credentials and TLS",
            "access = \"required\"",
            "tls_cert and tls_key",
            "127.0.0.1:1883",
        ],
    ),
    (
        "[ingest.listener]\nbind = \"0.0.0.0:1883\"\naccess = \"required\"",
        &[],
        &[
            "ingest.listener.bind",
            "0.0.0.0:1883",
            "line 2",
            "without TLS; set ingest.listener.tls_cert and tls_key, or use",
            "allow_insecure",
        ],
    ),
    (
        "[ingest.listener]\ntls_cert = \"/nowhere/cert.pem\"",
        &[],
        &[
            "ingest.listener.tls_cert",
            "/nowhere/cert.pem",
            "line 2",
            "cannot be read",
        ],
    ),
    (
        "[ingest.listener]\ntls_client_certificates = \"required\"",
        &[],
        &["ingest.listener.tls_cert is missing", "line 2", "tls_key"],
    ),
    (
        "[ingest.listener]\naccess = \"maybe\"",
        &[],
        &[
            "ingest.listener.access",
            "\"maybe\"",
            "line 2",
            "open, required",
        ],
    ),
    (
        "[ingest.checks]\nclock_ahead = \"0s\"",
        &[],
        &[
            "ingest.checks.clock_ahead",
            "\"0s\"",
            "line 2",
            "1s to 3660d",
        ],
    ),
    (
        "[[ingest.topic]]\npattern = \"plant/device\"",
        &[],
        &[
            "ingest.topic.0.pattern",
            "plant/device",
            "line 2",
            "{device}",
        ],
    ),
    (
        "[[ingest.topic]]\npattern = \"plant/{device}\"\npaths = { \"a/b\" = \"x\" }",
        &[],
        &["ingest.topic.0.paths.a/b", "line 3", "signal name"],
    ),
    (
        "[[ingest.topic]]\npattern = \"plant/{device}\"\npaths = { a = \"x..y\" }",
        &[],
        &["ingest.topic.0.pattern", "x..y", "between two dots"],
    ),
    (
        "[[ingest.topic]]\npattern = \"plant/{device}\"\nformat = \"json\"\npaths = { a = \"x\" }",
        &[],
        &["ingest.topic.0.pattern", "json-paths"],
    ),
    (
        "[[ingest.topic]]\npattern = \"plant/{device}\"\nformat = \"xml\"",
        &[],
        &[
            "ingest.topic.0.format",
            "\"xml\"",
            "line 3",
            "senml, sparkplug",
        ],
    ),
    (
        "",
        &[("BELLWETHER_ANALYTICS__LEARNING_ROWS", "many")],
        &[
            "analytics.learning_rows",
            "\"many\"",
            "BELLWETHER_ANALYTICS__LEARNING_ROWS",
            "whole number",
        ],
    ),
    (
        "[analytics]\nlearning_rows = \"400\"",
        &[],
        &[
            "analytics.learning_rows",
            "\"400\"",
            "plant.toml, line 2",
            "whole number",
        ],
    ),
    (
        "[analytics]\nlearning_rows = 5",
        &[],
        &["analytics.learning_rows", "= 5", "line 2", "100 to 1000000"],
    ),
    (
        "[historian]\nretention = \"soon\"",
        &[],
        &["historian.retention", "\"soon\"", "line 2", "400d"],
    ),
    (
        "[[ingest.subscriber]]\nclient_id = \"a\"",
        &[],
        &[
            "ingest.subscriber.0.url is missing",
            "plant.toml, line 2",
            "mqtt://",
        ],
    ),
    (
        "[[ingest.subscriber]]\nurl = \"mqtt://127.0.0.1\"\nprotocol = \"v6\"",
        &[],
        &["ingest.subscriber.0.protocol", "\"v6\"", "line 3", "v5, v4"],
    ),
    (
        "[service]\nregistration = \"maybe\"",
        &[],
        &["service.registration", "\"maybe\"", "open, closed"],
    ),
    (
        "[models]\ndir = \"/nowhere/at/all\"",
        &[],
        &["models.dir", "/nowhere/at/all", "line 2"],
    ),
    (
        "[log]\nlevel = \"=loud=\"",
        &[],
        &["log.level", "=loud=", "line 2"],
    ),
    ("[http\nbind = 1", &[], &["plant.toml", "not valid TOML"]),
];

#[test]
fn every_error_names_key_value_and_source() {
    for (file, variables, wanted) in COMPLAINTS {
        let message = parse(file, variables, &[]).expect_err(file);
        for part in *wanted {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
    let message = parse("", &[], &[("data_dri", "x")]).unwrap_err();
    assert!(
        message.contains("flag --set") && message.contains("data_dir"),
        "{message}"
    );
}

/// Certificate and key only have to be there; what is in them the listener reads.
fn tls_keys(dir: &Path) -> String {
    let file = |name: &str| {
        let path = dir.join(name);
        std::fs::write(&path, "").unwrap();
        path.display().to_string()
    };
    format!(
        "tls_cert = {:?}\ntls_key = {:?}\n",
        file("cert.pem"),
        file("key.pem")
    )
}

#[test]
fn other_machines_are_let_in_with_credentials_and_tls_or_at_ones_own_risk() {
    let dir = tempfile::tempdir().unwrap();
    let tls = tls_keys(dir.path());
    let listener = |keys: &str| {
        let text = format!("[ingest.listener]\nbind = \"0.0.0.0:8883\"\n{keys}");
        parse(&text, &[], &[]).map(|config| config.ingest.listener.unwrap())
    };
    let safe = listener(&format!("access = \"required\"\n{tls}")).unwrap();
    assert!(safe.insecurity().is_none());
    assert!(safe.tls.is_some());
    for (keys, missing) in [
        (String::new(), "credentials and TLS"),
        (tls, "without credentials"),
        ("access = \"required\"".to_owned(), "without TLS"),
    ] {
        let message = listener(&keys).unwrap_err();
        assert!(message.contains(missing), "{message}");
        let risky = listener(&format!("allow_insecure = true\n{keys}")).unwrap();
        let warning = risky.insecurity().unwrap();
        assert!(warning.contains("0.0.0.0:8883"), "{warning}");
        assert!(warning.contains("allow_insecure"), "{warning}");
    }
    // A listener that does not listen exposes nothing; HTTP has no override.
    assert!(
        parse(
            "[ingest.listener]\nenabled = false\nbind = \"0.0.0.0:1\"",
            &[],
            &[]
        )
        .is_ok()
    );
    let http = "[http]\nbind = \"0.0.0.0:8080\"\n[ingest.listener]\nallow_insecure = true";
    assert!(parse(http, &[], &[]).is_err());
}

#[test]
fn a_client_ca_means_that_devices_may_show_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let tls = tls_keys(dir.path());
    let ca = dir.path().join("cert.pem").display().to_string();
    for (keys, expected) in [
        (String::new(), ::ingest::ClientCertificates::None),
        (
            format!("tls_client_ca = {ca:?}"),
            ::ingest::ClientCertificates::Optional,
        ),
        (
            format!("tls_client_ca = {ca:?}\ntls_client_certificates = \"required\""),
            ::ingest::ClientCertificates::Required,
        ),
    ] {
        let config = parse(&format!("[ingest.listener]\n{tls}{keys}"), &[], &[]).unwrap();
        let tls = config.ingest.listener.unwrap().tls.unwrap();
        assert_eq!(tls.client_certificates, expected, "{keys}");
    }
    let keys = format!("[ingest.listener]\n{tls}tls_client_certificates = \"required\"");
    let message = parse(&keys, &[], &[]).unwrap_err();
    assert!(message.contains("tls_client_ca is missing"), "{message}");
}

#[test]
fn every_format_has_a_word() {
    for (word, extra) in [
        ("auto", ""),
        ("json", ""),
        (
            "json-paths",
            "paths = { t = \"a.b\" }\ntime_path = \"at\"\ntime_unit = \"s\"",
        ),
        ("senml", ""),
        (
            "line-protocol",
            "device_tag = \"host\"\nignored_tags = [\"site\"]",
        ),
        ("waveform", ""),
    ] {
        let text =
            format!("[[ingest.topic]]\npattern = \"a/{{device}}\"\nformat = \"{word}\"\n{extra}");
        let config = parse(&text, &[], &[]).unwrap_or_else(|error| panic!("{word}: {error}"));
        config.ingest.topics[0].compiled().unwrap();
    }
}

#[test]
fn a_secret_may_lie_in_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("url");
    std::fs::write(&path, "mqtt://127.0.0.1:1884\n").unwrap();
    let name = "BELLWETHER_INGEST__SUBSCRIBER__0__URL_FILE";
    let config = parse("", &[(name, path.to_str().unwrap())], &[]).unwrap();
    assert_eq!(config.ingest.subscribers[0].url, "mqtt://127.0.0.1:1884");

    let message = parse("", &[(name, "/nowhere/secret")], &[]).unwrap_err();
    assert!(message.contains("/nowhere/secret"), "{message}");
}

#[test]
fn lists_of_tables_come_from_any_layer() {
    let file = "[[ingest.subscriber]]\nurl = \"mqtt://127.0.0.1:1884\"\n\
                [[ingest.subscriber]]\nurl = \"mqtt://127.0.0.1:1885\"\ntopics = [\"a/#\", \"b/+\"]";
    let variables = [("BELLWETHER_INGEST__SUBSCRIBER__1__PROTOCOL", "v4")];
    let config = parse(file, &variables, &[]).unwrap();
    let [first, second] = &config.ingest.subscribers[..] else {
        panic!("two subscribers expected");
    };
    assert_eq!(first.protocol, Protocol::V5);
    assert_eq!(first.client_id, "bellwether-0");
    assert_eq!(second.protocol, Protocol::V4);
    assert_eq!(second.topics, ["a/#", "b/+"]);
}

/// The example holds every key, commented out with its default or set.
#[test]
fn the_example_configurations_parse_and_explain_every_key() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        parse(&text, &[], &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        files += 1;
    }
    assert!(files >= 2);

    let example = include_str!("../../../deploy/config/bellwether.toml");
    // With every `#key = …` uncommented it must parse as well, and name each key there is.
    let uncommented: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    // Files that are not on this machine.
    let without_files: String = uncommented
        .lines()
        .filter(|line| !line.contains("\"/etc/bellwether/") && !line.starts_with("tls_client"))
        .flat_map(|line| [line, "\n"])
        .collect();
    parse(&without_files, &[], &[]).unwrap();
    let mut layers = Layers::default();
    layers
        .add_file(Path::new("bellwether.toml"), &uncommented)
        .unwrap();
    for key in known_keys() {
        assert!(
            layers.take(&key).is_some(),
            "{key} is not explained in deploy/config/bellwether.toml"
        );
    }
}
