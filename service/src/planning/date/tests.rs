use proptest::prelude::*;
use telemetry::{FailureWithin, FanQuantile};

use super::*;
use crate::{
    planning::{PlanFile, PlanningConfig, costs_of},
    testing::{advisory, prognosis, t},
};

const DAY_S: f64 = 86_400.0;

/// Fails at any time within so many days alike, which was compared with failures.
fn uniform(days: f64, shown: Shown) -> Prognosis {
    let mut forecast = prognosis("pump-1", 1_500, 0.1 * days * DAY_S);
    let quantile = |level: f64| FanQuantile {
        level,
        rul_s: level * days * DAY_S,
    };
    forecast.detail.fan = [0.1, 0.5, 0.9, 1.0].map(quantile).to_vec();
    forecast.detail.within = vec![FailureWithin {
        horizon_s: DAY_S,
        probability: None,
        rank: None,
        shown,
        family: None,
        reason: None,
    }];
    forecast
}

/// Something is renewed that lasts so many days.
fn plan(life_days: f64) -> JobPlan {
    let text = format!(
        "version = 1\n[[plan]]\nfailure_mode = \"bearing-wear\"\nen = \"x\"\nzh = \"x\"\n\
         skills = [\"a\"]\nlife_days = {life_days:?}\nsteps = [{{ minutes = 240, en = \"x\", zh = \"x\" }}]"
    );
    let file: PlanFile = toml::from_str(&text).unwrap();
    file.into_plans().unwrap().remove(0)
}

struct Scene {
    advisory: Advisory,
    plan: JobPlan,
    costs: OrderCosts,
    hours: OpeningHours,
    visits: Vec<Timestamp>,
}

impl Scene {
    /// Planned work 1,000, a failure 5,000; uniform over 100 days; a day of life is worth 80.
    fn new() -> Self {
        let plan = plan(12.5);
        let config = PlanningConfig::default();
        let mut advisory = advisory("C-1", "pump-1", Severity::Warning);
        advisory.prognosis = Some(uniform(100.0, Shown::Calibrated));
        Self {
            advisory,
            costs: costs_of(Some(&plan), None, CustomerTerms::default(), &config),
            plan,
            hours: OpeningHours::ALWAYS,
            visits: Vec::new(),
        }
    }

    fn decide(&self) -> DateDecision {
        decide_date(&Situation {
            advisory: &self.advisory,
            plan: Some(&self.plan),
            model: None,
            costs: &self.costs,
            travel: 400.0,
            terms: CustomerTerms::default(),
            hours: self.hours,
            zone: Tz::UTC,
            visits: &self.visits,
        })
    }
}

