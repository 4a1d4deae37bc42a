//! Matching, introspection, and reading and writing of matchers.

use proptest::prelude::*;

use super::*;

fn matcher(text: &str) -> Matcher {
    Matcher::parse(text).unwrap()
}

#[test]
fn operators() {
    for (text, passes, fails) in [
        ("a=b", &["b"][..], &["", "bb", "B"][..]),
        ("a!=b", &["", "c"], &["b"]),
        ("a=~b|c.*", &["b", "c", "cd", "c\n"], &["", "bb", "ac"]),
        ("a!~b.+", &["", "b", "ab"], &["bb"]),
        ("a=", &[""], &["b"]),
    ] {
        let m = matcher(text);
        assert!(
            passes.iter().all(|v| m.matches(v)) && !fails.iter().any(|v| m.matches(v)),
            "{m}"
        );
        let inverse = m.inverse();
        assert!(fails.iter().all(|v| inverse.matches(v)), "{inverse}");
        assert_eq!(
            (inverse.inverse(), m.matches_empty()),
            (m.clone(), m.matches(""))
        );
    }
}

#[test]
fn introspection() {
    let set = |text: &str| {
        matcher(text)
            .set_matches()
            .map(<[String]>::to_vec)
            .map(|s| s.join(","))
    };
    assert_eq!(set("a=b").as_deref(), Some("b"));
    assert_eq!(set("a=~c|b|c").as_deref(), Some("b,c"));
    assert_eq!(
        set("a=~foo[12]|(bar|baz)x?").as_deref(),
        Some("bar,barx,baz,bazx,foo1,foo2")
    );
    assert_eq!(set("a=~(?i)ab").as_deref(), Some("AB,Ab,aB,ab"));
    assert_eq!(set("a=~^(b|c)$").as_deref(), Some("b,c"));
    assert_eq!(set("a=~").as_deref(), Some(""));
    assert_eq!(
        (set("a=~b.*"), set("a!=b"), set("a!~b"), set(r"a=~\w")),
        (
            None,
            None,
            None,
            Some(
                "0,1,2,3,4,5,6,7,8,9,A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U,V,W,X,Y,Z,_,\
         a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z"
                    .to_owned()
            )
        )
    );
    for (text, prefix) in [
        ("a=~foo.*", "foo"),
        ("a=~foo[0-9]+", "foo"),
        ("a=~ab.*|ac", "a"),
        ("a!~foo.*", ""),
    ] {
        assert_eq!(matcher(text).prefix(), prefix, "{text}");
    }
    assert!(matcher("a=~.*").matches_all() && !matcher("a!~.*").matches_all());
    assert!(matcher("a=~(.*)|b").matches_all() && !matcher("a=~.+").matches_all());
    for text in ["a!=", "a=~.+", "a!~", "a!~^$"] {
        assert!(matcher(text).is_not_empty(), "{text}");
    }
    assert!(!matcher("a=").is_not_empty() && !matcher("a=~.*").is_not_empty());
}

#[test]
fn common_patterns_run_no_automaton() {
    for pattern in [
        "a",
        "a|b|c",
        "foo.*",
        ".*foo",
        ".*x.*",
        "foo.+bar",
        "(foo|bar).*",
        ".*(foo|bar).*",
        "foo.*|.*bar|baz",
        "^foo.*$",
        "a.*b.*c",
        "(?:prod|dev)-.+",
        "",
    ] {
        assert!(Regex::new(pattern).unwrap().is_fast(), "{pattern}");
    }
    assert!(!Regex::new("foo[0-9]+").unwrap().is_fast());
}

#[test]
fn a_long_list_of_alternatives_is_a_set() {
    let names: Vec<_> = (0..5000).map(|i| format!("pod-{i}")).collect();
    let m = Matcher::new(MatchOp::Regex, "pod", names.join("|")).unwrap();
    assert_eq!(m.set_matches().map(<[String]>::len), Some(5000));
    assert!(m.matches("pod-4999") && !m.matches("pod-5000"));
}

#[test]
fn selectors() {
    for (text, want) in [
        ("up", r#"__name__="up""#),
        ("up{}", r#"__name__="up""#),
        ("{}", ""),
        (
            r#" up { job = "a" , pod !~ 'b.*' , } "#,
            r#"__name__="up" job="a" pod!~"b.*""#,
        ),
        (
            r#"{"http.requests", "a b"="c\"\n\u00e9\x41\101"}"#,
            r#"__name__="http.requests" "a b"="c\"\néAA""#,
        ),
        (r"{a=`b\n`}", r#"a="b\\n""#),
        ("a=~b{2},c", r#"a=~"b{2},c""#),
        (r#"a="b""#, r#"a="b""#),
        (r#"__name__=~.+"#, r#"__name__=~".+""#),
    ] {
        let read = Matcher::parse_selector(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let read: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(read.join(" "), want, "{text}");
    }
}

#[test]
fn refuses_broken_selectors() {
    for text in [
        "",
        "=b",
        "{",
        "{a}",
        "{a=b}",
        r#"{a="b"#,
        r#"{a="b" c="d"}"#,
        r#"{a="b"}x"#,
        r#"a="b"x"#,
        r#"{a="\q"}"#,
        r#"{a="\xff"}"#,
        "{,}",
        r#"up{a="b"},"#,
        "a b",
    ] {
        let error = Matcher::parse_selector(text).unwrap_err().to_string();
        assert!(error.starts_with("not a selector: "), "{text}: {error}");
    }
    let error = Matcher::parse("pod=~a(").unwrap_err().to_string();
    assert_eq!(
        error,
        "matcher pod=~: error parsing regexp: missing closing ): `a(`"
    );
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(name in "\\PC{1,5}|.{1,5}", value: String) {
        let m = Matcher::new(MatchOp::NotEqual, name, value).unwrap();
        prop_assert_eq!(Matcher::parse(&m.to_string()), Ok(m.clone()));
        prop_assert_eq!(Matcher::parse_selector(&format!("{{{m}}}")), Ok(vec![m]));
    }
}
