//! What is accepted, what pointers find, and that depth costs no stack. Against `JSON.parse` itself: `tests/it/json.rs`.

use super::*;

fn at(text: &str, pointer: &str) -> Option<String> {
    let document = Document::parse(text).unwrap();
    document
        .root()
        .pointer(pointer)
        .map(|value| value.raw().to_owned())
}

#[test]
fn everything_json_parse_accepts_is_accepted() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [
        r#""\ud83d""#,
        "1e999",
        &"9".repeat(400),
        &deep,
        " \t\r\n{ } ",
        "\"\u{2028}\u{7f}\"",
        r#"{"a":1,"a":2}"#,
        "-0.0e-0",
    ] {
        assert!(is_valid(text.as_bytes()), "{text:.40}");
        assert!(Document::parse(text).is_ok(), "{text:.40}");
    }
    for text in [
        "",
        " ",
        "01",
        "+1",
        ".5",
        "5.",
        "1e",
        "-",
        "nul",
        "NaN",
        "'a'",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "[1}",
        "{\"a\":1]",
        "1 1",
        "\u{feff}1",
        "\u{a0}1",
        "[",
        "{\"a\":1",
        "]",
        "/**/1",
    ] {
        assert!(!is_valid(text.as_bytes()), "{text}");
    }
    assert!(!is_valid(b"\"\xff\""));
}

#[test]
fn pointers_find_values_verbatim() {
    let text = r#"{"a":[0,{"b":1.0},"x"],"":5,"m~n":6,"c/d":7,"a\u0062":8,"\ud83d":9,"two":1,"two":2}"#;
    for (pointer, found) in [
        ("/a/1", r#"{"b":1.0}"#),
        ("/a/1/b", "1.0"),
        ("/", "5"),
        ("/m~0n", "6"),
        ("/c~1d", "7"),
        ("/ab", "8"),
        ("/two", "2"),
    ] {
        assert_eq!(at(text, pointer).as_deref(), Some(found), "{pointer}");
    }
    assert_eq!(at(text, "").as_deref(), Some(text));
    for pointer in ["a", "/a/01", "/a/+1", "/a/-", "/a/3", "/a/1/b/c", "/none"] {
        assert_eq!(at(text, pointer), None, "{pointer}");
    }
    let document = Document::parse(text).unwrap();
    let half = document.root().pointer([b'/', 0xed, 0xa0, 0xbd]).unwrap();
    assert_eq!(half.raw(), "9");
}

#[test]
fn large_objects_and_arrays_are_searched_through_an_index() {
    let members: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":{n}")).collect();
    let text = format!(
        "{{{},\"k7\":\"last\",\"list\":[{}]}}",
        members.join(","),
        "[0],".repeat(99) + "1"
    );
    assert_eq!(at(&text, "/k999").as_deref(), Some("999"));
    assert_eq!(at(&text, "/k7").as_deref(), Some("\"last\""));
    assert_eq!(at(&text, "/list/99").as_deref(), Some("1"));
    assert_eq!(at(&text, "/list/98/0").as_deref(), Some("0"));
    assert_eq!(at(&text, "/list/100"), None);
    assert_eq!(at(&text, "/k1000"), None);
}

#[test]
fn equal_values_have_one_canonical_text() {
    let canonical = |text: &str| Document::parse(text).unwrap().root().canonical();
    assert_eq!(
        canonical(r#" { "b" : [ 1.0 , null ], "a":"\u0041", "b":[10e-1,{}]} "#),
        r#"{"a":"A","b":[1,{}]}"#
    );
    assert_eq!(canonical(r#"["\ud83d",true]"#), r#"["\ud83d",true]"#);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(canonical(&deep), deep);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(20_000), "}".repeat(20_000));
    assert_eq!(canonical(&deep), deep);
}

#[test]
fn numbers_are_converted_as_in_javascript() {
    let number = |text: &str| Document::parse(text).unwrap().root().to_number();
    assert_eq!(number("15000.0"), Some(15000.0));
    assert_eq!(number("\" 15000 \""), Some(15000.0));
    assert_eq!(number("1e999"), Some(f64::INFINITY));
    assert_eq!(number("\"x\""), None);
    assert_eq!(number("null"), None);
}
