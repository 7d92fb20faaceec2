//! Puts the `layers.json` that `PUBLISHER_LAYERS` names into the publisher. Without the variable, there are no layers
//! inside.
#![allow(clippy::expect_used, reason = "a build script can only end the build")]

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=PUBLISHER_LAYERS");
    println!("cargo::rerun-if-changed=build.rs");
    let named = env::var_os("PUBLISHER_LAYERS").filter(|path| !path.is_empty());
    let text = named.map_or_else(String::new, |path| {
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read_to_string(&path).expect("the file that PUBLISHER_LAYERS names can be read")
    });
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("layers.json"), text).expect("OUT_DIR can be written to");
}
