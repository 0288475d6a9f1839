//! A small disk: a file system of some megabytes in a file, mounted by loop, or a tmpfs where
//! that is not allowed.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{Home, Program, tools};

/// Room for the databases of an empty program, their logs and some seconds of load.
const DISK_MIB: usize = 96;

/// What the ballast is written in; the last bytes go in single blocks.
const STEPS: [usize; 3] = [1 << 20, 64 << 10, 4 << 10];

/// A disk of [`DISK_MIB`] for a program's data.
#[derive(Debug)]
pub(super) struct SmallDisk {
    /// What it is, in words.
    pub(super) kind: &'static str,
    /// The mount point when it is ours to unmount.
    mounted: Option<PathBuf>,
}

impl SmallDisk {
    /// Gives a home a small disk for its data; none when the machine allows neither way.
    pub(super) fn under(home: Home) -> Result<Option<(Home, Self)>> {
        let folder = home.folder().join("disk");
        fs::create_dir_all(&folder)?;
        if mount_loop(&home.folder().join("disk.img"), &folder).is_ok() {
            let home = home.with("data_dir", &folder.join("data").display().to_string());
            let disk = Self {
                kind: "ext4 on a loop device",
                mounted: Some(folder),
            };
            return Ok(Some((home, disk)));
        }
        if !may_mount_in_a_namespace() {
            return Ok(None);
        }
        let disk = Self {
            kind: "tmpfs in a namespace of its own",
            mounted: None,
        };
        Ok(Some((home.on_small_disk(DISK_MIB), disk)))
    }

    /// Fills the disk to the last block; gives the file that takes the room.
    pub(super) fn fill(&self, home: &Home, program: &Program) -> Result<PathBuf> {
        let ballast = if let Some(folder) = &self.mounted {
            folder.join("ballast")
        } else {
            // The mount is only visible to the program itself.
            let inside: PathBuf = format!("/proc/{}/root", program.id()).into();
            inside
                .join(home.data_dir().strip_prefix("/")?)
                .join("ballast")
        };
        let mut file = File::create(&ballast).context("create the ballast")?;
        for step in STEPS {
            let block = vec![7_u8; step];
            while file
                .write_all(&block)
                .and_then(|()| file.sync_data())
                .is_ok()
            {}
        }
        Ok(ballast)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Some(folder) = &self.mounted {
            // Lazy: a program that still has files open there ends in a moment.
            let _ = Command::new("umount").arg("--lazy").arg(folder).status();
        }
    }
}

fn mount_loop(image: &Path, folder: &Path) -> Result<()> {
    File::create(image)?.set_len((DISK_MIB << 20) as u64)?;
    let mkfs = tools::find("mkfs.ext4").or_else(|| {
        // Debian keeps it where only root looks.
        let file = PathBuf::from("/sbin/mkfs.ext4");
        file.is_file().then_some(file)
    });
    let steps = [
        // No blocks kept back for root: full means full.
        Command::new(mkfs.context("no mkfs.ext4")?)
            .args(["-q", "-F", "-m", "0"])
            .arg(image)
            .output()?,
        Command::new("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(folder)
            .output()?,
    ];
    for step in steps {
        ensure!(
            step.status.success(),
            "{}",
            String::from_utf8_lossy(&step.stderr)
        );
    }
    Ok(())
}

fn may_mount_in_a_namespace() -> bool {
    let probe = [
        "--user",
        "--map-root-user",
        "--mount",
        "mount",
        "-t",
        "tmpfs",
        "none",
        "/mnt",
    ];
    Command::new("unshare")
        .args(probe)
        .output()
        .is_ok_and(|done| done.status.success())
}
