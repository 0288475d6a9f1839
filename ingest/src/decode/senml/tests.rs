//! What the rules of RFC 8428 ask for and what they refuse. Time is 2020-03-09T10:14:33Z.

use telemetry::OpenGate;

use super::super::{
    Decoder, Message,
    testing::{NOW, reasons, rows, take},
};

#[test]
fn base_fields_sums_and_relative_times_follow_the_rules() {
    for (pack, expected) in [
        (r#"[{"n":"t","v":1}]"#, &["p1 0: t=1"][..]),
        (r#"[{"n":"t","v":1,"t":-2.5}]"#, &["p1 -2.5: t=1"]),
        (r#"[{"bt":-10,"n":"t","v":1,"t":4}]"#, &["p1 -6: t=1"]),
        (
            r#"[{"bv":10,"n":"t","v":1},{"n":"u","v":-1},{"bv":0,"n":"w","v":2}]"#,
            &["p1 0: t=11", "p1 0: u=9", "p1 0: w=2"],
        ),
        (r#"[{"bs":5,"n":"e","v":1,"s":2}]"#, &["p1 0: e=1 e.sum=7"]),
        (r#"[{"n":"e","s":2}]"#, &["p1 0: e.sum=2"]),
        (
            r#"[{"bn":"a/"},{"n":"t","v":1},{"bn":"","n":"t","v":2}]"#,
            &["a 0: t=1", "p1 0: t=2"],
        ),
        (
            r#"[{"bu":"degF","n":"t_c","v":212},{"u":"Cel","n":"t_c","v":5,"t":-1}]"#,
            &["p1 0: t_c=100", "p1 -1: t_c=5"],
        ),
        // A name that is an address and nothing else is a device's, as in section 5.1.7.
        (
            r#"[{"n":"fe80::1","v":1},{"n":"fe80::1/","v":1,"t":1}]"#,
            &[
                "fe80--1-82f0e9362b34347c 0: value=1",
                "fe80--1-82f0e9362b34347c 1: value=1",
            ],
        ),
        // Table 6, note 1: % is the old name of /, a ratio of one, and no hundredth.
        (
            r#"[{"n":"fan_pct","u":"%","v":0.5},{"n":"fan_pct","u":"/","v":0.5,"t":1},{"n":"lamp","u":"%","v":0.5,"t":2},{"n":"soil_pct","u":"/100","v":50,"t":3},{"n":"cell","u":"%EL","v":98,"t":4}]"#,
            &[
                "p1 0: fan_pct=50",
                "p1 1: fan_pct=50",
                "p1 2: lamp=0.5",
                "p1 3: soil_pct=50",
                "p1 4: cell_pct=98",
            ],
        ),
        (
            r#"[{"n":"t","v":1,"ut":10,"foo":{"a":[1]}}]"#,
            &["p1 0: t=1"],
        ),
    ] {
        let mut message = Message::new("telemetry/p1", pack.as_bytes(), NOW);
        message.content_type = Some("application/senml+json");
        let record = take(&Decoder::default(), &OpenGate, message);
        assert_eq!(rows(&record), expected, "{pack}");
        assert_eq!(reasons(&record), "", "{pack}");
    }
}

#[test]
fn what_the_rfc_forbids_is_refused() {
    for (pack, kept, reason) in [
        ("[]", 0, "empty_payload"),
        ("", 0, "empty_payload"),
        (r#"[{"bn":"a"}]"#, 0, "empty_payload"),
        ("{}", 0, "malformed_payload"),
        ("[1]", 0, "malformed_payload"),
        (r#"[{"n":"t","v":"1"}]"#, 0, "malformed_payload"),
        (r#"[{"n":1,"v":1}]"#, 0, "malformed_payload"),
        (r#"[{"n":"t","v":1,"vs":"x"}]"#, 0, "malformed_payload"),
        (r#"[{"bver":11,"n":"t","v":1}]"#, 0, "malformed_payload"),
        (r#"[{"n":"t","v":1,"new_":1}]"#, 0, "malformed_payload"),
        (r#"[{"v":1}]"#, 0, "invalid_signal"),
        (
            r#"[{"n":"-t","v":1},{"n":"a b","v":1},{"n":"t","v":1}]"#,
            1,
            "invalid_signal",
        ),
        (
            r#"[{"n":"t","v":1,"t":1e30},{"n":"t","v":1}]"#,
            1,
            "invalid_timestamp",
        ),
        (
            r#"[{"n":"t","v":1,"t":400},{"n":"t","v":1}]"#,
            1,
            "clock_ahead",
        ),
        (
            r#"[{"n":"t","u":"furlong","v":1},{"n":"t","v":1}]"#,
            1,
            "unit_mismatch",
        ),
        (
            r#"[{"n":"t_c","u":"A","v":1},{"n":"t","v":1}]"#,
            1,
            "unit_mismatch",
        ),
        (
            r#"[{"bv":1e308,"n":"t","v":1e308},{"bv":0,"n":"u","v":1}]"#,
            1,
            "invalid_value",
        ),
    ] {
        let mut message = Message::new("telemetry/p1", pack.as_bytes(), NOW);
        message.content_type = Some("application/senml+json");
        let record = take(&Decoder::default(), &OpenGate, message);
        assert_eq!(record.readings.reading_count(), kept, "{pack}");
        assert_eq!(reasons(&record), reason, "{pack}");
    }
}
