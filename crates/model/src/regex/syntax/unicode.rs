//! Unicode as Go 1.21 to 1.26 know it: version 15.0.
//!
//! The tables are those of `regex-syntax`, which are newer, cut back to the code points that were
//! assigned in version 15.0. `testdata/go-unicode.tsv` proves the result equal to Go's tables.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The code points named `name`, in Go's spelling: a category, one of its long names, a script,
/// `Any`, `Assigned`, `ASCII`. Case, blanks, `_` and `-` do not count; but of the scripts with two
/// words the exact name is wanted (Go 1.25 lost them, Prometheus' fork of its package has them).
pub(super) fn class(name: &str) -> Option<ClassUnicode> {
    let key = canonical(name);
    let listed = |list: &str| list.split_ascii_whitespace().any(|n| n == key);
    match key.as_str() {
        "any" => Some(ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])),
        "ascii" => Some(ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7F')])),
        "assigned" => {
            let mut class = class("cn")?;
            class.negate();
            Some(class)
        }
        // Surrogates occur in no string.
        "cs" | "surrogate" => Some(ClassUnicode::empty()),
        // `Nl` and the like may also be the beginning of the name of a script.
        _ if listed(CATEGORIES) || listed(CATEGORY_NAMES) => {
            Some(as_of_version_15(&format!("gc={key}")))
        }
        _ => {
            let script = SCRIPTS
                .split_ascii_whitespace()
                .find(|script| *script == name || script.eq_ignore_ascii_case(&key))?;
            Some(as_of_version_15(&format!("sc={script}")))
        }
    }
}

/// `class` with all that differs from a member of it only in case.
pub(super) fn fold(class: ClassUnicode) -> ClassUnicode {
    if class
        .ranges()
        .first()
        .is_some_and(|r| r.start() <= 'A' && r.end() == char::MAX)
    {
        return class;
    }
    let known = assigned_by_version_15();
    let mut folded = class.clone();
    folded.intersect(known);
    folded.case_fold_simple();
    folded.intersect(known);
    folded.difference(&ClassUnicode::new(
        FOLDS_SINCE_15_1.map(|c| ClassUnicodeRange::new(c, c)),
    ));
    folded.union(&class);
    folded
}

/// `c` in all its cases.
pub(super) fn folded(c: char) -> ClassUnicode {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    class.case_fold_simple();
    // All that folds to ASCII is as old as Unicode; most of the rest does not fold.
    if c.is_ascii() || class.literal().is_some() {
        return class;
    }
    fold(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
}

/// What Go's `unicode.IsPrint` accepts, but for the blank.
pub(crate) fn printable() -> ClassUnicode {
    let mut printable = ClassUnicode::empty();
    for category in ["l", "m", "n", "p", "s"] {
        printable.union(&as_of_version_15(&format!("gc={category}")));
    }
    printable
}

/// Whether Go takes `c` for a letter, a decimal digit, or `_`.
pub(crate) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c == '_' || c.is_ascii_alphanumeric();
    }
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    let mut word = as_of_version_15("gc=l");
    word.union(&as_of_version_15("gc=nd"));
    class.intersect(&word);
    !class.ranges().is_empty()
}

/// What has the property, as of version 15.0.
fn as_of_version_15(property: &str) -> ClassUnicode {
    let mut class = table(property);
    let known = assigned_by_version_15();
    let mut unknown = known.clone();
    unknown.negate();
    class.intersect(known);
    let moved = ClassUnicode::new([ClassUnicodeRange::new(MOVED, MOVED)]);
    match property {
        "gc=mn" | "gc=nonspacingmark" => class.union(&moved),
        "gc=mc" | "gc=spacingmark" => class.difference(&moved),
        _ => {}
    }
    if matches!(property, "gc=c" | "gc=cn" | "gc=other" | "gc=unassigned") {
        class.union(&unknown);
    }
    class
}

/// Whether Go folds the cases of the class named `name`: its table for `LC` is missing.
pub(super) fn has_folds(name: &str) -> bool {
    let key = canonical(name);
    !matches!(key.as_str(), "lc" | "casedletter")
}

/// `name` as names are compared.
fn canonical(name: &str) -> String {
    let counts = |c: &char| !matches!(c, '_' | '-' | ' ');
    name.chars()
        .filter(counts)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Pairs that differ only in case since version 15.1.
const FOLDS_SINCE_15_1: [char; 6] = [
    '\u{390}', '\u{3B0}', '\u{1FD3}', '\u{1FE3}', '\u{FB05}', '\u{FB06}',
];

/// A nonspacing mark in version 15.0, a spacing one in 16.0.
const MOVED: char = '\u{1171E}';

/// What version 15.0 assigned, private use and noncharacters included.
fn assigned_by_version_15() -> &'static ClassUnicode {
    static ASSIGNED: LazyLock<ClassUnicode> = LazyLock::new(|| table("age=15.0"));
    &ASSIGNED
}

fn table(property: &str) -> ClassUnicode {
    let hir = regex_syntax::parse(&format!("[\\p{{{property}}}]"));
    debug_assert!(hir.is_ok(), "{property} is in the tables");
    match hir.map(regex_syntax::hir::Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        // One code point alone comes as a literal.
        Ok(HirKind::Literal(literal)) => {
            let text = std::str::from_utf8(&literal.0).unwrap_or_default();
            ClassUnicode::new(text.chars().map(|c| ClassUnicodeRange::new(c, c)))
        }
        _ => ClassUnicode::empty(),
    }
}

/// Go's categories, in lower case.
const CATEGORIES: &str = "\
    c cc cf cn co cs l lc ll lm lo lt lu m mc me mn n nd nl no p pc pd pe pf pi po ps s sc sk sm \
    so z zl zp zs";

/// Go's long names of categories, in lower case, without `_`.
const CATEGORY_NAMES: &str = "\
    casedletter closepunctuation combiningmark connectorpunctuation control currencysymbol \
    dashpunctuation decimalnumber enclosingmark finalpunctuation format initialpunctuation letter \
    letternumber lineseparator lowercaseletter mark mathsymbol modifierletter modifiersymbol \
    nonspacingmark number openpunctuation other otherletter othernumber otherpunctuation \
    othersymbol paragraphseparator privateuse punctuation separator spaceseparator spacingmark \
    surrogate symbol titlecaseletter unassigned uppercaseletter cntrl digit punct";

/// Go's scripts.
const SCRIPTS: &str = "\
    Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak \
    Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian \
    Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot \
    Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs \
    Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi \
    Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited \
    Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li \
    Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A \
    Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen \
    Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs \
    Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa \
    Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian \
    Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage \
    Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic \
    Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo \
    Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa \
    Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho \
    Warang_Citi Yezidi Yi Zanabazar_Square";

#[cfg(test)]
mod tests;
