use super::*;

const DAY: i64 = 86_400;

fn order(
    id: &str,
    kind: WorkOrderKind,
    outcome: Outcome,
    mode: &str,
    (opened, done): (i64, i64),
) -> EndedOrder {
    let is_of_case = kind == WorkOrderKind::Predictive || kind == WorkOrderKind::Inspection;
    EndedOrder {
        id: WorkOrderId::new(id).unwrap(),
        asset: AssetId::new("pump-1").unwrap(),
        asset_name: Name::new("Pump 1").unwrap(),
        customer: CustomerId::new("northshore").unwrap(),
        customer_name: Name::new("Northshore").unwrap(),
        model: AssetModelId::new("centrifugal-pump").unwrap(),
        case: is_of_case.then(|| CaseId::new(&format!("C-{id}")).unwrap()),
        kind,
        outcome,
        failure_mode: FailureMode::new(mode).ok(),
        opened_at: Timestamp::from_secs(opened * DAY),
        done_at: Timestamp::from_secs(done * DAY),
        prices: Some(Prices {
            planned: 1_000.0,
            failure: 8_000.0,
            inspection: 300.0,
            currency: "EUR".to_owned(),
        }),
    }
}

fn kinds(orders: Vec<EndedOrder>) -> Vec<(String, SavingsKind, Option<f64>)> {
    let entries = ledger(orders).into_iter();
    let mut kinds: Vec<_> = entries
        .map(|entry| (entry.order.id.to_string(), entry.kind, entry.money))
        .collect();
    kinds.sort_by(|a, b| a.0.cmp(&b.0));
    kinds
}

use SavingsKind::{Avoided, FalseAlarm, Missed, Sensor, TooLate};
use WorkOrderKind::{Corrective, Inspection, Predictive, Preventive};

#[test]
fn each_end_of_an_order_counts_as_what_it_was() {
    for (kind, outcome, expected) in [
        (Predictive, Outcome::Confirmed, Some((Avoided, 7_000.0))),
        (
            Predictive,
            Outcome::OtherFaultFound,
            Some((Avoided, 7_000.0)),
        ),
        (
            Predictive,
            Outcome::NoFaultFound,
            Some((FalseAlarm, -300.0)),
        ),
        (Predictive, Outcome::SensorFault, Some((FalseAlarm, -300.0))),
        (Predictive, Outcome::Duplicate, None),
        (Predictive, Outcome::Deferred, None),
        (Inspection, Outcome::SensorFault, Some((Sensor, -300.0))),
        (
            Inspection,
            Outcome::NoFaultFound,
            Some((FalseAlarm, -300.0)),
        ),
        (Corrective, Outcome::Confirmed, Some((Missed, -7_000.0))),
        (Corrective, Outcome::NoFaultFound, None),
        (Preventive, Outcome::OtherFaultFound, None),
    ] {
        let found = kinds(vec![order("WO-1", kind, outcome, "seal-leak", (1, 5))]);
        let expected = expected.map(|(kind, money)| ("WO-1".to_owned(), kind, Some(money)));
        assert_eq!(
            found,
            expected.into_iter().collect::<Vec<_>>(),
            "{kind:?} {outcome}"
        );
    }
}

#[test]
fn an_inspection_that_a_person_asked_for_is_no_alarm() {
    let mut by_hand = order(
        "WO-1",
        Inspection,
        Outcome::NoFaultFound,
        "seal-leak",
        (1, 5),
    );
    by_hand.case = None;
    assert_eq!(kinds(vec![by_hand]), []);
}

/// The alarm rose on day 1, the machine failed on day 4, and both orders were closed later: one
/// failure, too late, and nothing avoided.
#[test]
fn a_failure_while_its_case_stood_open_is_counted_once() {
    let foreseen = order("WO-1", Predictive, Outcome::Confirmed, "seal-leak", (1, 6));
    let failed = order("WO-2", Corrective, Outcome::Confirmed, "seal-leak", (4, 5));
    let late = ledger(vec![foreseen.clone(), failed.clone()]);
    assert_eq!(late.len(), 1);
    assert_eq!((late[0].kind, &late[0].case), (TooLate, &foreseen.case));
    // Another fault of the same machine was not what the case spoke of.
    let other = order("WO-2", Corrective, Outcome::Confirmed, "cavitation", (4, 5));
    let found: Vec<_> = kinds(vec![foreseen.clone(), other])
        .into_iter()
        .map(|one| one.1)
        .collect();
    assert_eq!(found, [Avoided, Missed]);
    // And a failure after the work was done is one that nobody saw coming.
    let again = order("WO-2", Corrective, Outcome::Confirmed, "seal-leak", (9, 10));
    let found: Vec<_> = kinds(vec![foreseen, again])
        .into_iter()
        .map(|one| one.1)
        .collect();
    assert_eq!(found, [Avoided, Missed]);
}

#[test]
fn figures_are_sums_of_their_entries_and_what_is_not_priced_is_said() {
    let mut unpriced = order(
        "WO-3",
        Predictive,
        Outcome::NoFaultFound,
        "seal-leak",
        (50, 60),
    );
    unpriced.prices = None;
    let orders = vec![
        order("WO-1", Predictive, Outcome::Confirmed, "seal-leak", (1, 5)),
        order(
            "WO-2",
            Predictive,
            Outcome::NoFaultFound,
            "seal-leak",
            (10, 20),
        ),
        unpriced,
        order(
            "WO-4",
            Corrective,
            Outcome::Confirmed,
            "imbalance",
            (70, 71),
        ),
    ];
    let entries = ledger(orders);
    let by = Grouping {
        customer: true,
        model: true,
        month: true,
    };
    let lines = summary(&entries, by);
    let months: Vec<_> = lines
        .iter()
        .map(|(key, _)| key.month.unwrap().to_string())
        .collect();
    assert_eq!(months, ["1970-03", "1970-03", "1970-01"]);
    let all = Grouping {
        customer: false,
        model: false,
        month: false,
    };
    let lines = summary(&entries, all);
    assert_eq!(lines.len(), 2, "one currency, and what is not priced");
    let (key, figures) = &lines[1];
    assert_eq!(
        (key.currency.as_str(), figures.of(Avoided).count),
        ("EUR", 1)
    );
    // 7,000 avoided, 300 paid for nothing; the missed failure is shown beside.
    assert!((figures.net() - 6_700.0).abs() < 1e-9);
    assert!((figures.of(Missed).money + 7_000.0).abs() < 1e-9);
    assert_eq!(
        lines[0].1.of(FalseAlarm),
        Figure {
            count: 1,
            money: 0.0,
            unpriced: 1
        }
    );
}

/// Dates from `date -u -d @SECONDS +%Y-%m`.
#[test]
fn a_month_is_that_of_the_calendar() {
    for (seconds, month) in [
        (0, "1970-01"),
        (951_782_399, "2000-02"),
        (951_868_800, "2000-03"),
        (1_772_323_199, "2026-02"),
        (1_772_323_200, "2026-03"),
        (-1, "1969-12"),
        (4_107_542_399, "2100-02"),
        (4_107_542_400, "2100-03"),
    ] {
        let found = Month::of(Timestamp::from_secs(seconds));
        assert_eq!(found.to_string(), month);
        assert_eq!(Month::parse(month), Some(found));
    }
    for wrong in ["2026", "2026-13", "2026-00", "26-03", "2026-3", "x-y"] {
        assert_eq!(Month::parse(wrong), None, "{wrong}");
    }
}
