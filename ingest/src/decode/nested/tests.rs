//! Documents and paths. Time is 2020-03-09T10:14:33Z, millisecond 1583748873000.

use telemetry::{OpenGate, SignalName};

use super::super::{
    Format, JsonPaths, Message, TimeUnit,
    testing::{NOW, decoder, reasons, rows, take},
};

fn decode(
    paths: &[(&str, &str)],
    time: Option<(&str, TimeUnit)>,
    document: &str,
) -> (Vec<String>, String) {
    let signals = paths
        .iter()
        .map(|(signal, path)| (SignalName::new(signal).unwrap(), *path));
    let paths = JsonPaths::new(
        signals,
        time.map(|(path, _)| path),
        time.map_or(TimeUnit::Ms, |(_, unit)| unit),
    )
    .unwrap();
    let decoder = decoder("n/{device}", Format::JsonPaths(paths.into()));
    let record = take(
        &decoder,
        &OpenGate,
        Message::new("n/p1", document.as_bytes(), NOW),
    );
    (rows(&record), reasons(&record))
}

#[test]
fn paths_find_signals_times_and_units_in_any_document() {
    let time = Some(("t", TimeUnit::S));
    for (paths, time, document, expected) in [
        (
            &[("a", "d.a"), ("b", "d.x[1]")][..],
            None,
            r#"{"d":{"a":1,"x":[5,6]}}"#,
            &["p1 0: a=1 b=6"][..],
        ),
        (
            &[("a", "a")],
            time,
            r#"{"t":1583748872,"a":1}"#,
            &["p1 -1: a=1"],
        ),
        (
            &[("a", "a")],
            time,
            r#"{"t":1583748872.5,"a":1}"#,
            &["p1 -0.5: a=1"],
        ),
        (
            &[("a", "a")],
            time,
            r#"{"t":"2020-03-09T10:14:31Z","a":1}"#,
            &["p1 -2: a=1"],
        ),
        (&[("a", "a")], time, r#"{"a":1}"#, &["p1 0: a=1"]),
        (
            &[("a", "a")],
            time,
            r#"{"t":[1583748871,1583748872],"a":[1,2]}"#,
            &["p1 -2: a=1", "p1 -1: a=2"],
        ),
        (
            &[("a", "[*].d.a"), ("b", "[*].b")],
            Some(("[*].t", TimeUnit::Ms)),
            r#"[{"t":1583748871000,"d":{"a":1},"b":2},{"t":1583748872000,"b":3}]"#,
            &["p1 -2: a=1 b=2", "p1 -1: b=3"],
        ),
        (
            &[("a", "[*].v[*]")],
            Some(("[*].v[*]", TimeUnit::S)),
            "[]",
            &[],
        ),
        (
            &[("a_bar", "a")],
            None,
            r#"{"a":{"value":200,"unit":"kPa"}}"#,
            &["p1 0: a_bar=2"],
        ),
        (
            &[("a", "a"), ("b", "b")],
            None,
            r#"{"a":null,"b":1}"#,
            &["p1 0: b=1"],
        ),
    ] {
        let (rows, reasons) = decode(paths, time, document);
        assert_eq!(rows, expected, "{document}");
        assert_eq!(
            reasons,
            if expected.is_empty() {
                "empty_payload"
            } else {
                ""
            },
            "{document}"
        );
    }
}

#[test]
fn what_stands_at_a_path_and_is_no_value_is_refused() {
    let paths = &[("a", "a"), ("b", "b")][..];
    let time = Some(("t", TimeUnit::Ms));
    for (document, kept, expected) in [
        ("", 0, "empty_payload"),
        ("{", 0, "malformed_payload"),
        ("{}", 0, "empty_payload"),
        ("[1]", 0, "empty_payload"),
        (r#"{"a":"1","b":1}"#, 1, "invalid_value"),
        (r#"{"a":true,"b":1}"#, 1, "invalid_value"),
        (r#"{"a":{"x":1},"b":1}"#, 1, "invalid_value"),
        (
            r#"{"a":{"value":1,"unit":"furlong"},"b":1}"#,
            1,
            "unit_mismatch",
        ),
        (r#"{"t":"x","a":1}"#, 0, "invalid_timestamp"),
        (r#"{"t":1e300,"a":1}"#, 0, "invalid_timestamp"),
        (r#"{"t":{},"a":1}"#, 0, "invalid_timestamp"),
        (r#"{"t":1583749273000,"a":1}"#, 0, "clock_ahead"),
        (r#"{"t":1000,"a":[1,2,3]}"#, 1, "invalid_timestamp"),
    ] {
        let (rows, reasons) = decode(paths, time, document);
        assert_eq!(
            (rows.len(), reasons.as_str()),
            (kept, expected),
            "{document}: {rows:?}"
        );
    }
}
