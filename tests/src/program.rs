//! The real program as a child process.
//!
//! [`Home`] is what survives a run: the temporary folder with the data, the two ports and the
//! settings. [`Program`] is one run in it, and dies with the value: on drop it is killed, and
//! where `setpriv` exists the kernel also kills it when the test process is killed itself.

use std::{
    env,
    ffi::OsString,
    fs,
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tempfile::TempDir;

use crate::{Api, broker::Mosquitto, ports::free_port, tools, until};

/// A debug build on a busy two-core machine opens its databases well inside this.
pub const READY_WITHIN: Duration = Duration::from_mins(1);

/// What the program promises for SIGTERM.
pub const DRAINED_WITHIN: Duration = Duration::from_secs(10);

/// How much of a log is shown when a story fails.
const TAIL_BYTES: u64 = 6_000;

/// Where the program is: `BELLWETHER_BIN`, or built once into the target folder these tests run
/// from, in the same profile, so that nothing is compiled twice.
///
/// # Errors
/// When it cannot be built.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| find_or_build().map_err(|error| format!("{error:#}")))
        .as_deref()
        .map_err(|error| anyhow!("{error}"))
}

fn find_or_build() -> Result<PathBuf> {
    if let Some(given) = env::var_os("BELLWETHER_BIN") {
        // Programs run in folders of their own, so a relative path has to be resolved here.
        return fs::canonicalize(&given)
            .with_context(|| format!("BELLWETHER_BIN={}", given.display()));
    }
    // <target>/<profile>/deps/stories-<hash> or <target>/<profile>/chaos
    let this = env::current_exe()?;
    let folder = this.parent();
    let profile = folder
        .and_then(|folder| {
            if folder.ends_with("deps") {
                folder.parent()
            } else {
                Some(folder)
            }
        })
        .context("the test binary lies outside a target folder")?;
    let target = profile
        .parent()
        .context("the profile folder has no parent")?;
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args([
            "build",
            "--package",
            "bellwether",
            "--bin",
            "bellwether",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(tools::repository());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let done = build.output().context("start cargo to build the program")?;
    ensure!(
        done.status.success(),
        "the program does not build:\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(profile.join("bellwether"))
}

/// The folder, ports and settings of a program, which outlive its runs.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    mqtt: SocketAddr,
    http: SocketAddr,
    settings: Vec<(String, String)>,
    config: Option<PathBuf>,
    small_disk_mib: Option<usize>,
}

impl Home {
    /// A fresh home with free ports.
    ///
    /// # Errors
    /// When there is no free port or no temporary folder.
    pub fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::Builder::new()
                .prefix("bellwether-story-")
                .tempdir()?,
            mqtt: (Ipv4Addr::LOCALHOST, free_port()?).into(),
            http: (Ipv4Addr::LOCALHOST, free_port()?).into(),
            settings: Vec::new(),
            config: None,
            small_disk_mib: None,
        })
    }

    /// Sets a configuration key, such as `analytics.learning_rows`, through the environment.
    #[must_use]
    pub fn with(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.settings
            .push((environment_name(key), value.to_string()));
        self
    }

    /// Sets a variable of the environment that is no configuration key, such as `LD_PRELOAD`.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        let value = value.as_ref().display().to_string();
        self.settings.push((name.to_owned(), value));
        self
    }

    /// Gives the program a configuration file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn with_config(mut self, toml: &str) -> Result<Self> {
        let file = self.folder.path().join("bellwether.toml");
        fs::write(&file, toml)?;
        self.config = Some(file);
        Ok(self)
    }

    /// Has the program take everything below `telemetry/` from a broker; `protocol` is `v4` or
    /// `v5`.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn with_subscriber(self, broker: &Mosquitto, protocol: &str) -> Result<Self> {
        self.with_config(&format!(
            "[[ingest.subscriber]]\n\
             url = \"{}\"\n\
             client_id = \"bellwether-story\"\n\
             topics = [\"telemetry/#\"]\n\
             protocol = \"{protocol}\"\n",
            broker.url()
        ))
    }

    /// Waits until the subscriber of [`Self::with_subscriber`] is connected.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn subscribed(&self) -> Result<()> {
        until("the subscriber to be connected", READY_WITHIN, async || {
            let status = self.api().status().await?;
            let subscribers = &status["subscribers"];
            ensure!(subscribers[0]["connected"] == true, "{subscribers}");
            Ok(Some(()))
        })
        .await
    }

    /// Gives the program a file system of its own for its data, of this size, in a mount
    /// namespace that ends with it. Needs user namespaces, but no root.
    #[must_use]
    pub fn on_small_disk(mut self, mib: usize) -> Self {
        self.small_disk_mib = Some(mib);
        self
    }

    /// The temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder the program keeps its data in.
    pub fn data_dir(&self) -> PathBuf {
        self.settings
            .iter()
            .rev()
            .find(|(name, _)| name == "BELLWETHER_DATA_DIR")
            .map_or_else(
                || self.folder.path().join("data"),
                |(_, value)| value.into(),
            )
    }

    /// Where devices connect.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// Where people and scripts connect.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The API of the program that runs here.
    pub fn api(&self) -> Api {
        Api::new(self.http)
    }

    /// A command of the program in this home: its settings and nothing else from the environment
    /// of the tests that could change it.
    ///
    /// # Errors
    /// When the program cannot be found or built.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(setpriv) = tools::find("setpriv") {
            words.extend([
                setpriv.into(),
                "--pdeathsig".into(),
                "KILL".into(),
                "--".into(),
            ]);
        }
        if let Some(mib) = self.small_disk_mib {
            fs::create_dir_all(self.data_dir())?;
            words.extend(
                [
                    "unshare",
                    "--user",
                    "--map-root-user",
                    "--mount",
                    "sh",
                    "-c",
                ]
                .map(Into::into),
            );
            words.push(format!("mount -t tmpfs -o size={mib}m none \"$0\" && exec \"$@\"").into());
            words.push(self.data_dir().into());
        }
        words.push(binary()?.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("BELLWETHER_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("BELLWETHER_DATA_DIR", self.folder.path().join("data"))
            .env("BELLWETHER_INGEST__LISTENER__BIND", self.mqtt.to_string())
            .env("BELLWETHER_HTTP__BIND", self.http.to_string())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        if let Some(config) = self.config.as_ref().filter(|_| arguments.contains(&"run")) {
            command.arg("--config").arg(config);
        }
        Ok(command)
    }

    /// Starts `bellwether run` and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends early or is not ready in time; the error carries the end of its log.
    pub async fn start(&self) -> Result<Program> {
        let mut program = self.spawn()?;
        let api = self.api();
        let ready = until("the program to be ready", READY_WITHIN, async || {
            if let Some(status) = program.child.try_wait()? {
                return Ok(Some(Err(status)));
            }
            Ok(api.is_ready().await?.then_some(Ok(())))
        })
        .await;
        match ready {
            Ok(Ok(())) => Ok(program),
            Ok(Err(status)) => bail!("the program ended early, {status}:\n{}", program.log_tail()),
            Err(error) => Err(error.context(program.log_tail())),
        }
    }

    /// Starts `bellwether run` without waiting.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self) -> Result<Program> {
        let log = self.folder.path().join("program.log");
        let out = OpenOptions::new().create(true).append(true).open(&log)?;
        let from = out.metadata()?.len();
        let mut command = self.command(&["run"])?;
        let child = command
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Program {
            child,
            log,
            log_from: from,
        })
    }
}

