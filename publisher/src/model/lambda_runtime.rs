//! Lambda's runtimes and the glibc version that each of them has.

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glibc {
    /// The major version, which is always 2.
    pub(crate) major: u32,
    /// The minor version, which decides whether a binary runs.
    pub(crate) minor: u32,
}

impl std::fmt::Display for Glibc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The glibc and the runtimes of Amazon Linux 2.
const AL2: (Glibc, [&str; 8]) = (
    Glibc { major: 2, minor: 26 },
    ["python3.10", "python3.11", "nodejs18.x", "java8.al2", "java11", "java17", "ruby3.2", "provided.al2"],
);
/// The glibc and the runtimes of Amazon Linux 2023.
const AL2023: (Glibc, [&str; 13]) = (
    Glibc { major: 2, minor: 34 },
    [
        "nodejs20.x",
        "nodejs22.x",
        "nodejs24.x",
        "python3.12",
        "python3.13",
        "python3.14",
        "java21",
        "java25",
        "dotnet8",
        "dotnet10",
        "ruby3.3",
        "ruby3.4",
        "provided.al2023",
    ],
);

/// The oldest glibc of any Lambda runtime.
pub(crate) const OLDEST: Glibc = AL2.0;
/// The newest glibc of any Lambda runtime.
pub(crate) const NEWEST: Glibc = AL2023.0;

/// The runtimes whose glibc is new enough for a binary that needs `needed`. A static binary (`None`) runs on all.
pub(crate) fn compatible(needed: Option<Glibc>) -> Vec<&'static str> {
    let enough = |has: Glibc| needed.is_none_or(|needed| needed <= has);
    let al2 = AL2.1.iter().filter(|_| enough(AL2.0));
    AL2023.1.iter().filter(|_| enough(AL2023.0)).chain(al2).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtimes(minor: u32) -> Vec<&'static str> {
        compatible(Some(Glibc { major: 2, minor }))
    }

    #[test]
    fn the_glibc_version_selects_the_runtimes() {
        assert_eq!(runtimes(26).len(), 21);
        assert_eq!(compatible(None), runtimes(17));
        assert!(runtimes(27).contains(&"provided.al2023") && !runtimes(27).contains(&"provided.al2"));
        assert_eq!(runtimes(34).len(), 13);
        assert_eq!(runtimes(35), [""; 0]);
    }
}
