//! Go's Unicode tables, recorded.

use super::*;

/// Lines of a name, a number of code points, and a hash of them: every category, script and alias
/// as `\p{…}`, with and without `(?i)`; all pairs of cases; what is printable.
const RECORDED: &str = include_str!("../../testdata/go-unicode.tsv");

fn fnv(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn summary(class: &ClassUnicode) -> (usize, String) {
    let (mut count, mut text) = (0, String::new());
    for range in class.ranges() {
        // The records break ranges where the surrogates lie.
        let (low, high) = (u32::from(range.start()), u32::from(range.end()));
        let parts: &[_] = if low < 0xD800 && high > 0xDFFF {
            &[(low, 0xD7FF), (0xE000, high)]
        } else {
            &[(low, high)]
        };
        for (low, high) in parts {
            count += (high - low + 1) as usize;
            text += &format!("{low:x}-{high:x},");
        }
    }
    (count, fnv(&text))
}

fn of_name(name: &str) -> (usize, String) {
    let (folds, name) = name
        .strip_prefix("(?i)")
        .map_or((false, name), |name| (true, name));
    let name = name
        .strip_prefix("\\p{")
        .and_then(|name| name.strip_suffix('}'))
        .unwrap();
    let class = class(name).unwrap();
    summary(&if folds && has_folds(name) {
        fold(class)
    } else {
        class
    })
}

fn of_all_folds() -> (usize, String) {
    let (mut count, mut text) = (0, String::new());
    for c in '\0'..=char::MAX {
        let mut newer = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
        newer.case_fold_simple();
        if newer.literal().is_some() {
            continue;
        }
        let cases: Vec<_> = folded(c)
            .ranges()
            .iter()
            .flat_map(|r| r.start()..=r.end())
            .collect();
        if cases.len() > 1 {
            count += 1;
            text += &format!("{:x}:", u32::from(c));
            cases
                .iter()
                .for_each(|c| text += &format!("{:x},", u32::from(*c)));
        }
    }
    (count, fnv(&text))
}

fn of_printable() -> (usize, String) {
    let mut class = printable();
    class.push(ClassUnicodeRange::new(' ', ' '));
    summary(&class)
}

#[test]
fn tables_are_those_of_go() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let got = match fields[0] {
            "folds" => of_all_folds(),
            "printable" => of_printable(),
            name => of_name(name),
        };
        if got != (fields[1].parse().unwrap(), fields[2].to_owned()) {
            wrong.push(format!("{line}: {got:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
