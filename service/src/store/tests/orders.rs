use super::*;

/// An order of a case that has gone all its way.
async fn done(bench: &Bench, service: &Service) -> WorkOrderDetail {
    let jo = engineer(service).await;
    let raised = advisory("C-1", "pump-1", Severity::Critical);
    let id = service.submit(&raised).await.unwrap();
    let (mei, none) = (name("Mei"), Note::empty());
    let agreed = Note::new("as agreed").unwrap();
    service.approve(&id, &mei, &agreed).await.unwrap();
    bench.clock.set(t(6_000));
    for at in [t(7_000), t(8_000)] {
        let order = service.schedule(&id, &mei, &jo, at, &none).await.unwrap();
        assert_eq!(order.scheduled_for, Some(at));
        assert_eq!(order.engineer_name, Some(name("Jo")));
    }
    service.start(&id, &name("Jo"), &none).await.unwrap();
    bench.clock.set(t(8_500));
    let found = Note::new("outer race pitted").unwrap();
    let outcome = Outcome::Confirmed;
    service
        .complete(&id, &name("Jo"), outcome, &found)
        .await
        .unwrap();
    service.work_order(&id).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_order_carries_what_its_case_said_and_how_it_ended() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let order = done(&bench, &service).await.order;
    assert_eq!(order.id.as_str(), "WO-000001");
    assert_eq!(order.status, WorkOrderStatus::Completed);
    assert_eq!(order.outcome, Some(Outcome::Confirmed));
    assert_eq!(order.kind, WorkOrderKind::Predictive);
    assert_eq!(order.severity, Some(Severity::Critical));
    assert_eq!(order.case, Some(CaseId::new("C-1").unwrap()));
    assert_eq!(order.opened_at, Some(t(1_000)));
    assert_eq!(order.due_by, Some(t(1_000 + 2 * 86_400)));
    assert_eq!(order.priority, 1);
    assert!(order.costs.is_some() && order.date.is_some());
    assert_eq!((order.created_at, order.updated_at), (t(5_000), t(8_500)));
    assert_eq!(order.signals.len(), WorkOrder::MAX_SIGNALS);
    assert_eq!(order.note.as_str(), "outer race pitted");
}

#[tokio::test]
async fn each_step_of_an_order_is_logged_with_who_and_when() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let detail = done(&bench, &service).await;
    let log: Vec<_> = detail
        .log
        .iter()
        .map(
            |LogEntry {
                 at,
                 by,
                 from,
                 to,
                 note,
             }| {
                let from = from.map_or("-", WorkOrderStatus::as_str);
                format!("{} {by}: {from} > {to} {note}", at.as_millis() / 1_000)
            },
        )
        .collect();
    assert_eq!(
        log,
        [
            "5000 bellwether: - > proposed ",
            "5000 Mei: proposed > approved as agreed",
            "6000 Mei: approved > scheduled ",
            "6000 Mei: scheduled > scheduled ",
            "6000 Jo: scheduled > in_progress ",
            "8500 Jo: in_progress > completed outer race pitted",
        ]
    );
}

