//! Adds the list of linked crates to a binary, so that scanners find known vulnerabilities in it without its sources:
//! `cargo audit bin`, Trivy, Grype, Syft.
//!
//! The form is that of cargo-auditable: JSON, compressed by zlib, in the section `.dep-v0`. No segment contains it, so
//! it is not loaded. It stands behind the rest of the file, so that the rest stays where it is.

use crate::build::{elf::ElfError, linked_crates::LinkedCrate};
use flate2::{Compression, write::ZlibEncoder};
use serde::Serialize;
use std::io::{self, Write};

const SECTION: &[u8] = b".dep-v0\0";
/// The length of a section header, and the places of its fields.
const HEADER: usize = 64;
const OFFSET: usize = 24;
const SIZE: usize = 32;
const ALIGNMENT: usize = 48;
const PROGBITS: u8 = 1;
const STRINGS: u8 = 3;
/// The places of fields in the file's header: where the section headers are, how long each is, how many there are, and
/// which is that of the names.
const SECTION_HEADERS: usize = 40;
const HEADER_LENGTH: usize = 58;
const COUNT: usize = 60;
const NAMES: usize = 62;

#[derive(Serialize)]
struct Dependencies<'a> {
    packages: Vec<Package<'a>>,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<usize>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    root: bool,
}

/// Writes the list. All crates are listed as dependencies of the program itself.
pub(crate) fn list(program: &str, version: &str, crates: &[LinkedCrate]) -> io::Result<Vec<u8>> {
    let crate_of = |linked| {
        let LinkedCrate { name, version, .. }: &LinkedCrate = linked;
        Package { name, version, source: "crates.io", dependencies: Vec::new(), root: false }
    };
    let mut packages: Vec<Package<'_>> = crates.iter().map(crate_of).collect();
    let dependencies = (0..packages.len()).collect();
    packages.push(Package { name: program, version, source: "local", dependencies, root: true });
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::best());
    compressed.write_all(&serde_json::to_vec(&Dependencies { packages })?)?;
    compressed.finish()
}

/// Adds the section to an ELF file of 64 bits.
pub(crate) fn add(binary: &[u8], list: &[u8]) -> Result<Vec<u8>, ElfError> {
    add_section(binary, list).ok_or_else(|| ElfError::Damaged("its section headers".to_owned()))
}

/// `None`: the header points to a place outside the file.
fn add_section(binary: &[u8], list: &[u8]) -> Option<Vec<u8>> {
    let at = usize::try_from(u64::from_le_bytes(field(binary, SECTION_HEADERS)?)).ok()?;
    let count = usize::from(u16::from_le_bytes(field(binary, COUNT)?));
    let table = binary.get(at..at.checked_add(count * HEADER)?)?;
    let mut headers: Vec<[u8; HEADER]> =
        table.chunks_exact(HEADER).map_while(|one| one.try_into().ok()).collect();
    // The headers are usually the end of the file. There they can be replaced.
    let is_end = count > 0 && at + table.len() == binary.len();
    let mut file = binary.get(..if is_end { at } else { binary.len() })?.to_vec();
    let mut index = usize::from(u16::from_le_bytes(field(binary, NAMES)?));
    if headers.is_empty() {
        // The first header of all files is empty.
        headers = vec![[0; HEADER], header(0, STRINGS)];
        index = 1;
    }
    let of_names = headers.get(index)?;
    let start = usize::try_from(u64::from_le_bytes(field(of_names, OFFSET)?)).ok()?;
    let length = usize::try_from(u64::from_le_bytes(field(of_names, SIZE)?)).ok()?;
    let mut names = binary.get(start..start.checked_add(length)?)?.to_vec();
    if names.is_empty() {
        names.push(0);
    }
    let mut section = header(u32::try_from(names.len()).ok()?, PROGBITS);
    names.extend_from_slice(SECTION);
    place(&mut section, &mut file, list)?;
    place(headers.get_mut(index)?, &mut file, &names)?;
    headers.push(section);
    file.resize(file.len().next_multiple_of(8), 0);
    let end = file.len();
    file.extend(headers.iter().flatten());
    set(&mut file, SECTION_HEADERS, &(end as u64).to_le_bytes())?;
    set(&mut file, HEADER_LENGTH, &u16::try_from(HEADER).ok()?.to_le_bytes())?;
    set(&mut file, COUNT, &u16::try_from(headers.len()).ok()?.to_le_bytes())?;
    set(&mut file, NAMES, &u16::try_from(index).ok()?.to_le_bytes())?;
    Some(file)
}

