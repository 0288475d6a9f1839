//! What tables become, told on small ones; and that no bytes whatever make a source panic.

use std::{fmt::Write, io::Cursor};

use proptest::prelude::*;
use telemetry::{ReadingBatch, Timestamp};

use super::*;
use crate::corpus::{corpus, spoiled};

/// Device, signal, microseconds and bits of every reading.
type Plain = Vec<(String, String, i64, u64)>;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn plain(batch: &ReadingBatch) -> Plain {
    let mut all = Vec::new();
    for row in batch.rows() {
        assert_eq!(row.received_at, NOW);
        for (&signal, value) in row.signals.iter().zip(row.values) {
            let signal = batch.signals()[signal as usize].to_string();
            all.push((
                row.device.to_string(),
                signal,
                row.measured_at.as_micros(),
                value.to_bits(),
            ));
        }
    }
    all
}

#[derive(Debug, Default, PartialEq)]
struct Read {
    readings: Plain,
    rejects: Vec<String>,
    places: Vec<Place>,
}

fn gather(mut next: impl FnMut() -> Result<Option<Piece>>) -> Result<Read> {
    let mut read = Read::default();
    while let Some(piece) = next()? {
        read.readings.extend(plain(&piece.readings));
        read.rejects
            .extend(piece.rejects.iter().map(Reject::to_string));
        read.places.push(piece.place);
    }
    Ok(read)
}

fn csv_from(text: &[u8], options: &Options, place: Place) -> Result<Read> {
    let mut source = CsvSource::open(Cursor::new(text), options, place)?;
    gather(|| source.next(NOW))
}

fn csv(text: &str, options: &Options) -> Result<Read> {
    csv_from(text.as_bytes(), options, Place::default())
}

fn lines(text: &str, options: &Options) -> Result<Read> {
    let mut source = LineSource::open(Cursor::new(text.as_bytes()), options, Place::default())?;
    gather(|| source.next(NOW))
}

fn of_device(device: &str) -> Options {
    Options {
        device: Some(DeviceId::new(device).unwrap()),
        ..Options::default()
    }
}

fn reading(device: &str, signal: &str, seconds: i64, value: f64) -> (String, String, i64, u64) {
    (
        device.to_owned(),
        signal.to_owned(),
        seconds * 1_000_000,
        value.to_bits(),
    )
}

