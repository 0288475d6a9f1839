//! What a factor does to a rule: 1 leaves it as it was written, more makes it rarer.
//!
//! The factor comes from what the orders of a rule found (see [`crate::scoreboard`]). It moves
//! what the rule is about and nothing else, by a rule that fits on its page:
//!
//! | kind | what moves |
//! |---|---|
//! | threshold, rate, zone, score, crossings | the level by (factor − 1) of its size, away from normal; `off` by as much |
//! | health below a level | the level is divided by the factor |
//! | probability | the rest to 1 is divided by the factor |
//! | silence, state | the seconds are multiplied |
//! | count of states | the count is multiplied, rounded up |
//! | sensor, and a level of 0 | the delay grows by ten minutes for each 1 above 1 |

use super::{
    checks::MAX_COUNT,
    rule::{Condition, Counted, Level, Rule},
};

/// What a sensor rule and a level of zero wait longer for each 1 of the factor, in seconds.
const DELAY_STEP_S: f64 = 600.0;

impl Rule {
    /// The rule made rarer by a factor of 1 or more.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        let more = factor - 1.0;
        let mut delay = 0.0;
        match &mut self.condition {
            Condition::Health { level } if !level.above => {
                let band = level.off - level.on;
                level.on /= factor;
                level.off = level.on + band;
            }
            Condition::FailureWithin { level, .. } => {
                let band = level.off - level.on;
                level.on = 1.0 - (1.0 - level.on) / factor;
                level.off = level.on + band;
            }
            Condition::Threshold { level, .. }
            | Condition::Rate { level, .. }
            | Condition::Score { level }
            | Condition::Health { level }
            | Condition::Count {
                of: Counted::Crossings { level, .. },
                ..
            } => delay = level.move_out(more),
            Condition::NoData { for_s, .. } | Condition::State { for_s, .. } => *for_s *= factor,
            Condition::Count { at_least, .. } => {
                let count = (f64::from(*at_least) * factor - 1e-9).ceil();
                *at_least = (count as u32).clamp(1, MAX_COUNT);
            }
            // The limits of a zone are the machine's; they move where they are looked up.
            Condition::Zone { .. } => {}
            Condition::Sensor { .. } => delay = DELAY_STEP_S * more,
        }
        self.on_delay_s += delay;
        self
    }
}

impl Level {
    /// Moves both levels away from normal and returns what has to be waited instead.
    fn move_out(&mut self, more: f64) -> f64 {
        if self.on == 0.0 {
            return DELAY_STEP_S * more;
        }
        let step = self.on.abs() * more * if self.above { 1.0 } else { -1.0 };
        self.on += step;
        self.off += step;
        0.0
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::parse_one;

    #[test]
    fn a_factor_moves_what_the_rule_is_about_and_away_from_normal() {
        for (keys, path, expected) in [
            (
                "kind = \"threshold\"\nsignal = \"t\"\nabove = 80\noff = 75",
                "/condition/level/on",
                96.0,
            ),
            (
                "kind = \"threshold\"\nsignal = \"t\"\nabove = 80\noff = 75",
                "/condition/level/off",
                91.0,
            ),
            (
                "kind = \"threshold\"\nsignal = \"t\"\nbelow = 10",
                "/condition/level/on",
                8.0,
            ),
            (
                "kind = \"threshold\"\nsignal = \"t\"\nbelow = -10",
                "/condition/level/on",
                -12.0,
            ),
            (
                "kind = \"threshold\"\nsignal = \"t\"\nabove = 0",
                "/on_delay_s",
                120.0,
            ),
            ("kind = \"health\"\nbelow = 60", "/condition/level/on", 50.0),
            (
                "kind = \"failure_within\"\nhorizon_s = 86400\nabove = 0.4",
                "/condition/level/on",
                0.5,
            ),
            ("kind = \"no_data\"\nfor_s = 300", "/condition/for_s", 360.0),
            (
                "kind = \"state\"\noperating = [\"idle\"]\nfor_s = 300",
                "/condition/for_s",
                360.0,
            ),
            (
                "kind = \"count\"\noperating = [\"start_up\"]\nwithin_s = 3600\nat_least = 5",
                "/condition/at_least",
                6.0,
            ),
            ("kind = \"sensor\"", "/on_delay_s", 120.0),
        ] {
            let text = format!("[[rule]]\nid = \"r\"\nname_en = \"R\"\nname_zh = \"R\"\n{keys}\n");
            let rule = parse_one(&text).unwrap().rule;
            assert_eq!(rule.clone().scaled(1.0), rule, "{keys}");
            let json = serde_json::to_value(rule.scaled(1.2)).unwrap();
            let moved = json
                .pointer(path)
                .and_then(serde_json::Value::as_f64)
                .unwrap();
            assert!((moved - expected).abs() < 1e-9, "{keys}: {moved}");
        }
    }
}
