//! The files in `dist/`: those that `publisher build` writes (`bundle`, `build_manifest`), and the one that
//! `publisher publish` writes for everybody to read (`layers_manifest`), which a released publisher also has inside
//! (`built_in_layers`).

pub(crate) mod atomic_file;
pub(crate) mod build_folder;
pub(crate) mod build_manifest;
pub(crate) mod built_in_layers;
pub(crate) mod bundle;
pub(crate) mod layers_manifest;
pub(crate) mod other_zip;
pub(crate) mod relay_runtimes;
pub(crate) mod safe_zip;
pub(crate) mod zip_contents;
