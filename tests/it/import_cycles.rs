//! No two files import each other in a cycle, directly or through others.
//!
//! A module and the files below it count as one to each other: a file may use what its parent declares. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// A crate's sources, and the names under which its root is known inside of it.
const CRATES: &[&str] = &["src", "proto/src", "installer/src"];

/// A file's place in its crate: `["core", "hub"]` for `core/hub/mod.rs` as for `core/hub.rs`, nothing for `lib.rs`.
type Module = Vec<String>;

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let mut cycles = Vec::new();
    for folder in CRATES {
        let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        assert!(sources.len() > 10, "only {} files in {folder}", sources.len());
        cycles.extend(
            cycles_of(&imports(&sources))
                .into_iter()
                .map(|cycle| format!("{folder}: {cycle}")),
        );
    }
    assert!(cycles.is_empty(), "{}", cycles.join("\n"));
}

#[test]
fn the_import_reader_finds_cycles_only() {
    let found = |files: &[(&str, &str)]| {
        let sources = files
            .iter()
            .map(|(name, text)| (module(Path::new(name)), (*text).to_owned()))
            .collect();
        cycles_of(&imports(&sources))
    };
    let cycle = found(&[
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use super::d::{e, D};"),
        ("d.rs", "fn f() { crate::a::f() }"),
        ("c.rs", "use crate::d::D;"),
    ]);
    assert_eq!(cycle, ["a -> b -> d -> a"]);
    let none = found(&[
        ("a/mod.rs", "mod b; use self::b::B; use crate::c::C;"),
        ("a/b.rs", "use super::A;"),
        ("c.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
        ("d.rs", "// use crate::c::C;\nuse crate::{a::A, c};"),
    ]);
    assert!(none.is_empty(), "{none:?}");
}

fn module(file: &Path) -> Module {
    let mut parts: Module = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// Every file that is product code, with its text.
fn sources(root: &Path) -> BTreeMap<Module, String> {
    let (mut folders, mut files) = (vec![root.to_path_buf()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let is = |name: &str| path.file_name().is_some_and(|known| known == name);
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !["main.rs", "tests.rs"].into_iter().any(is)
            {
                let text = fs::read_to_string(&path).unwrap();
                files.insert(module(path.strip_prefix(root).unwrap()), text);
            }
        }
    }
    files
}

/// Which files each file imports, but those above and below it.
fn imports(sources: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let of = |(here, text): (&Module, &String)| {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{here:?}: {error}"));
        let mut paths = Vec::new();
        collect(tokens, here, &mut paths);
        let files = paths.iter().filter_map(|path| file_of(path, sources));
        let others = files.filter(|file| !file.starts_with(here) && !here.starts_with(file));
        (here.clone(), others.collect())
    };
    sources.iter().map(of).collect()
}

/// The file that a path leads to: the longest beginning of it that is one.
fn file_of(path: &[String], sources: &BTreeMap<Module, String>) -> Option<Module> {
    (1..=path.len())
        .rev()
        .map(|length| path[..length].to_vec())
        .find(|module| sources.contains_key(module))
}

/// Paths from the root of the crate that are named in a file, tests left out.
fn collect(tokens: TokenStream, here: &Module, paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if is_test(&tokens[at..]) {
            // The attribute, and what it stands before: up to its body, or its end.
            at += 2;
            while at < tokens.len() && !ends_item(&tokens[at]) {
                at += 1;
            }
            at += 1;
            continue;
        }
        let begins_path = at == 0 || !is_colon(&tokens[at - 1]);
        match &tokens[at] {
            TokenTree::Ident(word) if begins_path && is_path(&tokens, at + 1) => {
                let root = match word.to_string().as_str() {
                    "crate" => Some(Vec::new()),
                    "self" => Some(here.clone()),
                    "super" => Some(here[..here.len().saturating_sub(1)].to_vec()),
                    _ => None,
                };
                if let Some(root) = root {
                    branches(&tokens[at + 3..], &root, paths);
                }
            }
            TokenTree::Group(group) => collect(group.stream(), here, paths),
            _ => {}
        }
        at += 1;
    }
}

/// Every path that continues from `base` with these tokens, through groups.
fn branches(tokens: &[TokenTree], base: &[String], paths: &mut Vec<Vec<String>>) {
    match tokens.first() {
        Some(TokenTree::Ident(word)) => {
            let mut path = base.to_vec();
            match word.to_string().as_str() {
                "super" => drop(path.pop()),
                "self" => {}
                word => path.push(word.to_owned()),
            }
            if is_path(tokens, 1) {
                branches(&tokens[3..], &path, paths);
            } else {
                paths.push(path);
            }
        }
        Some(TokenTree::Group(group)) => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            for branch in
                inside.split(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','))
            {
                branches(branch, base, paths);
            }
        }
        _ => paths.push(base.to_vec()),
    }
}

fn is_test(tokens: &[TokenTree]) -> bool {
    matches!(
        tokens,
        [TokenTree::Punct(mark), TokenTree::Group(attribute), ..]
            if mark.as_char() == '#' && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
    )
}

fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    }
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(mark) if mark.as_char() == ':')
}

fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    [at, at + 1]
        .iter()
        .all(|at| tokens.get(*at).is_some_and(is_colon))
}

/// One cycle for each set of files that reach each other, reported by its shortest path from the first of them.
fn cycles_of(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut reported = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in imports.keys() {
        if reported.contains(start) {
            continue;
        }
        if let Some(cycle) = path_back(imports, start) {
            reported.extend(cycle.iter().cloned());
            let names: Vec<_> = cycle.iter().map(|module| module.join("::")).collect();
            cycles.push(names.join(" -> "));
        }
    }
    cycles
}

/// The shortest way from a file back to itself.
fn path_back(imports: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> Option<Vec<Module>> {
    let mut came_from: BTreeMap<Module, Module> = BTreeMap::new();
    let mut next = vec![start.clone()];
    while !next.is_empty() {
        let mut later = Vec::new();
        for from in next {
            for to in imports.get(&from).into_iter().flatten() {
                if to == start {
                    let mut way = vec![start.clone()];
                    let mut at = from.clone();
                    while at != *start {
                        way.insert(0, at.clone());
                        at = came_from[&at].clone();
                    }
                    way.insert(0, start.clone());
                    return Some(way);
                }
                if to != start && !came_from.contains_key(to) {
                    came_from.insert(to.clone(), from.clone());
                    later.push(to.clone());
                }
            }
        }
        next = later;
    }
    None
}
