//! How far long work is: a bar on a terminal, a plain line now and then elsewhere. Always on
//! standard error, so that standard output stays for results.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one piece of work.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    unit: &'static str,
    told: Instant,
}

impl Progress {
    /// Work of a known size.
    pub(crate) fn new(total: u64, unit: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            // The template is a constant, so it either always parses or never.
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let told = Instant::now();
        Self {
            bar,
            total,
            unit,
            told,
        }
    }

    /// The work has come to `done`; `detail` says more and is only made when it is shown.
    pub(crate) fn at(&mut self, done: u64, detail: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            if self.told.elapsed() > Duration::from_millis(100) {
                self.told = Instant::now();
                bar.set_message(detail());
            }
        } else if self.told.elapsed() > LINE_EVERY {
            self.told = Instant::now();
            eprintln!("{done} of {} {}, {}", self.total, self.unit, detail());
        }
    }

    /// Tells something beside the progress.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// The work is done.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