#[tokio::test]
async fn a_step_that_lacks_something_changes_nothing() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    service.create_asset(new_asset("pump-1")).await.unwrap();
    let id = manual(&service, "pump-1").await.id;
    service
        .approve(&id, &name("Mei"), &Note::empty())
        .await
        .unwrap();
    let before = service.work_order(&id).await.unwrap();
    let nobody = EngineerId::new("nobody").unwrap();
    let error = service
        .schedule(&id, &name("Mei"), &nobody, t(1), &Note::empty())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no engineer nobody");
    let late = Timestamp::MAX;
    let error = service
        .schedule(&id, &name("Mei"), &nobody, late, &Note::empty())
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("scheduled_for is not valid"),
        "{error}"
    );
    let error = service
        .start(&id, &name("Mei"), &Note::empty())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "work order WO-000001: cannot start it, because it is approved; possible now: schedule, cancel"
    );
    assert_eq!(service.work_order(&id).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_submissions_of_one_case_raise_one_order() {
    let bench = Bench::new();
    let first = bench.open(Registration::Open).await;
    let second = bench.open(Registration::Open).await;
    let tasks: Vec<_> = (0..24)
        .map(|number| {
            // Two programs on one file, as by mistake.
            let service = if number % 2 == 0 {
                first.clone()
            } else {
                second.clone()
            };
            let raised = advisory(&format!("C-{}", number % 3), "pump-1", Severity::Warning);
            tokio::spawn(async move { (number % 3, service.submit(&raised).await.unwrap()) })
        })
        .collect();
    let mut orders = [const { None }; 3];
    for task in tasks {
        let (case, order) = task.await.unwrap();
        let known = orders[case].get_or_insert_with(|| order.clone());
        assert_eq!(*known, order, "case {case}");
    }
    assert_eq!(first.work_order_counts().await.unwrap().proposed, 3);
    assert_eq!(first.assets(AssetQuery::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_case_that_is_submitted_again_keeps_its_order_unchanged() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let id = service
        .submit(&advisory("C-1", "pump-1", Severity::Warning))
        .await
        .unwrap();
    service
        .cancel(&id, &name("Mei"), &Note::empty())
        .await
        .unwrap();
    let before = service.work_order(&id).await.unwrap();
    service.close().await;
    let service = bench.open(Registration::Open).await;
    let again = service
        .submit(&advisory("C-1", "pump-1", Severity::Critical))
        .await
        .unwrap();
    assert_eq!(again, id);
    assert_eq!(service.work_order(&id).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_planners_who_act_at_once_one_succeeds_and_the_others_learn_the_status() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    service.create_asset(new_asset("pump-1")).await.unwrap();
    for _ in 0..5 {
        let id = manual(&service, "pump-1").await.id;
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let (service, id) = (service.clone(), id.clone());
                let planner = name(&format!("planner {number}"));
                tokio::spawn(async move { service.approve(&id, &planner, &Note::empty()).await })
            })
            .collect();
        let mut approved = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(order) => {
                    assert_eq!(order.status, WorkOrderStatus::Approved);
                    approved += 1;
                }
                Err(error) => assert!(
                    error.to_string().contains("because it is approved"),
                    "{error}"
                ),
            }
        }
        assert_eq!(approved, 1);
        assert_eq!(service.work_order(&id).await.unwrap().unwrap().log.len(), 2);
    }
}

#[tokio::test]
async fn the_end_of_an_order_waits_in_the_outbox_until_it_was_delivered() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let jo = engineer(&service).await;
    let by = name("Jo");
    let of_case = service
        .submit(&advisory("C-1", "pump-1", Severity::Warning))
        .await
        .unwrap();
    let by_hand = manual(&service, "pump-1").await.id;
    assert!(service.unsent_outcomes().await.unwrap().is_empty());
    let error = service.outcome_sent(&of_case).await.unwrap_err();
    assert!(
        error.to_string().contains("is proposed and has no outcome"),
        "{error}"
    );

    bench.clock.set(t(6_000));
    service
        .cancel(&by_hand, &by, &Note::new("not needed").unwrap())
        .await
        .unwrap();
    bench.clock.set(t(7_000));
    for action in [
        Action::Approve,
        Action::Schedule,
        Action::Start,
        Action::Complete,
    ] {
        service
            .step(&of_case, &by, step(action, &jo), &Note::empty())
            .await
            .unwrap();
    }
    service.close().await;
    let service = bench.open(Registration::Open).await;
    let cancelled = WorkOrderClosed {
        work_order: by_hand.clone(),
        asset: asset("pump-1"),
        case: None,
        outcome: None,
        failure_mode: None,
        part: None,
        at: t(6_000),
        note: "not needed".to_owned(),
    };
    let completed = WorkOrderClosed {
        work_order: of_case.clone(),
        asset: asset("pump-1"),
        case: Some(CaseId::new("C-1").unwrap()),
        outcome: Some(Outcome::Confirmed),
        // Nobody said otherwise: it is what the order was raised for.
        failure_mode: Some(FailureMode::new("bearing-wear").unwrap()),
        part: None,
        at: t(7_000),
        note: String::new(),
    };
    assert_eq!(
        service.unsent_outcomes().await.unwrap(),
        [cancelled, completed.clone()]
    );
    service.outcome_sent(&by_hand).await.unwrap();
    service.outcome_sent(&by_hand).await.unwrap();
    assert_eq!(service.unsent_outcomes().await.unwrap(), [completed]);
    service.outcome_sent(&of_case).await.unwrap();
    assert!(service.unsent_outcomes().await.unwrap().is_empty());
}

