//! Lines and what they become. Time is 2020-03-09T10:14:33Z, second 1583748873.

use std::sync::Arc;

use proptest::prelude::*;
use telemetry::{JournalRecord, OpenGate};

use super::super::{
    Decoder, Format, LineOptions, Message, TopicCache,
    testing::{NOW, decoder, plain, reasons, rows, take},
};

#[test]
fn lines_become_rows_of_their_device() {
    for (lines, expected) in [
        ("cpu usage=1.5", &["p1 0: cpu.usage=1.5"][..]),
        (
            "cpu,device=a usage=1,idle=2i",
            &["a 0: cpu.usage=1 cpu.idle=2"],
        ),
        (
            "reading,device=a t_c=1 1583748872000000000",
            &["a -1: t_c=1"],
        ),
        ("temp value=7u", &["p1 0: temp=7"]),
        (
            "temp,device=a value=7 1583748872500000999",
            &["a -0.5: temp=7"],
        ),
        (
            "cpu,core=0,device=a,arch=x v=1",
            &["a 0: cpu.v,arch=x,core=0=1"],
        ),
        (
            "a v=1\r\n\n# note\n  b v=2\nc v=3",
            &["p1 0: a.v=1", "p1 0: b.v=2", "p1 0: c.v=3"],
        ),
        (r"my\ m\,x,device=a f\=g\ h=1", &["a 0: my m,x.f=g h=1"]),
        ("m f=-1e-3 -1000", &["p1 -1583748873.000001: m.f=-0.001"]),
    ] {
        let record = plain("telemetry/p1", lines.as_bytes());
        assert_eq!(rows(&record), expected, "{lines}");
        assert_eq!(reasons(&record), "", "{lines}");
    }
}

#[test]
fn what_is_no_value_or_no_line_is_refused_and_the_rest_kept() {
    for (line, kept, reason) in [
        (
            "m a=\"text, with\\\" all \n in it\",b=1",
            1,
            "invalid_value",
        ),
        ("m a=t,b=1", 1, "invalid_value"),
        ("m a=NaN,b=1", 1, "invalid_value"),
        ("m a=+Inf,b=1", 1, "invalid_value"),
        ("m a=1e999,b=1", 1, "invalid_value"),
        ("m a=12x,b=1", 1, "invalid_value"),
        ("m", 0, "malformed_payload"),
        ("m ", 0, "malformed_payload"),
        ("m a", 0, "malformed_payload"),
        ("m a=", 0, "malformed_payload"),
        ("m =1", 0, "malformed_payload"),
        ("m a=1,", 0, "malformed_payload"),
        ("m a=1,,b=2", 0, "malformed_payload"),
        ("m a=1 b=2", 0, "invalid_timestamp"),
        ("m a=1 1.5", 0, "invalid_timestamp"),
        ("m a=1 99999999999999999999", 0, "invalid_timestamp"),
        ("m a=1,a=2", 0, "malformed_payload"),
        ("m,x a=1", 0, "malformed_payload"),
        ("m,x= a=1", 0, "malformed_payload"),
        ("m,=x a=1", 0, "malformed_payload"),
        ("m,x=1,x=2 a=1", 0, "malformed_payload"),
        (",x=1 a=1", 0, "malformed_payload"),
        ("m,device=a/b a=1", 0, "malformed_payload"),
        ("m a/b=1,c=1", 1, "invalid_signal"),
        ("m a=1 1583749273000000000", 0, "clock_ahead"),
        ("m a=\"open", 0, "invalid_value"),
    ] {
        let payload = format!("good v=1\n{line}\ngood v=2 1\n");
        let mut message = Message::new("telemetry/p1", payload.as_bytes(), NOW);
        message.content_type = Some("text/vnd.influx.line-protocol");
        let record = take(&Decoder::default(), &OpenGate, message);
        assert_eq!(
            record.readings.reading_count(),
            kept + 2,
            "{line}: {:?}",
            rows(&record)
        );
        assert_eq!(reasons(&record), reason, "{line}");
    }
}

#[test]
fn the_precision_of_times_is_a_property() {
    for (precision, time, expected) in [
        ("ns", "1583748872000000000", "p1 -1: m.a=1"),
        ("us", "1583748872000000", "p1 -1: m.a=1"),
        ("ms", "1583748872000", "p1 -1: m.a=1"),
        ("s", "1583748872", "p1 -1: m.a=1"),
    ] {
        let payload = format!("m a=1 {time}");
        let properties = [("precision".into(), precision.into())];
        let mut message = Message::new("telemetry/p1", payload.as_bytes(), NOW);
        message.properties = &properties;
        let record = take(&Decoder::default(), &OpenGate, message);
        assert_eq!(rows(&record), [expected], "{precision}");
    }
    let properties = [("precision".into(), "fortnight".into())];
    let mut message = Message::new("telemetry/p1", b"m a=1", NOW);
    message.properties = &properties;
    assert_eq!(
        reasons(&take(&Decoder::default(), &OpenGate, message)),
        "invalid_timestamp"
    );
}

#[test]
fn options_name_the_device_tag_and_leave_tags_out() {
    let options = LineOptions {
        device_tag: "host".into(),
        plain_measurement: "m".into(),
        ignored_tags: vec!["site".into()],
    };
    let decoder = decoder("lp/{device}", Format::LineProtocol(Arc::new(options)));
    let line = b"m,host=a,site=x,device=d v=1";
    let record = take(&decoder, &OpenGate, Message::new("lp/p1", line, NOW));
    assert_eq!(rows(&record), ["a 0: v,device=d=1"]);
}

proptest! {
    #[test]
    fn a_warm_sender_reads_what_a_cold_one_reads(
        picks in prop::collection::vec((0..4usize, 0..3usize, 0..3usize, -100..100i32), 1..40),
    ) {
        let lines: Vec<String> = picks.iter().enumerate().map(|(at, (m, d, f, v))| {
            let fields: Vec<_> = (0..=*f).map(|field| format!("f{}={v}", (field + m) % 3)).collect();
            format!("m{m},device=d{d} {} {}", fields.join(","), at + 1)
        }).collect();
        let decoder = Decoder::default();
        let mut warm = TopicCache::default();
        for chunk in lines.chunks(7) {
            let payload = chunk.join("\n");
            let message = Message::new("telemetry/gw", payload.as_bytes(), NOW);
            let mut record = JournalRecord::default();
            let _ = decoder.decode(&mut warm, message, &OpenGate, &mut record);
            prop_assert_eq!(rows(&record), rows(&plain("telemetry/gw", payload.as_bytes())));
            prop_assert!(record.dead_letters.is_empty());
        }
    }
}
