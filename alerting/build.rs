//! The migrations are compiled into the crate; a new file among them has to cause a rebuild.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