/// The header of a section that is not loaded.
fn header(name: u32, kind: u8) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let name = name.to_le_bytes();
    for (at, byte) in name.into_iter().chain([kind]).enumerate().chain([(ALIGNMENT, 1)]) {
        if let Some(place) = header.get_mut(at) {
            *place = byte;
        }
    }
    header
}

/// Adds the content of a section to the file, and puts its place into the header.
fn place(header: &mut [u8; HEADER], file: &mut Vec<u8>, content: &[u8]) -> Option<()> {
    set(header, OFFSET, &(file.len() as u64).to_le_bytes())?;
    set(header, SIZE, &(content.len() as u64).to_le_bytes())?;
    file.extend_from_slice(content);
    Some(())
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) -> Option<()> {
    bytes.get_mut(at..at + value.len())?.copy_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build::elf::ElfHeader, model::arch::Arch};
    use object::read::elf::FileHeader;
    use std::io::Read;

    fn linked(name: &str) -> LinkedCrate {
        let (name, version) = (name.to_owned(), "1.2.3".to_owned());
        LinkedCrate { name, version, license: String::new(), repository: None, texts: Vec::new() }
    }

    /// Returns the content of the section, as a scanner finds it.
    fn found(file: &[u8]) -> Vec<u8> {
        let header = ElfHeader::parse(file).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, file).unwrap();
        let (_, section) = sections.section_by_name(endian, &SECTION[..SECTION.len() - 1]).unwrap();
        assert_eq!(section.sh_flags.get(endian).0, 0, "it is not loaded");
        object::read::elf::SectionHeader::data(section, endian, file).unwrap().to_vec()
    }

    #[test]
    fn a_scanner_finds_the_list_and_the_rest_stays_as_it_is() {
        // This test itself is an ELF file with many sections.
        let before = std::fs::read("/proc/self/exe").unwrap();
        let list = list("me", "0.1.0", &[linked("a"), linked("b")]).unwrap();
        let after = add(&before, &list).unwrap();
        assert_eq!(found(&after), list);
        let header = ElfHeader::parse(&*after).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, &*after).unwrap();
        assert!(sections.section_by_name(endian, b".text").is_some());
        assert_eq!(&before[HEADER..4096], &after[HEADER..4096]);
        let mut json = String::new();
        flate2::read::ZlibDecoder::new(&*list).read_to_string(&mut json).unwrap();
        let expected = r#"{"packages":[{"name":"a","version":"1.2.3","source":"crates.io"},"#.to_owned()
            + r#"{"name":"b","version":"1.2.3","source":"crates.io"},"#
            + r#"{"name":"me","version":"0.1.0","source":"local","dependencies":[0,1],"root":true}]}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn a_file_without_sections_gets_one_and_a_damaged_one_is_refused() {
        let mut bare = crate::build::elf::tests::elf_file(2, 62, 64, 1, b"");
        let after = add(&bare, b"list").unwrap();
        assert_eq!(found(&after), b"list");
        assert_eq!(crate::build::elf::check(&after, Arch::X86_64), Ok(()));
        bare[COUNT] = 9;
        assert!(matches!(add(&bare, b"list"), Err(ElfError::Damaged(_))));
        assert!(add(&bare[..20], b"list").is_err());
    }
}
