use super::*;
use crate::{BacktestState, NewBacktest};

fn new(rules: &str) -> NewBacktest {
    NewBacktest {
        rules: rules.to_owned(),
        from: t(0),
        to: t(86_400),
        rules_only: false,
        by: name("Ann"),
    }
}

#[tokio::test]
async fn a_back_test_is_taken_in_turn_and_a_cut_off_one_begins_anew() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let first = service.create_backtest(new("a")).await.unwrap();
    let second = service.create_backtest(new("b")).await.unwrap();
    assert_eq!(
        (first.state, first.asked.rules.as_str()),
        (BacktestState::Queued, "a")
    );
    let taken = service.take_backtest().await.unwrap().unwrap();
    assert_eq!((taken.id, taken.state), (first.id, BacktestState::Running));
    assert!(
        service
            .backtest_progress(first.id, 0.5, 1_000)
            .await
            .unwrap()
    );
    service.close().await;
    let service = bench.open(Registration::Open).await;
    let again = service.take_backtest().await.unwrap().unwrap();
    assert_eq!((again.id, again.readings), (first.id, 0));
    let outcome = Ok("{\"cases\":1}".to_owned());
    service.end_backtest(first.id, outcome).await.unwrap();
    let done = service.backtest(first.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.progress), (BacktestState::Done, 1.0));
    assert_eq!(done.result.as_deref(), Some("{\"cases\":1}"));
    assert_eq!(
        service.take_backtest().await.unwrap().unwrap().id,
        second.id
    );
    let problem = Err("no such signal".to_owned());
    service.end_backtest(second.id, problem).await.unwrap();
    assert_eq!(service.take_backtest().await.unwrap(), None);
    let states: Vec<_> = service
        .backtests()
        .await
        .unwrap()
        .iter()
        .map(|one| one.state)
        .collect();
    assert_eq!(states, [BacktestState::Failed, BacktestState::Done]);
}

#[tokio::test]
async fn a_cancelled_back_test_stays_cancelled_whatever_comes_of_it() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let id = service.create_backtest(new("a")).await.unwrap().id;
    service.take_backtest().await.unwrap();
    let stopped = service.cancel_backtest(id).await.unwrap();
    assert_eq!(stopped.state, BacktestState::Cancelled);
    assert!(!service.backtest_progress(id, 0.9, 5).await.unwrap());
    service.end_backtest(id, Ok("{}".to_owned())).await.unwrap();
    let found = service.backtest(id).await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.result),
        (BacktestState::Cancelled, None)
    );
    let twice = service.cancel_backtest(id).await;
    assert!(matches!(twice, Err(ServiceError::Conflict { .. })));
    let unknown = service.cancel_backtest(99).await;
    assert!(matches!(unknown, Err(ServiceError::NotFound { .. })));
}

#[tokio::test]
async fn what_cannot_be_done_is_not_queued_and_the_queue_has_an_end() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    for wrong in [
        NewBacktest {
            to: t(0),
            ..new("a")
        },
        NewBacktest {
            to: Timestamp::MAX,
            ..new("a")
        },
        new(&"x".repeat(crate::MAX_RULES_BYTES + 1)),
    ] {
        let refused = service.create_backtest(wrong).await;
        assert!(matches!(refused, Err(ServiceError::Invalid { .. })));
    }
    for _ in 0..16 {
        service.create_backtest(new("a")).await.unwrap();
    }
    let refused = service.create_backtest(new("a")).await;
    assert!(matches!(refused, Err(ServiceError::Conflict { .. })));
}
