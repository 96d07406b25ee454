//! The reader of JSON against `JSON.parse` itself: the same texts are accepted, and pointers find the same values.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use longwire::wire::json::{Document, Value, ValueKind, is_valid};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

/// Reads `[text, [pointer, ...]]` a line and answers with what `JSON.parse` makes of it.
const PARSE: &str = r#"
const units = (text) => [...Array(text.length).keys()].map((at) => text.charCodeAt(at).toString(16)).join(".");
const described = (value, depth) => {
  if (value === undefined) return "-";
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return `"${units(value)}`;
  if (typeof value === "number") {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return bytes.toString("hex");
  }
  if (depth > 20) return "...";
  if (Array.isArray(value)) return `[${value.map((one) => described(one, depth + 1)).join()}]`;
  return `{${Object.keys(value).map((key) => `${units(key)}:${described(value[key], depth + 1)}`).sort().join()}}`;
};
const step = (value, step) => {
  if (value === null || typeof value !== "object") return undefined;
  const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
  if (Array.isArray(value)) return /^(0|[1-9][0-9]*)$/.test(name) ? value[name] : undefined;
  return Object.hasOwn(value, name) ? value[name] : undefined;
};
const at = (value, pointer) => pointer === "" ? value : pointer.slice(1).split("/").reduce(step, value);
const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const [text, pointers] = JSON.parse(line);
  let value;
  try { value = JSON.parse(text); } catch { console.log("no"); continue; }
  console.log(pointers.map((pointer) => described(at(value, pointer), 0)).join(" "));
}
"#;

/// The result of our parser, in the same notation.
fn ours(text: &str, pointers: &[String]) -> String {
    let Ok(document) = Document::parse(text) else {
        assert!(!is_valid(text.as_bytes()), "{text}");
        return "no".to_owned();
    };
    assert!(is_valid(text.as_bytes()), "{text}");
    let found: Vec<String> = pointers
        .iter()
        .map(|pointer| {
            let value = document.root().pointer(pointer);
            value.map_or_else(|| "-".to_owned(), |value| described(value, 0))
        })
        .collect();
    found.join(" ")
}

fn described(value: Value<'_>, depth: usize) -> String {
    match value.kind() {
        ValueKind::Null | ValueKind::True | ValueKind::False => value.raw().to_owned(),
        ValueKind::String => format!("\"{}", units(value)),
        ValueKind::Number => format!("{:016x}", value.to_number().unwrap().to_bits()),
        _ if depth > 20 => "...".to_owned(),
        ValueKind::Array => {
            let all: Vec<String> = value.elements().map(|one| described(one, depth + 1)).collect();
            format!("[{}]", all.join(","))
        }
        ValueKind::Object => {
            let mut all: Vec<String> = value
                .members()
                .map(|(key, _)| {
                    let found = value.get(key.to_js_string().unwrap().as_bytes()).unwrap();
                    format!("{}:{}", units(key), described(found, depth + 1))
                })
                .collect();
            all.sort();
            all.dedup();
            format!("{{{}}}", all.join(","))
        }
    }
}

/// The UTF-16 code units of a string. It is WTF-8: UTF-8 in which halves of surrogate pairs stand like characters.
fn units(value: Value<'_>) -> String {
    let string = value.to_js_string().unwrap();
    let mut units = Vec::new();
    let mut bytes = string.as_bytes().iter().map(|byte| u32::from(*byte));
    while let Some(first) = bytes.next() {
        let (mut code, more) = match first {
            0..0x80 => (first, 0),
            0x80..0xe0 => (first & 0x1f, 1),
            0xe0..0xf0 => (first & 0xf, 2),
            _ => (first & 7, 3),
        };
        for byte in bytes.by_ref().take(more) {
            code = code << 6 | byte & 0x3f;
        }
        match code.checked_sub(0x10000) {
            Some(rest) => units.extend([0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff)]),
            None => units.push(code),
        }
    }
    let units: Vec<String> = units.iter().map(|unit| format!("{unit:x}")).collect();
    units.join(".")
}

