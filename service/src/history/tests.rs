use telemetry::Timestamp;

use super::*;
use crate::onboard::report::Problems;

const DAY: i64 = 86_400;

fn day(number: i64) -> Timestamp {
    Timestamp::from_secs(number * DAY)
}

fn life(from: Option<i64>, to: Option<i64>, failed: bool) -> RecordedLife {
    RecordedLife {
        from: from.map(day),
        to: to.map(day),
        failed,
    }
}

/// Worked out by hand.
#[test]
fn time_is_cut_into_lives_at_its_marks() {
    use Mark::{Failed, Installed, Renewed};
    for (marks, expected) in [
        (vec![], vec![life(None, None, false)]),
        (
            vec![(10, Installed), (40, Failed), (40, Renewed)],
            vec![life(Some(10), Some(40), true), life(Some(40), None, false)],
        ),
        // Three days until the repair belong to no life.
        (
            vec![(0, Installed), (40, Failed), (43, Renewed), (60, Renewed)],
            vec![
                life(Some(0), Some(40), true),
                life(Some(43), Some(60), false),
                life(Some(60), None, false),
            ],
        ),
        // A repair that nobody wrote down.
        (
            vec![(40, Failed), (70, Failed)],
            vec![
                life(None, Some(40), true),
                life(Some(40), Some(70), true),
                life(Some(70), None, false),
            ],
        ),
        // A replacement a month later ends a life that a repair off the record began.
        (
            vec![(40, Failed), (75, Renewed)],
            vec![
                life(None, Some(40), true),
                life(Some(40), Some(75), false),
                life(Some(75), None, false),
            ],
        ),
    ] {
        let marks: Vec<_> = marks
            .into_iter()
            .map(|(at, mark)| (day(at), mark))
            .collect();
        assert_eq!(lives(&marks), expected, "{marks:?}");
    }
}

fn errors(kind: HistoryKind, options: &HistoryOptions, csv: &str) -> Vec<(u64, u64, String)> {
    let mut problems = Problems::default();
    read(csv.as_bytes(), kind, options, day(20_000), &mut problems);
    let (errors, _) = problems.into_sorted();
    let place = |error: OnboardError| (error.line, error.column_number, error.problem);
    errors.into_iter().map(place).collect()
}

#[test]
fn every_error_has_its_line_and_column() {
    let csv = "asset,at,component\npump-1,2020-01-01,seal\n,2020-01-02,seal\npump/1,soon,seal\n\
               pump-2,2999-01-01,seal\n";
    let found = errors(HistoryKind::Failures, &HistoryOptions::default(), csv);
    let places: Vec<_> = found
        .iter()
        .map(|(line, column, _)| (*line, *column))
        .collect();
    assert_eq!(places, [(3, 1), (4, 1), (4, 2), (5, 2)], "{found:?}");
    assert!(found[3].2.contains("future"), "{found:?}");
}

#[test]
fn a_column_that_is_only_known_after_the_repair_is_refused_unless_it_is_left_out() {
    let csv = "asset,at,downtime_h\npump-1,2020-01-01,17\n";
    let found = errors(HistoryKind::Failures, &HistoryOptions::default(), csv);
    assert_eq!((found[0].0, found[0].1), (1, 3));
    assert!(found[0].2.contains("after the repair"), "{found:?}");
    let options = HistoryOptions {
        ignore: vec!["Downtime_h".to_owned()],
        ..HistoryOptions::default()
    };
    assert_eq!(errors(HistoryKind::Failures, &options, csv), []);
}

/// The columns of a public data set.
#[test]
fn columns_of_another_system_are_mapped() {
    let csv = "datetime,machineID,failure\n2015-01-05 06:00:00,1,comp4\n";
    let columns = [
        ("at", "datetime"),
        ("asset", "machineID"),
        ("component", "failure"),
    ];
    let options = HistoryOptions {
        columns: columns.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec(),
        ..HistoryOptions::default()
    };
    let mut problems = Problems::default();
    let (entries, rows) = read(
        csv.as_bytes(),
        HistoryKind::Failures,
        &options,
        day(20_000),
        &mut problems,
    );
    assert_eq!((problems.into_sorted().0, rows), (vec![], 1));
    let Entry::Record(record) = &entries[0] else {
        panic!("a record");
    };
    assert_eq!(record.at, Timestamp::parse("2015-01-05T06:00:00Z").unwrap());
    assert_eq!(
        (record.asset.as_str(), record.component.as_str()),
        ("1", "comp4")
    );
    let bad = HistoryOptions {
        columns: vec![("colour".to_owned(), "machineID".to_owned())],
        ..options
    };
    assert!(
        errors(HistoryKind::Failures, &bad, csv)[0]
            .2
            .contains("colour")
    );
}
