use telemetry::WorkOrderId;

use super::*;
use crate::testing::{advisory, t};

#[test]
fn an_order_names_the_five_signals_with_the_largest_share() {
    let mut advisory = advisory("C-1", "pump-1", Severity::Warning);
    advisory.evidence.contributions[1].deviation = f64::NAN;
    let names: Vec<String> = top_signals(&advisory)
        .iter()
        .map(|part| part.signal.to_string())
        .collect();
    assert_eq!(
        names,
        ["signal 0", "signal 2", "signal 3", "signal 4", "signal 5"]
    );
}

#[test]
fn the_order_of_a_sensor_names_the_sensor_and_comes_last() {
    let mut advisory = advisory("C-1", "pump-1", Severity::Critical);
    assert_eq!(priority_of(&advisory), 1);
    advisory.failure_mode = FailureMode::sensor_fault();
    advisory.evidence.contributions.clear();
    advisory.signal = Some(SignalName::new("flow").unwrap());
    let named = top_signals(&advisory);
    assert_eq!((named.len(), named[0].signal.as_str()), (1, "flow"));
    assert_eq!(priority_of(&advisory), 4);
}

#[test]
fn order_ids_are_numbers_with_a_prefix_and_nothing_else() {
    for (number, id) in [
        (1, "WO-000001"),
        (999_999, "WO-999999"),
        (1_000_000, "WO-1000000"),
    ] {
        assert_eq!(order_id(number).as_str(), id);
        assert_eq!(order_number(&order_id(number)), Some(number));
    }
    for bad in [
        "WO-1",
        "WO-000000",
        "WO--00001",
        "wo-000001",
        "000001",
        "WO-",
    ] {
        assert_eq!(order_number(&WorkOrderId::new(bad).unwrap()), None, "{bad}");
    }
}

#[test]
fn a_predictive_order_is_not_written_by_hand() {
    let order = |kind, due_by| NewWorkOrder {
        asset: AssetId::new("pump-1").unwrap(),
        kind,
        note: Note::empty(),
        by: Name::new("Mei").unwrap(),
        due_by,
    };
    let error = check_new(&order(WorkOrderKind::Predictive, None)).unwrap_err();
    assert!(error.to_string().contains("use inspection"), "{error}");
    let error = check_new(&order(WorkOrderKind::Inspection, Some(Timestamp::MAX))).unwrap_err();
    assert!(
        error.to_string().starts_with("due_by is not valid"),
        "{error}"
    );
    assert!(check_new(&order(WorkOrderKind::Corrective, Some(t(5)))).is_ok());
}

#[test]
fn only_who_found_something_names_what_failed_and_what_was_replaced() {
    let mode = FailureMode::new("seal-leak").ok();
    let part = Name::new("lip seal 40x55").ok();
    for (outcome, names_mode, names_part) in [
        (Outcome::Confirmed, true, true),
        (Outcome::OtherFaultFound, true, true),
        (Outcome::SensorFault, false, true),
        (Outcome::NoFaultFound, false, false),
        (Outcome::Duplicate, false, false),
        (Outcome::Deferred, false, false),
    ] {
        let plain = Found::of(outcome);
        let with_mode = Found {
            failure_mode: mode.clone(),
            ..plain.clone()
        };
        let with_part = Found {
            part: part.clone(),
            ..plain.clone()
        };
        assert!(plain.check().is_ok());
        assert_eq!(with_mode.check().is_ok(), names_mode, "{outcome}");
        assert_eq!(with_part.check().is_ok(), names_part, "{outcome}");
    }
    let beyond = Found {
        done_at: Some(Timestamp::MAX),
        ..Found::of(Outcome::Confirmed)
    };
    assert!(beyond.check().is_err());
}

#[test]
fn a_confirmation_without_a_word_confirms_what_was_expected() {
    let mode = |text: &str| FailureMode::new(text).ok();
    for (outcome, said, really) in [
        (Outcome::Confirmed, None, mode("bearing-wear")),
        (Outcome::Confirmed, mode("imbalance"), mode("imbalance")),
        (Outcome::OtherFaultFound, None, None),
        (
            Outcome::OtherFaultFound,
            mode("imbalance"),
            mode("imbalance"),
        ),
        (Outcome::NoFaultFound, None, None),
    ] {
        assert_eq!(
            Found::failure_mode(outcome, said, mode("bearing-wear")),
            really
        );
    }
}