fn days(decision: &DateDecision) -> f64 {
    decision.chosen.secs_from(t(1_500)) / DAY_S
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[test]
fn the_date_is_the_cheapest_one_found_by_hand() {
    let scene = Scene::new();
    assert!(near(scene.costs.planned, 1_000.0, 1e-9) && near(scene.costs.failure, 5_000.0, 1e-9));
    let decision = scene.decide();
    // C'(t) = (5,000 − 1,000)/100 − 80 (1 − t/100) is 0 on day 50; the grid is an hour, for the
    // stored curve and 400 chances a day or less.
    assert!(near(days(&decision), 50.0, 0.5), "{}", days(&decision));
    // By integration: 5,000·0.57 + 1,000·0.43 + 80·(50 − 40.755) against day 50's 4,000.
    assert!(
        near(decision.delay_week_cost.unwrap(), 19.6, 1.0),
        "{decision:?}"
    );
    // Running on to the end costs 5,000 for certain.
    assert!(
        near(decision.avoided.unwrap(), 1_000.0, 1.0),
        "{decision:?}"
    );
    assert_eq!(decision.basis, Basis::Calibrated);
    // C(t) − C(50) = 0.4 (t − 50)²: 50 of slack are 11.2 days to either side.
    let half = decision.due_by.secs_from(decision.due_from) / DAY_S / 2.0;
    assert!(near(half, 11.18, 1.0), "{half}");
    let first = decision.curve.first().unwrap();
    assert!(near(first.run_on, 0.0, 1e-9) && near(first.total, 1_000.0 + 80.0 * 50.0, 1.0));
    // The last chance before day 50: 400 of them are six hours apart.
    assert_eq!(
        decision.words.en,
        "Best done on Thu 19 Feb 1970: until then it fails with a probability of 50 %. \
         A week later costs 19 CNY more on average."
    );
}

#[test]
fn a_visit_to_the_site_draws_the_work_to_its_day() {
    let mut scene = Scene::new();
    let visit = t(1_500 + 46 * 86_400);
    scene.visits = vec![visit];
    let decision = scene.decide();
    assert_eq!(
        decision.chosen.to_utc().date_naive(),
        visit.to_utc().date_naive()
    );
    assert!(
        decision.words.en.contains("saves the journey"),
        "{decision:?}"
    );
    assert!(decision.words.zh.contains("节省差旅费"), "{decision:?}");
    // One that is too far from the best day is not worth the journey.
    scene.visits = vec![t(1_500 + 10 * 86_400)];
    assert!(near(days(&scene.decide()), 50.0, 0.5));
}

#[test]
fn work_is_dated_into_the_hours_of_the_site() {
    let mut scene = Scene::new();
    scene.hours = "mon-mon 08:00-12:00".parse().unwrap();
    let decision = scene.decide();
    let spans = scene.hours.spans(Tz::UTC, t(0), t(200 * 86_400));
    assert!(
        spans
            .iter()
            .any(|(from, to)| *from <= decision.chosen && decision.chosen <= *to),
        "{decision:?}"
    );
    assert!(near(days(&decision), 50.0, 4.0), "{}", days(&decision));
}

#[test]
fn without_a_calibrated_forecast_severity_and_agreement_date_the_work() {
    const DAY: i64 = 86_400;
    let opened = 1_000;
    let short = CustomerTerms {
        critical_within: Some(Duration::from_hours(4)),
        warning_within: Some(Duration::from_hours(24)),
        ..CustomerTerms::default()
    };
    let usual = CustomerTerms::default();
    for (severity, rul_p10_s, terms, due) in [
        (Severity::Critical, None, usual, t(opened + 2 * DAY)),
        (Severity::Warning, None, usual, t(opened + 14 * DAY)),
        (Severity::Watch, None, usual, t(opened + 14 * DAY)),
        (Severity::Critical, None, short, t(opened + 14_400)),
        (Severity::Warning, None, short, t(opened + DAY)),
        // It may hurry,
        (Severity::Critical, Some(3_600.0), usual, t(1_500 + 3_600)),
        (Severity::Warning, Some(0.0), usual, t(1_500)),
        // and never lull.
        (Severity::Warning, Some(1e9), usual, t(opened + 14 * DAY)),
        (
            Severity::Warning,
            Some(f64::INFINITY),
            usual,
            t(opened + 14 * DAY),
        ),
    ] {
        let mut scene = Scene::new();
        scene.advisory = advisory("C-1", "pump-1", severity);
        scene.advisory.prognosis = rul_p10_s.map(|rul| prognosis("pump-1", 1_500, rul));
        let decision = decide_date(&Situation {
            advisory: &scene.advisory,
            plan: None,
            model: None,
            costs: &scene.costs,
            travel: 400.0,
            terms,
            hours: scene.hours,
            zone: Tz::UTC,
            visits: &[],
        });
        assert_eq!(decision.due_by, due, "{severity} {rul_p10_s:?}");
        assert_eq!(decision.basis, Basis::Severity);
        assert_eq!((decision.delay_week_cost, decision.curve.len()), (None, 0));
        assert!(
            decision.words.en.contains("no cost of waiting"),
            "{decision:?}"
        );
    }
    // A forecast that failed its calibration is no better than none.
    let mut scene = Scene::new();
    scene.advisory.prognosis = Some(uniform(2_000.0, Shown::Rank));
    assert_eq!(scene.decide().due_by, t(opened + 14 * DAY));
    // Nor does another model's word for a horizon say anything of the distribution.
    let mut forecast = uniform(2_000.0, Shown::Calibrated);
    forecast.detail.within[0].family = Some(telemetry::PrognosisFamily::Fleet);
    scene.advisory.prognosis = Some(forecast);
    assert_eq!(scene.decide().basis, Basis::Severity);
}

#[test]
fn half_of_the_time_is_kept_in_reserve() {
    // Open, allowed until 100, best done at: by hand.
    for (open, expected) in [
        (&[(0, 100)][..], 50),
        (&[(0, 40), (60, 70), (80, 90)], 60),
        (&[(0, 10), (20, 30)], 20),
        (&[(45, 51)], 50),
        (&[], 100),
    ] {
        let open: Vec<_> = open.iter().map(|(a, b)| (t(*a), t(*b))).collect();
        assert_eq!(half_way(&open, t(0), t(100)), t(expected), "{open:?}");
    }
}

#[test]
fn a_sensor_waits_a_month() {
    let mut scene = Scene::new();
    scene.advisory.prognosis = None;
    scene.advisory.failure_mode = FailureMode::sensor_fault();
    assert_eq!(scene.decide().due_by, t(1_000 + 30 * 86_400));
}

#[test]
fn a_failure_that_is_due_now_waits_for_the_first_opening() {
    let mut scene = Scene::new();
    scene.hours = "wed-wed 09:00-11:00".parse().unwrap();
    let mut forecast = uniform(1.0, Shown::Calibrated);
    forecast.detail.fan = vec![FanQuantile {
        level: 0.5,
        rul_s: 0.0,
    }];
    scene.advisory.prognosis = Some(forecast);
    // 1970-01-07 is the first Wednesday.
    assert_eq!(scene.decide().chosen, t(6 * 86_400 + 9 * 3_600));
}

proptest! {
    #[test]
    fn any_forecast_gives_a_date_in_its_window_of_time(
        mut lives in prop::collection::vec(0.0..4e7_f64, 1..8),
        life_days in 1.0..5_000.0_f64,
        weekly in any::<bool>(),
    ) {
        lives.sort_by(f64::total_cmp);
        let mut scene = Scene::new();
        scene.plan = plan(life_days);
        if weekly {
            scene.hours = "wed-wed 09:00-11:00".parse().unwrap();
        }
        let mut forecast = uniform(1.0, Shown::Calibrated);
        let count = lives.len() as f64;
        forecast.detail.fan = lives.iter().enumerate().map(|(at, rul_s)| FanQuantile {
            level: (at as f64 + 0.5) / count,
            rul_s: *rul_s,
        }).collect();
        scene.advisory.prognosis = Some(forecast);
        let decision = scene.decide();
        prop_assert!(decision.due_from <= decision.due_by);
        prop_assert!(decision.chosen >= t(1_500));
        prop_assert!(decision.curve.iter().all(|point| point.total.is_finite()));
        let rising = decision.curve.windows(2).all(|pair| pair[0].run_on <= pair[1].run_on + 1e-9);
        prop_assert!(rising, "the chance of having failed never falls");
        prop_assert!(decision.avoided.unwrap() >= 0.0);
        if weekly {
            let (from, to) = (t(0), decision.chosen + Duration::from_hours(1));
            let spans = scene.hours.spans(Tz::UTC, from, to);
            prop_assert!(spans.iter().any(|(from, to)| *from <= decision.chosen && decision.chosen <= *to));
        }
    }
}
