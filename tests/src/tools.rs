//! The tools a story may need from the machine, and what is said when they are missing.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Where Debian keeps daemons, which the PATH of a plain user leaves out.
const ALSO_LOOK_IN: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Finds a program by name.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ALSO_LOOK_IN.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new(".."))
}

/// Says that a story or a part of it is passed over. `tests/run` collects these lines, so that
/// a green run never hides what it did not look at.
///
/// # Errors
/// When `BELLWETHER_TESTS_REQUIRE=1` demands that nothing is passed over.
pub fn pass_over(story: &str, why: &str) -> Result<()> {
    let line = format!("passed over: {story}: {why}");
    ensure!(
        env::var("BELLWETHER_TESTS_REQUIRE").as_deref() != Ok("1"),
        line
    );
    // The harness swallows what a passing test prints; the file lets the caller show it.
    if let Some(file) = env::var_os("BELLWETHER_TESTS_PASSED_OVER") {
        let mut notes = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)?;
        std::io::Write::write_all(&mut notes, format!("{line}\n").as_bytes())?;
    }
    eprintln!("{line}");
    Ok(())
}

/// The seed of a story's chance: `BELLWETHER_TESTS_SEED` or a fresh one; always printed.
pub fn seed(story: &str) -> u64 {
    let given = env::var("BELLWETHER_TESTS_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("{story}: BELLWETHER_TESTS_SEED={seed}");
    seed
}

/// Whether the longer versions of the stories are asked for.
pub fn long() -> bool {
    env::var("BELLWETHER_TESTS_LONG").as_deref() == Ok("1")
}

/// What a finished command left behind.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs a command to its end; it is killed when it takes longer than `deadline`.
///
/// # Errors
/// When it cannot be started or does not end in time.
pub async fn finish(command: &mut Command, deadline: Duration) -> Result<Finished> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let child = command.spawn().with_context(|| format!("start {shown}"))?;
    let output = crate::within(
        format!("the end of {shown}"),
        deadline,
        child.wait_with_output(),
    )
    .await?;
    Ok(Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a command that has to succeed and gives its standard output.
///
/// # Errors
/// When it cannot be started, does not end in time, or fails.
pub async fn succeed(command: &mut Command, deadline: Duration) -> Result<String> {
    let done = finish(command, deadline).await?;
    ensure!(
        done.code == Some(0),
        "{:?} ended with {:?}\nstdout: {}\nstderr: {}",
        command.as_std(),
        done.code,
        done.stdout,
        done.stderr
    );
    Ok(done.stdout)
}
