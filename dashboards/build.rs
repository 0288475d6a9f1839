//! Builds the web UI into `OUT_DIR/web`, from where it is embedded.
//!
//! 1. `WEB_DIST_DIR` names a built one: it is copied.
//! 2. Otherwise, if npm is there, `npm ci` and `npm run build` run on a copy of `web/` in
//!    `OUT_DIR`: a build script must not write into the source tree. Cargo runs this again
//!    only when the sources of the UI change.
//! 3. Otherwise a plain page is embedded that says how to get the UI, with a warning.
//!
//! A web build that fails stops the build: an old or half UI would be worse than none.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

const PLACEHOLDER: &str = include_str!("placeholder.html");
/// What npm, Vite, the message compiler and the tests leave beside the sources, and the tests
/// themselves: neither copied nor watched.
const NOT_SOURCES: [&str; 7] = [
    "node_modules",
    "dist",
    "paraglide",
    "test",
    "test-results",
    "playwright-report",
    "screenshots",
];

fn main() {
    println!("cargo::rerun-if-env-changed=WEB_DIST_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=placeholder.html");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let target = out.join("web");
    let placeholder = match web_ui(&root, &out) {
        Ok(Source::Built(built)) => {
            replace(&built, &target).unwrap_or_else(|error| {
                panic!("cannot copy the web UI from {}: {error}", built.display())
            });
            assert!(
                target.join("index.html").is_file(),
                "{} holds no index.html",
                built.display()
            );
            false
        }
        Ok(Source::Missing(why)) => {
            println!("cargo::warning=the web UI is not embedded: {why}");
            let _ = fs::remove_dir_all(&target);
            fs::create_dir_all(&target)
                .and_then(|()| fs::write(target.join("index.html"), PLACEHOLDER))
                .expect("OUT_DIR can be written");
            true
        }
        Err(problem) => panic!("{problem}"),
    };
    println!(
        "cargo::rustc-env=BELLWETHER_WEB_PLACEHOLDER={}",
        u8::from(placeholder)
    );
}

enum Source {
    Built(PathBuf),
    Missing(String),
}

fn web_ui(root: &Path, out: &Path) -> Result<Source, String> {
    if let Some(dist) = env::var_os("WEB_DIST_DIR").filter(|dist| !dist.is_empty()) {
        let dist = PathBuf::from(dist);
        println!("cargo::rerun-if-changed={}", dist.display());
        return if dist.is_dir() {
            Ok(Source::Built(dist))
        } else {
            Err(format!(
                "WEB_DIST_DIR is {}, which is no folder",
                dist.display()
            ))
        };
    }
    let web = root.join("web");
    if !web.join("package.json").is_file() || !web.join("package-lock.json").is_file() {
        // A missing file counts as changed: the script looks again at the next build.
        println!(
            "cargo::rerun-if-changed={}",
            web.join("package-lock.json").display()
        );
        return Ok(Source::Missing(
            "dashboards/web has no package.json with a lock file".to_owned(),
        ));
    }
    watch(&web).map_err(|error| format!("cannot read {}: {error}", web.display()))?;
    if Command::new("npm").arg("--version").output().is_err() {
        return Ok(Source::Missing(
            "npm is not installed; install Node.js 20 or later, or set WEB_DIST_DIR to a built one"
                .to_owned(),
        ));
    }
    let work = out.join("web-build");
    refresh(&web, &work).map_err(|error| format!("cannot copy {}: {error}", web.display()))?;
    install(&work)?;
    npm(&work, &["run", "build"])?;
    Ok(Source::Built(work.join("dist")))
}

/// Installs what the lock file names, unless that has been done: it takes half a minute.
fn install(work: &Path) -> Result<(), String> {
    let read = |name: &str| fs::read(work.join(name)).ok();
    let installed = "node_modules/.installed-lock.json";
    let lock = read("package-lock.json");
    if lock.is_some() && lock == read(installed) {
        return Ok(());
    }
    npm(work, &["ci", "--no-audit", "--no-fund"])?;
    fs::copy(work.join("package-lock.json"), work.join(installed))
        .map(drop)
        .map_err(|error| format!("cannot write {}: {error}", work.join(installed).display()))
}

/// Runs npm and shows its words only when it fails.
fn npm(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(folder)
        .env_remove("WEB_OUT_DIR")
        .output()
        .map_err(|error| format!("cannot run npm: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "npm {} failed ({}):\n{}\n{}\nset WEB_DIST_DIR to a built UI to go round npm",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    ))
}

fn is_source(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !NOT_SOURCES.contains(&name) && !name.starts_with(".canary-"))
}

/// Watches whole folders where everything inside is a source, so that new files are noticed,
/// and single files elsewhere.
fn watch(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_source(&path) {
            continue;
        }
        if path.is_dir() && !is_pure(&path)? {
            watch(&path)?;
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    Ok(())
}

fn is_pure(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_source(&path) || (path.is_dir() && !is_pure(&path)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies the sources afresh; only what npm installed before stays.
fn refresh(from: &Path, to: &Path) -> io::Result<()> {
    if to.is_dir() {
        for entry in fs::read_dir(to)? {
            let path = entry?.path();
            if path.ends_with("node_modules") {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
    }
    copy_where(from, to, &is_source)
}

/// Copies a built UI afresh.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(to);
    copy_where(from, to, &|_| true)
}

fn copy_where(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name().filter(|_| wanted(&path)) else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            copy_where(&path, &target, wanted)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