#[test]
fn wide_and_long_tables_become_the_same_readings() {
    let expected = vec![
        reading("p1", "a", 1_583_748_873, 0.5),
        reading("p1", "b c", 1_583_748_873, -2.0),
        reading("p1", "a", 1_583_748_874, 1e-3),
    ];
    for (text, options) in [
        (
            "time,a,b c\n2020-03-09T10:14:33Z,0.5,-2\n2020-03-09T10:14:34Z,1e-3,\n",
            of_device("p1"),
        ),
        (
            "\u{feff}Device;Datetime;a;b c\r\np1;2020-03-09 10:14:33;0,5;-2,0\r\np1;1583748874;0.001;NaN\r\n",
            Options::default(),
        ),
        (
            "device,signal,time,value\np1,a,1583748873,.5\np1,\"b c\",1583748873000,-2\np1,a,1583748874,0.001\n",
            Options::default(),
        ),
        (
            "_time\t_field\t_value\tmachine\n1583748873\ta\t0.5\tp1\n1583748873\tb c\t-2\tp1\n1583748874\ta\t1e-3\tp1",
            Options::default(),
        ),
        (
            "label,time,a,b c\nx,1583748873,0.5,-2\ny,1583748874,0.001,\n",
            Options {
                ignore: vec!["label".to_owned()],
                ..of_device("p1")
            },
        ),
    ] {
        let read = csv(text, &options).unwrap_or_else(|error| panic!("{text}: {error:#}"));
        assert_eq!(read.rejects, Vec::<String>::new(), "{text}");
        assert_eq!(read.readings, expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_told_by_line_and_column_and_the_rest_is_kept() {
    let text = "time,a,b\n1,1,1\nsoon,2,2\n3,one,3\n4,4\n5,5,5,5\n6,6,6,\n7,inf,7\n";
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        let read = csv(&text, &of_device("d")).unwrap();
        assert_eq!(
            read.rejects,
            [
                "line 3, column 1 (time): \"soon\" is no time",
                "line 4, column 2 (a): \"one\" is no finite number",
                "line 5: 2 cells under 3 columns",
                "line 6: 4 cells under 3 columns",
                "line 8, column 2 (a): \"inf\" is no finite number",
            ]
        );
        let kept: Vec<i64> = read
            .readings
            .iter()
            .map(|(_, _, at, _)| at / 1_000_000)
            .collect();
        assert_eq!(kept, [1, 1, 3, 6, 6, 7]);
    }
    let long = "device,signal,time,value\nd,a,1,1\nd/e,a,2,2\nd,a#,3,3\nd,a,4,4\n";
    let read = csv(long, &Options::default()).unwrap();
    assert_eq!(read.readings.len(), 2);
    assert!(
        read.rejects[0].starts_with("line 3, column 1 (device): "),
        "{:?}",
        read.rejects
    );
    assert!(
        read.rejects[1].starts_with("line 4, column 2 (signal): "),
        "{:?}",
        read.rejects
    );
}

#[test]
fn a_quote_that_is_never_closed_costs_one_row() {
    let mut text = "time,a\n1,1\n2,\"2\n".to_owned();
    for row in 3..300_000 {
        let _ = writeln!(text, "{row},{row}");
    }
    let read = csv(&text, &of_device("d")).unwrap();
    assert_eq!(read.rejects.len(), 1, "{:?}", read.rejects);
    assert!(
        read.rejects[0].starts_with("line 3: the row has more than"),
        "{:?}",
        read.rejects
    );
    let times: Vec<i64> = read
        .readings
        .iter()
        .map(|(_, _, at, _)| at / 1_000_000)
        .collect();
    let expected: Vec<i64> = [1].into_iter().chain(3..300_000).collect();
    assert_eq!(times, expected);
}

#[test]
fn tables_that_cannot_be_imported_say_why() {
    let long = Options {
        layout: Layout::Long,
        ..of_device("d")
    };
    for (text, options, expected) in [
        ("", of_device("d"), "header"),
        ("a,b\n1,2\n", of_device("d"), "--time-column"),
        ("time,a\n1,2\n", Options::default(), "--device"),
        ("time,a,a\n1,2,3\n", of_device("d"), "two columns"),
        ("time,a/b\n1,2\n", of_device("d"), "--ignore"),
        ("time,a\n1,2\n", long, "--signal-column"),
    ] {
        let error = format!("{:#}", csv(text, &options).unwrap_err());
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn line_protocol_becomes_readings_by_the_rules_of_the_other_ways_in() {
    let text = "# a comment\n\nreading,device=p1 a=0.5,b\\ c=-2i,~time=3 1583748873000000000\n\
                motor,device=p1 value=7u 1583748874000000000\n\
                motor,device=p1 speed=8.5 1583748874000000000\n";
    let read = lines(text, &Options::default()).unwrap();
    assert_eq!(read.rejects, Vec::<String>::new());
    assert_eq!(
        read.readings,
        [
            reading("p1", "a", 1_583_748_873, 0.5),
            reading("p1", "b c", 1_583_748_873, -2.0),
            reading("p1", "time", 1_583_748_873, 3.0),
            reading("p1", "motor", 1_583_748_874, 7.0),
            reading("p1", "motor.speed", 1_583_748_874, 8.5),
        ]
    );
    let bad = "reading,device=p1 a=1 1\nreading a=1 1\nreading,device=p1,hall=2 a=1 1\nnonsense\n\
               reading,device=p1 a=\"x\",b=2 2000\nreading,device=p1 a=9007199254740993i 3000\n";
    let read = lines(bad, &Options::default()).unwrap();
    assert_eq!(read.readings.len(), 2);
    for (reject, expected) in read.rejects.iter().zip([
        "line 2: there is no tag \"device\"",
        "line 3: the tag \"hall\"",
        "line 4: ",
        "line 5, column 1 (a): the field is no number",
        "line 6, column 1 (a): the whole number",
    ]) {
        assert!(reject.starts_with(expected), "{reject}");
    }
    assert_eq!(read.rejects.len(), 5);
}

fn table() -> impl Strategy<Value = Vec<(i64, Vec<Option<f64>>)>> {
    let value = prop::option::of(prop::num::f64::NORMAL | prop::num::f64::ZERO);
    prop::collection::vec((0i64..1 << 40, prop::collection::vec(value, 3)), 0..50)
}

fn text_of(rows: &[(i64, Vec<Option<f64>>)], end: &str) -> String {
    let mut text = format!("time,a,b,c{end}");
    for (at, values) in rows {
        let cells = values
            .iter()
            .map(|value| value.map(|v| format!("{v:?}")).unwrap_or_default());
        let cells: Vec<String> = cells.collect();
        let _ = write!(
            text,
            "{}Z,{}{end}",
            Timestamp::from_micros(*at).to_utc().format("%FT%T%.6f"),
            cells.join(",")
        );
    }
    text
}

proptest! {
    #[test]
    fn every_bit_of_a_table_comes_back(rows in table(), crlf in any::<bool>()) {
        let text = text_of(&rows, if crlf { "\r\n" } else { "\n" });
        let read = csv(&text, &of_device("d")).unwrap();
        let mut expected = Plain::new();
        for (at, values) in &rows {
            for (signal, value) in ["a", "b", "c"].iter().zip(values) {
                if let Some(value) = value {
                    expected.push(("d".to_owned(), (*signal).to_owned(), *at, value.to_bits()));
                }
            }
        }
        prop_assert_eq!(read.readings, expected);
        prop_assert_eq!(read.rejects.len(), 0);
    }

    /// Where a piece ends another run can begin.
    #[test]
    fn reading_on_from_any_row_gives_the_rest(rows in table(), crlf in any::<bool>(), cut in 0usize..50) {
        let end = if crlf { "\r\n" } else { "\n" };
        let cut = cut.min(rows.len());
        let (head, whole) = (text_of(&rows[..cut], end), text_of(&rows, end));
        let first = csv(&head, &of_device("d")).unwrap();
        let place = first.places.last().copied().unwrap_or_default();
        let rest = csv_from(whole.as_bytes(), &of_device("d"), place).unwrap();
        let all = csv(&whole, &of_device("d")).unwrap();
        prop_assert_eq!([first.readings, rest.readings].concat(), all.readings);
    }

    #[test]
    fn the_line_of_an_error_is_where_an_editor_shows_it(
        before in 0usize..30, crlf in any::<bool>(), quoted in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let row = if quoted { format!("\"1\",\"2\"{end}") } else { format!("1,2{end}") };
        let text = format!("time,a{end}{}3,bad{end}4,worse", row.repeat(before));
        let read = csv(&text, &of_device("d")).unwrap();
        let lines: Vec<String> = [before + 2, before + 3]
            .map(|line| format!("line {line}, column 2 (a): "))
            .into();
        for (reject, line) in read.rejects.iter().zip(&lines) {
            prop_assert!(reject.starts_with(line), "{} is not on {}", reject, line);
        }
        prop_assert_eq!(read.rejects.len(), 2);
    }
}

/// What must hold for any bytes whatever.
fn check_any(bytes: &[u8]) {
    for options in [Options::default(), of_device("d")] {
        if let Ok(read) = csv_from(bytes, &options, Place::default()) {
            for (_, _, at, bits) in &read.readings {
                assert!(f64::from_bits(*bits).is_finite());
                assert!(Timestamp::from_micros(*at).is_in_calendar());
            }
            assert!(
                read.places
                    .last()
                    .is_none_or(|place| place.offset <= bytes.len() as u64)
            );
        }
        let mut source = LineSource::open(Cursor::new(bytes), &options, Place::default()).unwrap();
        while let Some(piece) = source.next(NOW).unwrap() {
            assert!(piece.place.offset <= bytes.len() as u64);
        }
    }
}

#[test]
fn the_corpus_holds_good_tables_and_broken_ones() {
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/import/__fuzz__/csv_import/corpus"
    );
    let (mut readings, mut rejects, mut refused) = (0, 0, 0);
    for entry in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        match csv_from(&bytes, &of_device("d"), Place::default()) {
            Ok(read) => {
                readings += read.readings.len();
                rejects += read.rejects.len();
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        readings > 0 && rejects > 0 && refused > 0,
        "{readings}, {rejects}, {refused}"
    );
}

/// A fuzz target: on its corpus, on random input and on the corpus spoiled by it here, by coverage with
/// `cargo bolero test import::tests::no_table_makes_the_import_panic -p bellwether`.
#[test]
fn no_table_makes_the_import_panic() {
    let corpus = corpus("import", "csv_import");
    bolero::check!(name = "csv_import").for_each(|bytes: &[u8]| {
        check_any(bytes);
        check_any(&spoiled(&corpus, bytes));
        // Most random bytes are no table at all; behind a header they are read as rows.
        for header in [
            "time,a,b\n",
            "device;signal;time;value\n",
            "time\tdevice\tx\n",
        ] {
            check_any(&[header.as_bytes(), bytes].concat());
        }
    });
}
