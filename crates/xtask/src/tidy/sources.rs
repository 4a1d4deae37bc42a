//! Rules on single files: module headers, forbidden words, trailing blanks, paths of one machine.

use std::path::Path;

use super::Problem;
use super::tree::SourceFile;

/// A module longer than this says at its top what it owns.
const HEADER_FROM_LINES: usize = 150;

/// What no Rust file holds, and why. Written in two halves so that this file does not hold it either.
const FORBIDDEN_IN_RUST: [(&str, &str); 2] = [
    (
        concat!("#[", "ignore"),
        "a test that never runs is no test: fix it or delete it",
    ),
    (
        concat!("#[", "should_panic"),
        "assert on the error instead of expecting a panic",
    ),
];

/// What no file of ours holds.
const LEFT_OVER: &str = concat!("FIX", "ME");

/// Folders that belong to a person, not to a project.
const HOMES: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
];

const BLANKS_MATTER: [&str; 9] = [
    "rs", "toml", "md", "sh", "yml", "yaml", "tpl", "proto", "py",
];

pub(super) fn check(files: &[SourceFile], root: &Path) -> Vec<Problem> {
    let mut forbidden_paths: Vec<String> = HOMES.iter().map(|&home| home.to_owned()).collect();
    forbidden_paths.push(format!("{}/", root.display()));

    files
        .iter()
        .filter(|file| !file.is_generated() && !file.path.starts_with("crates/testkit/genblocks/"))
        .flat_map(|file| {
            let mut problems = header(file);
            problems.extend(module_file(file));
            problems.extend(words(file));
            problems.extend(trailing_blanks(file));
            problems.extend(paths(file, &forbidden_paths));
            problems
        })
        .collect()
}

fn header(file: &SourceFile) -> Vec<Problem> {
    let in_source = file.path.split('/').any(|part| part == "src");
    let lines = file.text.lines().count();
    let is_root = file.path.ends_with("/src/lib.rs");
    let is_tests = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    if is_tests || !file.is_rust() || !in_source || (!is_root && lines <= HEADER_FROM_LINES) {
        return Vec::new();
    }
    let documented = file.text.lines().find(|line| !line.trim().is_empty());
    if documented.is_some_and(|line| line.starts_with("//!")) {
        return Vec::new();
    }
    vec![Problem::new(
        &file.path,
        "open with `//!`: what the module owns, what it promises, what it never does",
    )]
}

fn module_file(file: &SourceFile) -> Option<Problem> {
    file.path.ends_with("/mod.rs").then(|| {
        Problem::new(
            &file.path,
            "name the file after its module: foo.rs beside foo/",
        )
    })
}

fn words(file: &SourceFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in numbered(&file.text) {
        if line.contains(LEFT_OVER) {
            let message = format!("{LEFT_OVER}: finish it, or write an issue");
            problems.push(Problem::new(format!("{}:{number}", file.path), message));
        }
        if !file.is_rust() {
            continue;
        }
        for (word, why) in FORBIDDEN_IN_RUST {
            if line.trim_start().starts_with(word) {
                problems.push(Problem::new(format!("{}:{number}", file.path), why));
            }
        }
    }
    problems
}

fn trailing_blanks(file: &SourceFile) -> Vec<Problem> {
    let matters = BLANKS_MATTER
        .iter()
        .any(|extension| file.has_extension(extension))
        || file.path == "Makefile";
    if !matters {
        return Vec::new();
    }
    numbered(&file.text)
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(number, _)| Problem::new(format!("{}:{number}", file.path), "trailing blank"))
        .collect()
}

fn paths(file: &SourceFile, forbidden: &[String]) -> Vec<Problem> {
    numbered(&file.text)
        .filter(|(_, line)| forbidden.iter().any(|path| line.contains(path.as_str())))
        .map(|(number, _)| {
            Problem::new(
                format!("{}:{number}", file.path),
                "an absolute path of one machine: derive it or take it as an argument",
            )
        })
        .collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // Not `lines`: it would swallow a carriage return.
    text.split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(path: &str, text: &str, places: &[&str]) {
        let problems = check(&[SourceFile::new(path, text)], Path::new("/some/where"));
        let found: Vec<_> = problems
            .iter()
            .map(|problem| problem.place.as_str())
            .collect();
        assert_eq!(found, places, "{problems:?}");
    }

    #[test]
    fn libraries_and_long_modules_have_headers() {
        let long = "fn f() {}\n".repeat(151);
        expect(
            "crates/x/src/lib.rs",
            "fn f() {}\n",
            &["crates/x/src/lib.rs"],
        );
        expect("crates/x/src/lib.rs", "//! X.\n", &[]);
        expect("crates/x/src/y.rs", "fn f() {}\n", &[]);
        expect("crates/x/src/y.rs", &long, &["crates/x/src/y.rs"]);
        expect("crates/x/src/y/tests.rs", &long, &[]);
        expect("crates/x/src/y.rs", &format!("//! Y.\n{long}"), &[]);
    }

    #[test]
    fn forbidden_words_are_found_with_their_line() {
        let ignored = format!("//! X.\n    {}]\nfn f() {{}}\n", FORBIDDEN_IN_RUST[0].0);
        expect("crates/x/src/lib.rs", &ignored, &["crates/x/src/lib.rs:2"]);
        let panics = format!("{}(expected = \"x\")]\n", FORBIDDEN_IN_RUST[1].0);
        expect("crates/x/tests/y.rs", &panics, &["crates/x/tests/y.rs:1"]);
        expect("docs/x.md", &format!("a\n{LEFT_OVER}\n"), &["docs/x.md:2"]);
        expect("crates/x/src/y/mod.rs", "", &["crates/x/src/y/mod.rs"]);
    }

    #[test]
    fn blanks_and_machine_paths_are_found() {
        expect(
            "docs/x.md",
            "a \nb\t\nc\r\nd\n",
            &["docs/x.md:1", "docs/x.md:2", "docs/x.md:3"],
        );
        expect("LICENSE", "a \n", &[]);
        expect("docs/x.md", "cd /some/where/else\n", &["docs/x.md:1"]);
        expect(
            "Makefile",
            &format!("cp {}me/x .\n", HOMES[0]),
            &["Makefile:1"],
        );
        expect("docs/x.md", "/var/thanos/store\n", &[]);
    }
}
