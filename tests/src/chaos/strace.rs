//! strace as a saboteur: it makes system calls on one file fail and writes down what followed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{program::signal, tools, until};

/// Attaching stops each thread once; detaching too.
const SOON: Duration = Duration::from_secs(30);

/// A tracer of one process; detaches when it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Saboteur {
    tracer: Child,
    log: PathBuf,
}

/// Whether this machine lets a process be traced at all.
pub(super) async fn is_possible() -> bool {
    let Some(strace) = tools::find("strace") else {
        return false;
    };
    let mut probe = tokio::process::Command::new(strace);
    probe.args(["-f", "-qq", "-e", "trace=none", "true"]);
    tools::succeed(&mut probe, SOON).await.is_ok()
}

impl Saboteur {
    /// Attaches to a process and makes syncs of `file` fail with EIO: those that `when` names,
    /// in the words of strace (`3` the third of a thread, `1+` every one).
    pub(super) async fn attach(process: u32, file: &Path, when: &str, log: &Path) -> Result<Self> {
        let said = log.with_extension("said");
        let tracer = Command::new(tools::find("strace").context("no strace")?)
            .args(["-f", "-y", "-o"])
            .arg(log)
            .args(["-e", "trace=fsync,fdatasync,write,pwrite64,close"])
            .args([
                "-e",
                &format!("inject=fsync,fdatasync:error=EIO:when={when}"),
            ])
            .arg("-P")
            .arg(file)
            .args(["-p", &process.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            .spawn()
            .context("start strace")?;
        let mut saboteur = Self {
            tracer,
            log: log.to_owned(),
        };
        until("strace to be attached", SOON, async || {
            ensure!(
                saboteur.tracer.try_wait()?.is_none(),
                "strace ended: {}",
                fs::read_to_string(&said).unwrap_or_default()
            );
            Ok(fs::read_to_string(&said)?
                .contains("attached")
                .then_some(()))
        })
        .await?;
        Ok(saboteur)
    }

    /// What it has written down so far.
    pub(super) fn seen(&self) -> Result<Seen> {
        Seen::parse(&fs::read_to_string(&self.log)?)
    }

    /// Detaches; the process goes on untouched. Gives what was seen.
    pub(super) async fn stop(mut self) -> Result<Seen> {
        signal("INT", self.tracer.id())?;
        until("strace to detach", SOON, async || {
            Ok(self.tracer.try_wait()?)
        })
        .await?;
        self.seen()
    }
}

impl Drop for Saboteur {
    fn drop(&mut self) {
        // SIGTERM detaches; SIGKILL could leave the traced process stopped.
        let _ = signal("TERM", self.tracer.id());
        let _ = self.tracer.wait();
    }
}

/// What happened to the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Syncs that were made to fail.
    pub(super) failed: usize,
    /// Syncs that succeeded.
    pub(super) synced: usize,
    /// Calls other than `close` on a descriptor whose sync had failed before.
    pub(super) used_again: Vec<String>,
}

impl Seen {
    /// Reads a log of strace: `PID call(FD</path>, …) = result`, calls of several threads cut in
    /// two lines where they overlap.
    fn parse(log: &str) -> Result<Self> {
        let mut seen = Self::default();
        let mut unfinished = BTreeMap::<&str, String>::new();
        // Descriptors whose last sync failed, until they are closed.
        let mut tainted = Vec::<String>::new();
        for line in log.lines() {
            let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            let rest = rest.trim_start();
            if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
                unfinished.insert(thread, begun.to_owned());
                continue;
            }
            let call = match rest.split_once(" resumed>") {
                Some((_, end)) => unfinished.remove(thread).unwrap_or_default() + end,
                None => rest.to_owned(),
            };
            let Some((name, arguments)) = call.split_once('(') else {
                continue;
            };
            let number: String = arguments.chars().take_while(char::is_ascii_digit).collect();
            if number.is_empty() {
                continue;
            }
            let again = tainted.contains(&number);
            match name {
                "close" => tainted.retain(|one| *one != number),
                _ if again => seen.used_again.push(call.clone()),
                _ => {}
            }
            if name.ends_with("sync") {
                if call.contains("(INJECTED)") {
                    seen.failed += 1;
                    tainted.push(number);
                } else {
                    seen.synced += 1;
                }
            }
        }
        ensure!(
            seen.failed + seen.synced > 0 || log.is_empty() || !log.contains("sync("),
            "the log of strace is not understood: {:?}",
            log.lines().next()
        );
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_tainted_from_its_failed_sync_to_its_close() {
        let log = "\
            71 pwrite64(9</d/journal.db-wal>, \"x\"..., 24, 0) = 24\n\
            71 fdatasync(9</d/journal.db-wal>) = 0\n\
            71 fdatasync(9</d/journal.db-wal>) = -1 EIO (Input/output error) (INJECTED)\n\
            71 close(9</d/journal.db-wal>)       = 0\n\
            71 fdatasync(9</d/journal.db-wal> <unfinished ...>\n\
            72 close(12</d/journal.db-wal>)      = 0\n\
            71 <... fdatasync resumed>)          = 0\n";
        let seen = Seen::parse(log).unwrap();
        assert_eq!((seen.failed, seen.synced), (1, 2));
        assert!(seen.used_again.is_empty(), "{seen:?}");
        let again = log.replace("71 close(9", "71 close(8");
        assert_eq!(Seen::parse(&again).unwrap().used_again.len(), 1);
    }
}
