//! Recordings are imported, survive a kill in the middle, and come out as they went in.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{Home, tools, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);

/// 2024-03-05T06:00:00Z.
const T: i64 = 1_709_618_400;

/// A verb run to its end in a home; gives its standard output.
async fn verb(home: &Home, arguments: &[&str]) -> Result<String> {
    tools::succeed(&mut Command::from(home.command(arguments)?), SOON).await
}

async fn json(home: &Home, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&verb(home, arguments).await?)?)
}

/// A wide table of two signals, with two rows that cannot be read.
fn recording(rows: i64) -> String {
    let row = |row: i64| match row {
        7 => "yesterday;1;1\n".to_owned(),
        11 => format!("{};hot;{row}\n", T + row),
        _ => format!("{};{row}.25;{}\n", T + row, row % 17),
    };
    let header = std::iter::once("datetime;temperature_c;pressure_bar\n".to_owned());
    header.chain((0..rows).map(row)).collect()
}

/// Every reading of a folder as text, by series and time.
async fn everything(home: &Home, name: &str) -> Result<String> {
    verb(home, &["export", "--out", name]).await?;
    Ok(fs::read_to_string(home.folder().join(name))?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_imported_once_and_exported_while_the_program_runs() -> Result<()> {
    let home = Home::new()?;
    fs::write(home.folder().join("pump.csv"), recording(2_000))?;
    let import = ["import", "pump.csv", "--device", "pump-9", "--json"];
    let told = json(&home, &import).await?;
    let file = &told["files"][0];
    ensure!(
        file["readings"] == 1_998 * 2 + 1 && file["rejected"] == 2 && told["stored"] == 3_997,
        "{told}"
    );
    let rejected = file["reject_file"].as_str().context("a reject file")?;
    let rejected = fs::read_to_string(home.folder().join(rejected))?;
    ensure!(
        rejected.contains("9,1,datetime,") && rejected.contains("13,2,temperature_c,"),
        "{rejected}"
    );
    let again = json(&home, &import).await?;
    ensure!(
        again["files"][0]["readings"] == 0 && again["stored"] == 3_997,
        "{again}"
    );

    let _program = home.start().await?;
    let busy = tools::finish(&mut Command::from(home.command(&import)?), SOON).await?;
    ensure!(
        busy.code == Some(1) && busy.stderr.contains("in use"),
        "{busy:?}"
    );
    let api = home.api();
    api.caught_up(SOON).await?;
    ensure!(api.count("readings_stored").await? == 3_997);
    let text = everything(&home, "all.csv").await?;
    ensure!(text.lines().count() == 3_998, "{}", text.lines().count());

    for format in ["csv", "lp", "parquet"] {
        let other = Home::new()?;
        let file = home.folder().join(format!("all.{format}"));
        let name = file.to_str().context("a path")?;
        verb(&home, &["export", "--out", name]).await?;
        verb(&other, &["import", name]).await?;
        ensure!(everything(&other, "back.csv").await? == text, "{format}");
    }
    Ok(())
}

/// Whether a note of an unfinished import lies in the folder.
fn begun(imports: &Path) -> bool {
    let Ok(entries) = fs::read_dir(imports) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().ends_with(".json")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_goes_on_where_it_was() -> Result<()> {
    const ROWS: i64 = 1_500_000;
    let home = Home::new()?;
    fs::write(home.folder().join("pump.csv"), recording(ROWS))?;
    let import = ["import", "pump.csv", "--device", "pump-9", "--json"];
    let mut first = Command::from(home.command(&import)?)
        .kill_on_drop(true)
        .spawn()?;
    let imports = home.data_dir().join("imports");
    until("the import to have begun", SOON, async || {
        Ok((begun(&imports) || first.try_wait()?.is_some()).then_some(()))
    })
    .await?;
    ensure!(
        first.try_wait()?.is_none(),
        "the import ended before it could be killed"
    );
    first.kill().await?;
    let told = json(&home, &import).await?;
    ensure!(told["files"][0]["resumed"] == true, "{told}");
    let all = (ROWS as u64 - 2) * 2 + 1;
    ensure!(told["stored"] == all, "{told}");
    ensure!(
        told["files"][0]["readings"]
            .as_u64()
            .is_some_and(|count| count > 0 && count < all),
        "{told}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_imported_into_a_running_program() -> Result<()> {
    let home = Home::new()?;
    fs::write(home.folder().join("pump.csv"), recording(3_000))?;
    let _program = home.start().await?;
    let url = format!("http://{}", home.http());
    let import = [
        "import", "pump.csv", "--device", "pump-9", "--api", &url, "--json",
    ];
    let told = json(&home, &import).await?;
    ensure!(told["files"][0]["readings"] == 5_997, "{told}");
    let api = home.api();
    api.caught_up(SOON).await?;
    ensure!(api.count("readings_stored").await? == 5_997);
    Ok(())
}
