//! Parses settings files: unknown keys and wrong values are errors with their line and column.
//!
//! A later file cannot override what an earlier one sets. It knows no key; the table in `keys` does. Single values are in
//! `value`, certificates in `tls`.

mod tls;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::core::rules::{DialRule, ExtensionRule, MemoryRule, Rules};

use super::keys::{DEFAULT, Draft, EXTENSION, KEYS, RULES, RuleKey, SECTIONS, SettingKind, SettingValue};
use super::{BrokerSection, JournalSection, SettingEntry, SettingSource, Settings, SettingsFault, Who};

use self::value::{masked, origin, taken};

type Table<'a> = &'a DeTable<'a>;
/// The tables of one section, with the number of the layer that each is from.
type Section<'a> = Vec<(usize, Table<'a>)>;
type GivenValue<'a> = (usize, &'a Spanned<DeValue<'a>>);

/// Stands for a password.
pub(super) const MASK: &str = ":***@";

/// Keys that mean something only together: they are taken from one file.
const TOGETHER: &[&[&str]] = &[
    &["proxy.url", "proxy.except"],
    &["tls.client-certificate", "tls.client-key", "tls.client-hosts"],
];

/// One file: whose, its contents, and its path.
pub(super) struct Layer<'a> {
    pub(super) who: Who,
    pub(super) text: &'a str,
    pub(super) folder: &'a Path,
}

/// Reads the text of a settings file that lies in `folder`.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn parse(text: &str, folder: &Path) -> Result<Settings, Vec<SettingsFault>> {
    let who = Who::User;
    parse_layers(&[Layer { who, text, folder }]).map_err(|(_, faults)| faults)
}

/// Reads several files, of which the first counts most.
///
/// # Errors
/// The first file that something is wrong with, and everything that is.
pub(super) fn parse_layers(layers: &[Layer<'_>]) -> Result<Settings, (usize, Vec<SettingsFault>)> {
    let mut reader = SettingsReader {
        layers,
        faults: Vec::new(),
        entries: Vec::new(),
    };
    let mut files = Vec::new();
    for (layer, file) in layers.iter().enumerate() {
        match DeTable::parse(file.text) {
            Ok(table) => files.push((layer, table)),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                reader.fault(&TextPosition { layer, span }, error.message());
            }
        }
    }
    let tables = files.iter().map(|(layer, table)| (*layer, table.get_ref()));
    let read = reader.files(&tables.collect());
    let SettingsReader { faults, entries, .. } = reader;
    let first = faults.iter().map(|(layer, _)| *layer).min();
    match (read, first) {
        (Some(settings), None) => Ok(Settings { entries, ..settings }),
        (_, first) => {
            let first = first.unwrap_or_default();
            let faults = faults.into_iter().filter(|(layer, _)| *layer == first);
            let mut faults: Vec<_> = faults.map(|(_, fault)| fault).collect();
            faults.sort_by_key(|fault| (fault.line, fault.column));
            Err((first, faults))
        }
    }
}

/// A piece of one of the files.
#[derive(Debug, Clone, Default)]
struct TextPosition {
    layer: usize,
    span: Range<usize>,
}

struct SettingsReader<'a> {
    layers: &'a [Layer<'a>],
    faults: Vec<(usize, SettingsFault)>,
    entries: Vec<SettingEntry>,
}

/// The section of this name in each file that has it.
fn section<'a>(files: &Section<'a>, name: &str) -> Section<'a> {
    let tables = files
        .iter()
        .filter_map(|(layer, file)| match file.get(name)?.get_ref() {
            DeValue::Table(table) => Some((*layer, table)),
            _ => None,
        });
    tables.collect()
}

/// The value of a key in the first of these tables that has it.
fn given<'a>(tables: &Section<'a>, key: &str) -> Option<GivenValue<'a>> {
    tables
        .iter()
        .find_map(|(layer, table)| Some((*layer, table.get(key)?)))
}

/// The same for a key of the whole broker, with regard to those that are taken together.
fn given_whole<'a>(tables: &Section<'a>, section: &str, key: &str) -> Option<GivenValue<'a>> {
    let full = format!("{section}.{key}");
    let Some(group) = TOGETHER.iter().find(|group| group.contains(&full.as_str())) else {
        return given(tables, key);
    };
    let has_any = |table: Table<'_>| {
        let mut names = group.iter().filter_map(|name| Some(name.split_once('.')?.1));
        names.any(|name| table.contains_key(name))
    };
    let (layer, table) = tables.iter().find(|(_, table)| has_any(table))?;
    Some((*layer, table.get(key)?))
}