fn texts() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "a",
        "b",
        "",
        "0",
        "1",
        "__proto__",
        "a/b",
        "~",
        "\\u0061",
        "\\ud83d",
        "\\ud83d\\ude00",
        "😀",
        "é",
    ]);
    let piece = prop::sample::select(vec![
        "x",
        "\\\"",
        "\\\\",
        "\\/",
        "\\n",
        "\\ud83d",
        "\\ude00",
        "\\uD83D\\uDE00",
        "\\u0000",
        "é",
        "\u{2028}",
        "😀",
    ]);
    let string = prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    let number = prop::sample::select(vec![
        "0",
        "-0",
        "1",
        "1.0",
        "1e999",
        "-1e999",
        "1e-999",
        "12345678901234567890123456789012345678901",
        "0.1",
        "5e-324",
        "9007199254740993",
        "1E+2",
        "2.2250738585072011e-308",
    ]);
    let leaf = prop_oneof![
        string,
        number.prop_map(str::to_owned),
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    let blank = prop::sample::select(vec!["", "", " ", "\n", "\t\r"]);
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let (key, blank) = (key.clone(), blank.clone());
        let member = (key, blank.clone(), inner.clone())
            .prop_map(|(key, blank, value)| format!("\"{key}\"{blank}:{value}{blank}"));
        prop_oneof![
            prop::collection::vec(member, 0..24).prop_map(|members| format!("{{{}}}", members.join(","))),
            (blank, prop::collection::vec(inner, 0..24))
                .prop_map(|(blank, all)| format!("[{blank}{}{blank}]", all.join(","))),
        ]
    })
}

/// A text, perhaps with a few characters changed, and pointers that may lead somewhere.
fn cases() -> impl Strategy<Value = (String, Vec<String>)> {
    let bend = (
        any::<prop::sample::Index>(),
        prop::sample::select(vec![
            "", "\"", "{", "}", "[", "]", ",", ":", "\\", "\\u", "d83d", "0", "-", ".", "e", " ", "\u{feff}",
            "\u{b}", "\u{1}", "n",
        ]),
    );
    let step = prop::sample::select(vec![
        "a",
        "b",
        "",
        "0",
        "1",
        "2",
        "20",
        "01",
        "__proto__",
        "a~1b",
        "~0",
        "😀",
        "-",
    ]);
    let pointer = prop::collection::vec(step, 0..4).prop_map(|steps| {
        steps
            .iter()
            .fold(String::new(), |all, step| format!("{all}/{step}"))
    });
    let bends = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(bend, 1..3)];
    (texts(), bends, prop::collection::vec(pointer, 1..6)).prop_map(|(text, bends, pointers)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, with) in bends {
            let at = at.index(chars.len() + 1);
            let end = (at + 1).min(chars.len());
            chars.splice(at..end, with.chars());
        }
        (chars.into_iter().collect(), pointers)
    })
}

#[test]
fn json_parse_accepts_the_same_texts_and_finds_the_same_values() {
    let mut runner = TestRunner::new(Config::default());
    let strategy = cases();
    let mut all: Vec<(String, Vec<String>)> = (0..4000)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect();
    let deep = |open: &str, close: &str| format!("{}7{}", open.repeat(10_000), close.repeat(10_000));
    all.push((deep("[", "]"), vec!["/0".repeat(10_000), "/0".repeat(10_001)]));
    all.push((deep("{\"a\":", "}"), vec!["/a".repeat(10_000), "/b".to_owned()]));
    all.push((deep("[", "}"), vec![String::new()]));

    let mut input = String::new();
    for (text, pointers) in &all {
        writeln!(input, "{}", serde_json::json!([text, pointers])).unwrap();
    }
    let node = Command::new("node")
        .args(["-e", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut node) = node else {
        return crate::skip::skip("there is no `node`");
    };
    let mut stdin = node.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), all.len());
    let (mut accepted, mut refused) = (0, 0);
    for ((text, pointers), theirs) in all.iter().zip(answers) {
        assert_eq!(ours(text, pointers), theirs, "{text:.2000} at {pointers:.200?}");
        if theirs == "no" {
            refused += 1
        } else {
            accepted += 1
        }
    }
    assert!(
        accepted > 1000 && refused > 500,
        "{accepted} accepted, {refused} refused"
    );
}
