use super::*;

fn linked(name: &str, license: &str, texts: &[(&str, &str)]) -> LinkedCrate {
    let text =
        |(file, text): &(&str, &str)| LicenceText { file: (*file).to_owned(), text: (*text).to_owned() };
    LinkedCrate {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        license: license.to_owned(),
        repository: Some("https://example.com/shared".to_owned()),
        texts: texts.iter().map(text).collect(),
    }
}

#[test]
fn crates_under_apache_share_one_text_and_keep_their_notices() {
    let document = notices(
        "",
        &[
            linked(
                "both",
                "MIT OR Apache-2.0",
                &[("LICENSE-MIT", "mit of both"), ("LICENSE-APACHE", "a copy of Apache")],
            ),
            linked("old-style", "MIT/Apache-2.0", &[("LICENSE-THIRD-PARTY", "taken from elsewhere")]),
            linked(
                "noticed",
                "Apache-2.0",
                &[("LICENSE", "a copy of Apache"), ("NOTICE", "made by somebody")],
            ),
        ],
    )
    .unwrap();
    assert_eq!(document.matches("Apache License\n").count(), 1, "{document}");
    assert!(
        document.contains("Rust's standard library, both 1.0.0, old-style 1.0.0, noticed 1.0.0\n"),
        "{document}"
    );
    assert!(document.contains("old-style 1.0.0\n\ntaken from elsewhere\n"), "{document}");
    assert!(document.contains("noticed 1.0.0\n\nmade by somebody\n"), "{document}");
    assert!(!document.contains("mit of both") && !document.contains("a copy of Apache"), "{document}");
}

#[test]
fn other_crates_bring_their_own_text() {
    let document = notices(
        "",
        &[
            linked("first", "MIT", &[("LICENSE", "the same text\n")]),
            linked("second", "MIT", &[("LICENSE.md", "the same text")]),
            linked(
                "choice",
                "Unlicense OR MIT",
                &[("LICENSE-MIT", "mit"), ("UNLICENSE", "unlicense of choice")],
            ),
            linked(
                "all-of-it",
                "(MIT OR Apache-2.0) AND Unicode-3.0",
                &[("LICENSE-MIT", "m"), ("LICENSE-UNICODE", "u")],
            ),
            linked(
                "two",
                "Apache-2.0 AND ISC",
                &[("LICENSE", "isc"), ("src/LICENSE-X", "code from elsewhere")],
            ),
        ],
    )
    .unwrap();
    for group in [
        "first 1.0.0, second 1.0.0\n\nthe same text\n",
        "choice 1.0.0\n\nmit\n",
        "all-of-it 1.0.0\n\nm\n",
        "all-of-it 1.0.0\n\nu\n",
        "two 1.0.0\n\nisc\n",
        "two 1.0.0\n\ncode from elsewhere\n",
        "\nmusl\n\nmusl as a whole",
        "\nZig's compiler-rt\n\nThe MIT License",
    ] {
        assert!(document.contains(group), "{group:?} is not in:\n{document}");
    }
    assert!(!document.contains("unlicense of choice"), "{document}");
}

#[test]
fn a_crate_without_a_text_gets_that_of_its_repository() {
    let crates = [
        linked("bare", "BSD-3-Clause", &[]),
        linked("sibling", "BSD-3-Clause", &[("LICENSE", "of the repository")]),
    ];
    assert!(notices("", &crates).unwrap().contains("bare 1.0.0, sibling 1.0.0\n\nof the repository\n"));
}

#[test]
fn a_crate_without_any_text_is_refused() {
    let elsewhere = LinkedCrate {
        repository: Some("https://example.com/elsewhere".to_owned()),
        ..linked("elsewhere", "ISC", &[("LICENSE", "text")])
    };
    let other_terms = linked("other-terms", "MIT", &[("LICENSE", "text")]);
    let error = notices("", &[linked("bare", "ISC", &[]), elsewhere, other_terms]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"bare 1.0.0 ("ISC"), which is linked into the binary, has no licence file"#
    );
}

#[test]
fn texts_are_in_the_order_of_their_crates() {
    let (a, b) = (linked("a", "MIT", &[("LICENSE", "one")]), linked("b", "MIT", &[("LICENSE", "two")]));
    let document = notices("", &[a, b]).unwrap();
    assert!(document.find("a 1.0.0\n\none") < document.find("b 1.0.0\n\ntwo"), "{document}");
}

#[test]
fn long_lists_of_names_are_wrapped() {
    let names: Vec<String> = (0..40).map(|number| format!("crate-{number} 1.0.0")).collect();
    let text = wrapped(&names);
    assert!(text.lines().all(|line| line.len() <= 80 && !line.ends_with(' ')), "{text}");
    assert_eq!(text.replace('\n', " "), names.join(", "));
}

#[test]
fn a_crate_whose_repository_has_the_text_takes_it_from_there() {
    let mut bare = linked("base64-simd", "MIT", &[]);
    bare.repository = Some("https://github.com/Nugine/simd".to_owned());
    let document = notices("", &[bare]).unwrap();
    assert!(
        document.contains("base64-simd 1.0.0\n\nMIT License\n\nCopyright (c) 2021 Nugine\n"),
        "{document}"
    );
}
