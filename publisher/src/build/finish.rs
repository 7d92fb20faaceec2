//! What is done with a compiled binary before it is packed.

use crate::{
    build::{dependency_list, elf, linked_crates::LinkedCrate, unwind_index, workspace::PACKAGE},
    failure::{Code, Failure},
    model::arch::Arch,
};

/// Checks that a binary starts on Lambda, adds the list of what is linked into it, and empties its index of unwind
/// tables.
pub(crate) fn finished(
    arch: Arch,
    binary: &[u8],
    version: &str,
    crates: &[LinkedCrate],
) -> Result<Vec<u8>, Failure> {
    let refused = |error| {
        Failure::message(Code::Failed, format!("the binary built for {arch} cannot go into a layer: {error}"))
            .hint("nothing was written; publisher doctor shows the tools that made it")
    };
    elf::check(binary, arch).map_err(refused)?;
    let list = dependency_list::list(PACKAGE, version, crates).map_err(Failure::new)?;
    let mut binary = dependency_list::add(binary, &list).map_err(refused)?;
    unwind_index::empty(&mut binary).map_err(refused)?;
    Ok(binary)
}