#[tokio::test]
async fn orders_are_filtered_and_paged_newest_first() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    for id in ["pump-1", "pump-2"] {
        service.create_asset(new_asset(id)).await.unwrap();
    }
    service
        .submit(&advisory("C-1", "pump-1", Severity::Warning))
        .await
        .unwrap();
    for of in ["pump-1", "pump-2", "pump-2"] {
        manual(&service, of).await;
    }
    let third = WorkOrderId::new("WO-000003").unwrap();
    service
        .cancel(&third, &name("Mei"), &Note::empty())
        .await
        .unwrap();
    let all = WorkOrderQuery::default;
    let second = WorkOrderId::new("WO-000002").unwrap();
    for (query, expected) in [
        (all(), vec![4, 3, 2, 1]),
        (WorkOrderQuery { limit: 2, ..all() }, vec![4, 3]),
        (
            WorkOrderQuery {
                after: Some(second),
                ..all()
            },
            vec![1],
        ),
        (
            WorkOrderQuery {
                asset: Some(asset("pump-2")),
                ..all()
            },
            vec![4, 3],
        ),
        (
            WorkOrderQuery {
                case: Some(CaseId::new("C-1").unwrap()),
                ..all()
            },
            vec![1],
        ),
        (
            WorkOrderQuery {
                status: vec![WorkOrderStatus::Cancelled],
                ..all()
            },
            vec![3],
        ),
        (
            WorkOrderQuery {
                status: WorkOrderQuery::UNFINISHED.to_vec(),
                ..all()
            },
            vec![4, 2, 1],
        ),
    ] {
        let found = service.work_orders(query.clone()).await.unwrap();
        let numbers: Vec<i64> = found
            .iter()
            .map(|order| order.id.as_str()[3..].parse().unwrap())
            .collect();
        assert_eq!(numbers, expected, "{query:?}");
    }
    let counts = service.work_order_counts().await.unwrap();
    assert_eq!(
        (counts.proposed, counts.cancelled, counts.total()),
        (3, 1, 4)
    );
}

#[tokio::test]
async fn the_file_itself_refuses_a_second_order_of_a_case() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    service
        .submit(&advisory("C-1", "pump-1", Severity::Warning))
        .await
        .unwrap();
    let copy = "INSERT INTO work_orders (asset, case_id, kind, status, signals, note, created_at, updated_at)
        SELECT asset, case_id, kind, status, signals, note, created_at, updated_at FROM work_orders";
    let refused = sqlx::query(copy)
        .execute(&service.inner.write)
        .await
        .unwrap_err();
    assert!(refused.as_database_error().unwrap().is_unique_violation());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// The stored order obeys the table, and its log leads to its status step by step.
    #[test]
    fn an_order_and_its_log_agree_after_any_actions(
        actions in prop::collection::vec(prop::sample::select(Action::ALL.to_vec()), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            let service = bench.open(Registration::Open).await;
            service.create_asset(new_asset("pump-1")).await.unwrap();
            let jo = engineer(&service).await;
            let id = manual(&service, "pump-1").await.id;
            let mut status = WorkOrderStatus::Proposed;
            for action in actions {
                let done = service.step(&id, &name("Mei"), step(action, &jo), &Note::empty()).await;
                match lifecycle::next(status, action) {
                    Ok(next) => {
                        assert_eq!(done.unwrap().status, next);
                        status = next;
                    }
                    Err(illegal) => assert!(
                        matches!(done, Err(ServiceError::Illegal { illegal: said, .. }) if said == illegal)
                    ),
                }
            }
            let detail = service.work_order(&id).await.unwrap().unwrap();
            assert_eq!(detail.order.status, status);
            assert_eq!(detail.log[0].from, None);
            assert_eq!(detail.log.last().unwrap().to, status);
            for pair in detail.log.windows(2) {
                assert_eq!(pair[1].from, Some(pair[0].to));
            }
            let waiting = service.unsent_outcomes().await.unwrap().len();
            assert_eq!(waiting, usize::from(status.is_final()));
        });
    }
}

#[tokio::test]
async fn an_order_follows_its_forecast_until_somebody_sets_a_date() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let jo = engineer(&service).await;
    let mut raised = advisory("C-1", "pump-1", Severity::Warning);
    let id = service.submit(&raised).await.unwrap();
    // Without a forecast nothing moves.
    assert_eq!(service.foresee(&raised).await.unwrap(), None);
    raised.prognosis = Some(prognosis("pump-1", 1_500, 86_400.0));
    assert_eq!(service.foresee(&raised).await.unwrap(), Some(id.clone()));
    assert_eq!(service.foresee(&raised).await.unwrap(), None);
    let moved = service.work_order(&id).await.unwrap().unwrap();
    assert_eq!(moved.order.due_by, Some(t(1_500 + 86_400)));
    let entry = moved.log.last().unwrap();
    assert_eq!(entry.by.as_str(), LogEntry::SYSTEM);
    assert!(entry.note.as_str().contains("theil-sen/1"), "{entry:?}");
    let (mei, none) = (name("Mei"), Note::empty());
    service.approve(&id, &mei, &none).await.unwrap();
    service
        .schedule(&id, &mei, &jo, t(7_000), &none)
        .await
        .unwrap();
    raised.prognosis = Some(prognosis("pump-1", 1_600, 10.0));
    assert_eq!(service.foresee(&raised).await.unwrap(), None);
}
