use super::*;

#[tokio::test]
async fn a_date_that_a_person_has_set_stays_and_a_warning_is_written_once() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let mut raised = advisory("C-1", "pump-1", Severity::Warning);
    let id = service.submit(&raised).await.unwrap();
    let (mei, none) = (name("Mei"), Note::empty());
    let order = service.approve(&id, &mei, &none).await.unwrap();
    raised.prognosis = Some(prognosis("pump-1", 1_600, 86_400.0));
    assert_eq!(service.foresee(&raised).await.unwrap(), Some(id.clone()));
    assert_eq!(service.foresee(&raised).await.unwrap(), None);
    let after = service.work_order(&id).await.unwrap().unwrap();
    assert_eq!(
        (after.order.due_by, &after.order.date),
        (order.due_by, &order.date)
    );
    assert_eq!(after.order.status, WorkOrderStatus::Approved);
    assert_eq!(after.log.len(), 3);
}

#[tokio::test]
async fn a_proposal_is_withdrawn_when_its_condition_clears_and_an_approved_order_is_not() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let (mei, none) = (name("Mei"), Note::empty());
    let reason = telemetry::Explanation {
        en: "The condition has cleared".to_owned(),
        zh: "状态已恢复".to_owned(),
    };
    let withdrawn = service
        .submit(&advisory("C-1", "pump-1", Severity::Warning))
        .await
        .unwrap();
    let case = |id: &str| CaseId::new(id).unwrap();
    let said = service.withdraw(&case("C-1"), &reason).await.unwrap();
    assert_eq!(said, Some(withdrawn.clone()));
    assert_eq!(service.withdraw(&case("C-1"), &reason).await.unwrap(), None);
    let order = service.work_order(&withdrawn).await.unwrap().unwrap().order;
    assert_eq!(order.status, WorkOrderStatus::Cancelled);
    assert!(order.note.as_str().starts_with("The condition has cleared"));
    let kept = service
        .submit(&advisory("C-2", "pump-1", Severity::Warning))
        .await
        .unwrap();
    service.approve(&kept, &mei, &none).await.unwrap();
    for expected in [Some(kept.clone()), None] {
        assert_eq!(
            service.withdraw(&case("C-2"), &reason).await.unwrap(),
            expected
        );
    }
    let order = service.work_order(&kept).await.unwrap().unwrap();
    assert_eq!(order.order.status, WorkOrderStatus::Approved);
    assert!(
        order
            .log
            .last()
            .unwrap()
            .note
            .as_str()
            .contains("状态已恢复")
    );
    assert_eq!(service.withdraw(&case("C-9"), &reason).await.unwrap(), None);
}

#[tokio::test]
async fn a_repeat_adds_evidence_to_the_order_and_never_a_second_one() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let mut raised = advisory("C-1", "pump-1", Severity::Warning);
    let id = service.submit(&raised).await.unwrap();
    raised.severity = Severity::Critical;
    assert_eq!(service.amend(&raised).await.unwrap(), Some(id.clone()));
    let order = service.work_order(&id).await.unwrap().unwrap().order;
    assert_eq!(
        (order.severity, order.priority),
        (Some(Severity::Critical), 1)
    );
    assert_eq!(order.due_by, Some(t(1_000 + 2 * 86_400)));
    service
        .approve(&id, &name("Mei"), &Note::empty())
        .await
        .unwrap();
    bench.clock.set(t(20_000));
    for expected in [Some(id.clone()), None] {
        assert_eq!(service.amend(&raised).await.unwrap(), expected);
    }
    assert_eq!(service.submit(&raised).await.unwrap(), id);
    assert_eq!(service.work_order_counts().await.unwrap().total(), 1);
}

#[tokio::test]
async fn capacity_shrinks_with_each_order_and_an_estimate_needs_no_order() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let free = || async { service.capacity(t(1_000)).await.unwrap().orders_free };
    // Without engineers the planner's backlog counts.
    assert_eq!(free().await, 40);
    engineer(&service).await;
    // 30 h at 4 h a job that no plan describes.
    assert_eq!(free().await, 7);
    let raised = advisory("C-1", "pump-1", Severity::Critical);
    let estimate = service.estimate(&raised);
    // 4 · 150 + 400, five times that, and 0.6 · 5,000 − 1,000.
    assert!(
        (estimate.planned_cost - 1_000.0).abs() < 1e-6,
        "{estimate:?}"
    );
    assert!(
        (estimate.failure_cost - 5_000.0).abs() < 1e-6,
        "{estimate:?}"
    );
    assert!(
        (estimate.expected_avoided_cost - 2_000.0).abs() < 1e-6,
        "{estimate:?}"
    );
    service.submit(&raised).await.unwrap();
    assert_eq!(free().await, 6);
}