impl SettingsReader<'_> {
    fn files(&mut self, files: &Section<'_>) -> Option<Settings> {
        self.sections(files);
        let mut draft = Draft::default();
        for key in KEYS {
            let (name, key_name) = key.name.split_once('.')?;
            let given = given_whole(&section(files, name), name, key_name);
            let (value, source, place) = self.value(given, key.kind, key.default)?;
            self.entry(key.name.to_owned(), &value, source);
            if let Err(why) = (key.set)(&mut draft, value) {
                self.fault(&place, format!("`{}`: {why}", key.name));
            }
        }
        let rules = self.rules(files, &draft)?;
        let tls = self.tls(&section(files, "tls"), &draft);
        Some(Settings {
            broker: BrokerSection { idle: draft.idle() },
            journal: JournalSection {
                session: draft.session_megabytes << 20,
                origin: draft.extension_megabytes << 20,
                total: draft.total_megabytes << 20,
                journals: usize::try_from(draft.extension_journals).ok()?,
            },
            tls,
            proxy: draft.proxy,
            update: draft.update,
            rules,
            entries: Vec::new(),
            exposed: Vec::new(),
        })
    }

    /// Finds what is no section, and what is no key of one.
    fn sections(&mut self, files: &Section<'_>) {
        let known = SECTIONS.iter().map(|(section, _)| *section).chain([EXTENSION]);
        let known: Vec<_> = known.collect();
        for (layer, file) in files {
            for (name, value) in *file {
                if !known.contains(&name.get_ref().as_ref()) {
                    self.unknown(*layer, name, "section", &known);
                } else if !matches!(value.get_ref(), DeValue::Table(_)) {
                    let place = TextPosition {
                        layer: *layer,
                        span: value.span(),
                    };
                    self.fault(
                        &place,
                        format!("`{}` is a section; write `[{0}]`", name.get_ref()),
                    );
                }
            }
        }
        for (name, _) in SECTIONS.iter().filter(|(name, _)| *name != DEFAULT) {
            let known: Vec<&str> = KEYS
                .iter()
                .filter_map(|key| key.name.strip_prefix(name)?.strip_prefix('.'))
                .collect();
            self.known(&section(files, name), &known);
        }
    }

    /// What extensions may do. The administrator's `[default]` takes precedence over a user's section for one extension.
    fn rules(&mut self, files: &Section<'_>, draft: &Draft) -> Option<Rules> {
        let defaults = section(files, DEFAULT);
        let mut rules = Rules {
            default: self.default_rule(&defaults),
            dials: DialRule {
                per_second: u32::try_from(draft.per_second).ok()?,
                burst: u32::try_from(draft.burst).ok()?,
            },
            memory: MemoryRule {
                total: usize::try_from(draft.memory_total << 20).unwrap_or(usize::MAX),
            },
            ..Rules::default()
        };
        for (origin, (name, tables)) in self.extensions(files) {
            let rule = self.extension_rule(&name, &tables, &defaults, &rules.default);
            rules.extensions.insert(origin, rule);
        }
        Some(rules)
    }

    /// The sections of extensions, by origin, with the name that the first file gives.
    fn extensions<'a>(&mut self, files: &Section<'a>) -> BTreeMap<String, (String, Section<'a>)> {
        let mut found: BTreeMap<String, (String, Section<'a>)> = BTreeMap::new();
        for (layer, all) in section(files, EXTENSION) {
            for (name, value) in all {
                let place = |span| TextPosition { layer, span };
                let DeValue::Table(table) = value.get_ref() else {
                    let message = format!("write `[{EXTENSION}.\"{}\"]`", name.get_ref());
                    self.fault(&place(value.span()), message);
                    continue;
                };
                let one = found.entry(origin(name.get_ref()));
                let (_, tables) = one.or_insert_with(|| (name.get_ref().to_string(), Section::new()));
                if tables.iter().any(|(other, _)| *other == layer) {
                    self.fault(&place(name.span()), "this extension already has a section");
                } else {
                    tables.push((layer, table));
                }
            }
        }
        found
    }

    fn default_rule(&mut self, tables: &Section<'_>) -> ExtensionRule {
        self.known_rules(tables);
        let mut rule = ExtensionRule::default();
        for key in RULES {
            self.rule_key(&mut rule, key, DEFAULT, given(tables, key.name));
        }
        self.own_proxy(&mut rule, DEFAULT, tables, tables);
        rule
    }

    /// One extension's rule: its sections, and `base` for the rest.
    fn extension_rule(
        &mut self,
        name: &str,
        tables: &Section<'_>,
        defaults: &Section<'_>,
        base: &ExtensionRule,
    ) -> ExtensionRule {
        self.known_rules(tables);
        let mut rule = base.clone();
        let shown = format!("{EXTENSION}.\"{name}\"");
        for key in RULES {
            let Some((layer, value)) = given(tables, key.name) else {
                continue;
            };
            let above = given(defaults, key.name).filter(|(above, _)| *above < layer);
            self.rule_key(&mut rule, key, &shown, above.or(Some((layer, value))));
        }
        self.own_proxy(&mut rule, &shown, tables, defaults);
        rule
    }

    /// An `allow` list also decides which proxies it covers, unless `own-proxy` is set.
    fn own_proxy(
        &mut self,
        rule: &mut ExtensionRule,
        section: &str,
        tables: &Section<'_>,
        defaults: &Section<'_>,
    ) {
        let has = |tables, key| given(tables, key).is_some();
        if !has(tables, "allow") || has(tables, "own-proxy") || has(defaults, "own-proxy") {
            return;
        }
        rule.own_proxy = rule.allow != ExtensionRule::default().allow;
        let names = ["allow", "own-proxy"].map(|key| format!("{section}.{key}"));
        let source = self.entries.iter().find(|entry| entry.name == names[0]);
        let source = source.map_or(SettingSource::Default, |entry| entry.source);
        self.entries.retain(|entry| entry.name != names[1]);
        let [_, name] = names;
        self.entry(name, &SettingValue::Switch(rule.own_proxy), source);
    }

    fn rule_key(
        &mut self,
        rule: &mut ExtensionRule,
        key: &RuleKey,
        section: &str,
        given: Option<GivenValue<'_>>,
    ) {
        let Some((value, source, place)) = self.value(given, key.kind, key.default) else {
            return;
        };
        self.entry(format!("{section}.{}", key.name), &value, source);
        if let Err(why) = (key.set)(rule, value) {
            self.fault(&place, format!("`{}`: {why}", key.name));
        }
    }

    fn known_rules(&mut self, tables: &Section<'_>) {
        let known: Vec<&str> = RULES.iter().map(|key| key.name).collect();
        self.known(tables, &known);
    }

    fn known(&mut self, tables: &Section<'_>, known: &[&str]) {
        for (layer, table) in tables {
            for (name, _) in *table {
                if !known.contains(&name.get_ref().as_ref()) {
                    self.unknown(*layer, name, "key", known);
                }
            }
        }
    }

    fn unknown(&mut self, layer: usize, name: &Spanned<Cow<'_, str>>, what: &str, known: &[&str]) {
        let message = format!("unknown {what} `{}`; known: {}", name.get_ref(), known.join(", "));
        let span = name.span();
        self.fault(&TextPosition { layer, span }, message);
    }

    /// The value given, or the default. A value of the wrong kind is a fault, and the default stands in for it.
    fn value(
        &mut self,
        given: Option<GivenValue<'_>>,
        kind: SettingKind,
        default: &str,
    ) -> Option<(SettingValue, SettingSource, TextPosition)> {
        if let Some((layer, given)) = given {
            let span = given.span();
            let place = TextPosition { layer, span };
            match taken(given.get_ref(), kind) {
                Ok(value) => {
                    let source = self.source(&place);
                    return Some((value, source, place));
                }
                Err(why) => self.fault(&place, why),
            }
        }
        let default = DeValue::parse(default).ok()?;
        let value = taken(default.get_ref(), kind).ok()?;
        Some((value, SettingSource::Default, TextPosition::default()))
    }

    fn entry(&mut self, name: String, value: &SettingValue, source: SettingSource) {
        let secret = name.starts_with("proxy.");
        let text = |text: &String| {
            let shown = if secret { masked(text) } else { text.clone() };
            toml::Value::String(shown).to_string()
        };
        let value = match value {
            SettingValue::Number(number) => number.to_string(),
            SettingValue::Switch(switch) => switch.to_string(),
            SettingValue::Text(one) => text(one),
            SettingValue::List(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(", ")),
        };
        self.entries.push(SettingEntry { name, value, source });
    }

    fn fault(&mut self, place: &TextPosition, message: impl Into<String>) {
        let (line, column) = self.line(place);
        let fault = SettingsFault {
            line,
            column,
            message: message.into(),
        };
        self.faults.push((place.layer, fault));
    }

    fn source(&self, place: &TextPosition) -> SettingSource {
        let line = self.line(place).0;
        match self.layers.get(place.layer).map(|layer| layer.who) {
            Some(Who::Administrator) => SettingSource::Administrator(line),
            _ => SettingSource::Line(line),
        }
    }

    /// Line and column of a piece's first byte.
    fn line(&self, place: &TextPosition) -> (usize, usize) {
        let text = self.layers.get(place.layer).map_or("", |layer| layer.text);
        let before = text.get(..place.span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests;