/// `analytics.learning_rows` is `BELLWETHER_ANALYTICS__LEARNING_ROWS`.
fn environment_name(key: &str) -> String {
    format!("BELLWETHER_{}", key.to_uppercase().replace('.', "__"))
}

/// One run of the program; killed on drop.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
    log_from: u64,
}

impl Program {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Pulls the plug: SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// When it had already ended by itself, which no story that pulls plugs allows.
    pub fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "the program had already ended, {status}:\n{}",
                self.log_tail()
            );
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the program to end (SIGTERM) and gives its exit status and how long it took.
    ///
    /// # Errors
    /// When it does not end within `deadline`.
    pub async fn terminate(mut self, deadline: Duration) -> Result<(ExitStatus, Duration)> {
        let asked = Instant::now();
        signal("TERM", self.child.id())?;
        let status = self.ended(deadline).await?;
        Ok((status, asked.elapsed()))
    }

    /// Waits until the program has ended by itself.
    ///
    /// # Errors
    /// When it does not end within `deadline`; the error carries the end of its log.
    pub async fn ended(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let child = &mut self.child;
        let ended = until("the program to end", deadline, async || {
            Ok(child.try_wait()?)
        })
        .await;
        ended.map_err(|error| error.context(self.log_tail()))
    }

    /// Whether the process is still there.
    ///
    /// # Errors
    /// When the kernel cannot say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// What this run has written so far.
    pub fn log(&self) -> String {
        self.read_log(self.log_from).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let end = fs::metadata(&self.log).map_or(0, |meta| meta.len());
        let from = end.saturating_sub(TAIL_BYTES).max(self.log_from);
        self.read_log(from)
            .unwrap_or_else(|error| format!("(no log: {error})"))
    }

    fn read_log(&self, from: u64) -> std::io::Result<String> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The harness shows this only when the story fails.
        eprintln!("--- end of the program's log\n{}", self.log_tail());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name. The shell's own `kill` is there even where procps is not.
///
/// # Errors
/// When there is no such process.
pub fn signal(name: &str, process: u32) -> Result<()> {
    let done = Command::new("sh")
        .args(["-c", &format!("kill -{name} {process}")])
        .output()?;
    ensure!(
        done.status.success(),
        "kill -{name} {process}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_environment_names() {
        assert_eq!(environment_name("data_dir"), "BELLWETHER_DATA_DIR");
        assert_eq!(
            environment_name("ingest.listener.bind"),
            "BELLWETHER_INGEST__LISTENER__BIND"
        );
    }
}
