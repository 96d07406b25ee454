//! Checks the table of layers, which module may import which, by reading every file under `src` and `proto/src`.
//!
//! It does not check what is done across a permitted import; that is for readers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Each module of the crate and the modules it may name, highest row first. The same table, with reasons, is in
/// `docs/ARCHITECTURE.md`.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main", &["host", "cli"]),
    (
        "cli",
        &[
            "broker",
            "host",
            "transport",
            "settings",
            "journal",
            "core",
            "local",
            "wire",
            "clock",
            "paths",
            "log",
            "crash",
            "version",
        ],
    ),
    (
        "broker",
        &[
            "transport",
            "settings",
            "journal",
            "core",
            "local",
            "wire",
            "clock",
            "paths",
            "log",
            "crash",
            "hardening",
            "version",
        ],
    ),
    (
        "host",
        &["local", "wire", "clock", "paths", "log", "hardening", "version"],
    ),
    ("transport", &["core", "wire", "paths"]),
    ("settings", &["core", "wire", "paths"]),
    ("journal", &["core", "wire", "paths", "crash"]),
    ("core", &["wire"]),
    ("local", &["paths"]),
    ("wire", &[]),
    ("clock", &[]),
    ("paths", &[]),
    ("log", &[]),
    ("crash", &[]),
    ("hardening", &[]),
    ("version", &["wire"]),
    ("lib", &[]),
];

/// All that `wire` and `core` are built from: nothing among it can open a socket or a file, start a thread or read a clock.
/// What they take of the standard library is for `proto/clippy.toml`.
const PROTO_USES: &[&str] = &[
    "base64",
    "byteorder",
    "bytes",
    "itoa",
    "semver",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "thiserror",
    "tracing",
    "url",
];

#[test]
fn modules_import_only_what_their_row_allows() {
    let mut faults = Vec::new();
    for file in sources() {
        let module = &file.path[0];
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| name == module) else {
            faults.push(format!("{}: `{module}` has no row in the table", file.name));
            continue;
        };
        for named in modules_named(&file) {
            if named != *module && !allowed.contains(&named.as_str()) {
                faults.push(format!("{}: `{module}` may not name `{named}`", file.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn core_and_wire_have_no_dependency_with_side_effects() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let used: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().collect();
    assert_eq!(used, PROTO_USES);
    assert!(!manifest.contains_key("target") && !manifest.contains_key("build-dependencies"));
}

/// Each protocol is described by its own module: a new protocol must change nothing else in `core`.
#[test]
fn only_dialects_name_the_protocols() {
    let is_part = |file: &Source| {
        file.path[0] == "core"
            && file.path.get(1).is_none_or(|part| part != "dialect")
            && !file.name.ends_with("tests.rs")
    };
    let parts: Vec<_> = sources_of("proto/src").into_iter().filter(is_part).collect();
    assert!(parts.len() > 50, "only {} files", parts.len());
    for file in parts {
        let text = file.text.replace("Protocol::ALL", "");
        for word in ["Protocol::", "SocketIo", "options.socketio", "options.poll"] {
            assert!(!text.contains(word), "{} names `{word}`", file.name);
        }
    }
}

#[test]
fn every_file_opens_with_a_module_comment() {
    let faults: Vec<_> = sources()
        .into_iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.name)
        .collect();
    assert!(
        faults.is_empty(),
        "no `//!` on the first line of: {}",
        faults.join(", ")
    );
}

/// The reader itself is tried on what it must see and on what it must not see.
#[test]
fn the_import_reader_finds_every_form_of_import() {
    for (text, expected) in [
        ("use crate::wire::frame::Frame;", &["wire"][..]),
        ("use crate::{wire::{code, part}, clock as c};", &["wire", "clock"]),
        (
            "fn f() { tracing::debug!(\"{}\", crate::paths::home()) }",
            &["paths"],
        ),
        ("use super::super::local::Endpoint;", &["local"]),
        ("mod tests { use super::super::session::Session; }", &[]),
        ("mod tests { use super::super::super::log::start; }", &["log"]),
        ("// crate::wire\nconst TEXT: &str = \"crate::wire\";", &[]),
        ("use super::log::Log;", &[]),
    ] {
        let file = Source::new("core/hub.rs".into(), text.to_owned());
        assert_eq!(modules_named(&file), expected, "{text}");
    }
    let main = Source::new("main.rs".into(), "fn main() { longwire::host::run() }".to_owned());
    assert_eq!(modules_named(&main), ["host"]);
}

/// One file of `src` or `proto/src`, parsed as far as tokens.
struct Source {
    name: String,
    /// The module the file is, `["core", "hub"]` for `core/hub.rs` and `["core"]` for `core/mod.rs`.
    path: Vec<String>,
    text: String,
    tokens: TokenStream,
}

impl Source {
    fn new(file: PathBuf, text: String) -> Self {
        let name = file.display().to_string();
        let mut path: Vec<String> = file
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if path.len() > 1 && path.last().is_some_and(|last| last == "mod") {
            path.pop();
        }
        let tokens = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            name,
            path,
            text,
            tokens,
        }
    }
}

/// Every Rust file under `src` and `proto/src`, in a stable order.
fn sources() -> Vec<Source> {
    ["src", "proto/src"].into_iter().flat_map(sources_of).collect()
}

fn sources_of(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut folders, mut files) = (vec![root.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).unwrap().to_path_buf();
                files.insert(inside, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(
        files.len() > 3,
        "only {} files under {}",
        files.len(),
        root.display()
    );
    files
        .into_iter()
        .map(|(path, text)| Source::new(path, text))
        .collect()
}

/// The modules of the crate's root that a file names, in order: after `crate::`, `longwire::`, or enough `super::`.
fn modules_named(file: &Source) -> Vec<String> {
    let mut named = Vec::new();
    // In the binary `crate` is the binary itself, and `longwire` the library; in the library it is the other way about.
    let root = if file.path == ["main"] {
        "longwire"
    } else {
        "crate"
    };
    let depth = if ["main", "lib"].contains(&file.path[0].as_str()) {
        0
    } else {
        file.path.len()
    };
    collect(file.tokens.clone(), root, depth, &mut named);
    named
}

fn collect(tokens: TokenStream, root: &str, depth: usize, named: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let here = at;
        at += 1;
        match &tokens[here] {
            TokenTree::Group(group) => {
                let inside_module = here >= 2 && is(&tokens[here - 2], "mod");
                collect(group.stream(), root, depth + usize::from(inside_module), named);
            }
            token if is(token, root) && is_path(&tokens, at) => {
                at += 2;
                heads(&tokens[at..], named);
            }
            token if is(token, "super") => {
                let mut climbed = 1;
                while is_path(&tokens, at) && tokens.get(at + 2).is_some_and(|token| is(token, "super")) {
                    climbed += 1;
                    at += 3;
                }
                if climbed >= depth && is_path(&tokens, at) {
                    at += 2;
                    heads(&tokens[at..], named);
                }
            }
            _ => {}
        }
    }
}

/// The first segment of what follows a path's root; of each branch when that is a `{...}` group.
fn heads(tokens: &[TokenTree], named: &mut Vec<String>) {
    match tokens.first() {
        Some(TokenTree::Ident(ident)) => named.push(ident.to_string()),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inside: Vec<_> = group.stream().into_iter().collect();
            for branch in
                inside.split(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','))
            {
                heads(branch, named);
            }
        }
        _ => {}
    }
}

fn is(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(at) && colon(at + 1)
}
