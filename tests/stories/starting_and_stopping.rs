//! Starting and stopping: what an operator sees when it goes well and when it does not.

use std::{fs, net::TcpListener, path::Path, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Home,
    chaos::hall::{Hall, Order},
    mqtt::Publisher,
    ports::free_port,
    program::DRAINED_WITHIN,
    tools::{finish, repository},
};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(1);

/// A failure of the program, as opposed to a mistake on the command line (2).
const FAILED: i32 = 1;

/// Starts a program that has to refuse to run; gives its exit status and what it said.
async fn refuses(home: &Home) -> Result<(ExitStatus, String)> {
    let mut program = home.spawn()?;
    let status = program.ended(SOON).await?;
    Ok((status, program.log()))
}

fn says(said: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(said.contains(word), "{word:?} is not said in:\n{said}");
    }
    ensure!(!said.contains("panicked"), "it panicked:\n{said}");
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_said_plainly_with_the_key_to_change() -> Result<()> {
    let for_devices = Home::new()?;
    let _taken = TcpListener::bind(for_devices.mqtt())?;
    let (status, said) = refuses(&for_devices).await?;
    ensure!(status.code() == Some(FAILED), "{status}\n{said}");
    says(
        &said,
        &[&for_devices.mqtt().to_string(), "ingest.listener.bind"],
    )?;

    let for_people = Home::new()?;
    let _taken = TcpListener::bind(for_people.http())?;
    let (status, said) = refuses(&for_people).await?;
    ensure!(status.code() == Some(FAILED), "{status}\n{said}");
    says(&said, &[&for_people.http().to_string(), "http.bind"])
}

#[tokio::test]
async fn an_address_beyond_loopback_is_refused() -> Result<()> {
    for key in ["ingest.listener.bind", "http.bind"] {
        for address in ["0.0.0.0", "[::]", "192.0.2.7"] {
            let home = Home::new()?.with(key, &format!("{address}:{}", free_port()?));
            let (status, said) = refuses(&home).await?;
            ensure!(
                status.code().is_some_and(|code| code != 0),
                "{key} {address}: {status}"
            );
            says(&said, &[key, "loopback"])?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_example_configurations_are_accepted_and_a_misspelt_key_is_not() -> Result<()> {
    let home = Home::new()?;
    let check = async |file: &Path| {
        let file = file.to_str().context("a path that is no text")?;
        let command = home.command(&["config", "check", "--config", file])?;
        finish(&mut Command::from(command), SOON).await
    };
    let mut examples = 0;
    for entry in fs::read_dir(repository().join("deploy/config"))? {
        let file = entry?.path();
        let done = check(&file).await?;
        ensure!(done.code == Some(0), "{}: {done:?}", file.display());
        examples += 1;
    }
    ensure!(examples > 0, "no example at all");

    let misspelt = home.folder().join("misspelt.toml");
    fs::write(&misspelt, "[analytics]\nlearning_row = 400\n")?;
    let done = check(&misspelt).await?;
    ensure!(done.code.is_some_and(|code| code != 0), "{done:?}");
    says(&done.stderr, &["learning_row", "misspelt.toml"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_do_not_share_a_data_directory() -> Result<()> {
    let first = Home::new()?;
    let mut program = first.start().await?;
    let second = Home::new()?.with("data_dir", &first.data_dir().display());
    let (status, said) = refuses(&second).await?;
    ensure!(status.code() == Some(FAILED), "{status}\n{said}");
    says(&said, &[&first.data_dir().display().to_string()])?;

    // The first one did not suffer.
    ensure!(program.is_running()?, "the first process ended too");
    let mut device = Publisher::connected("press-1", first.mqtt()).await?;
    device
        .publish_all("telemetry/press-1", [(r#"{"force_kn":1}"#, ())])
        .await?;
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "{status}");

    // And once it has ended, the folder is free.
    second.start().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains_within_ten_seconds() -> Result<()> {
    let mut hall = Hall::new(Home::new()?)?;
    let api = hall.home.api();
    for round in 1..=3 {
        let program = hall.home.start().await?;
        hall.say(Order::Work)?;
        hall.all_work().await?;
        let (status, took) = program.terminate(DRAINED_WITHIN).await?;
        ensure!(status.success(), "round {round}: {status}");
        eprintln!("round {round}: drained in {took:?}");
        hall.say(Order::Rest)?;
        hall.all_rest().await?;

        let program = hall.home.start().await?;
        let when = format!("after SIGTERM {round}");
        let books = hall.compare(&api, &when, true).await?;
        ensure!(books.acknowledged > 0, "there was no load");
        // An idle program ends as well, and as quickly.
        let (status, _) = program.terminate(DRAINED_WITHIN).await?;
        ensure!(status.success(), "round {round}, idle: {status}");
        // Whoever copies the folder now has the historian in one file.
        for left in ["historian.db-wal", "historian.db-shm"] {
            let left = hall.home.data_dir().join(left);
            ensure!(!left.exists(), "round {round}: {} is left", left.display());
        }
    }
    Ok(())
}
