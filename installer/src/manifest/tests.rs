//! Tests of `manifest`.

use super::*;
use crate::types::System;

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";

fn verdict(family: Family, text: &str) -> Result<AcceptedManifest, String> {
    judge(
        family,
        System::Linux,
        "com.longwire.bridge",
        Path::new("/m"),
        text,
    )
}

#[test]
fn the_manifest_templates_are_accepted_by_their_browsers() {
    verdict(Family::Chromium, CHROMIUM).unwrap();
    verdict(Family::Firefox, FIREFOX).unwrap();
}

#[test]
fn only_host_names_valid_in_every_browser_are_accepted() {
    for good in ["a", "com.longwire.bridge", "com.semantest.bridge_2", "0.1"] {
        assert!(HostName::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "A",
        "a-b",
        "a/b",
        "ä",
        &"a".repeat(241),
    ] {
        assert!(HostName::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn extension_ids_are_assigned_to_their_family() {
    for good in [
        ID,
        &format!("chrome-extension://{ID}/"),
        &format!("chrome-extension://{ID}"),
    ] {
        assert_eq!(
            ExtensionId::parse(good).unwrap(),
            ExtensionId::Chromium(ID.into())
        );
    }
    for good in [
        "a@b",
        "hello@longwire.example",
        "@x",
        "{01234567-89ab-cdef-0123-456789ABCDEF}",
    ] {
        assert_eq!(
            ExtensionId::parse(good).unwrap(),
            ExtensionId::Firefox(good.into())
        );
    }
    for bad in [
        "",
        "*",
        &ID[1..],
        &ID.replace('c', "q"),
        &ID.to_uppercase(),
        "a@",
        "a b@c",
        "{1-2}",
        "a@b@c",
    ] {
        assert!(ExtensionId::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_written_manifest_is_accepted_for_any_path() {
    let name = HostName::parse("com.longwire.bridge").unwrap();
    let program = Path::new("/home/Jörg & Söhne/\"q\"/日本/long wire");
    for (family, entry) in [
        (Family::Chromium, format!("chrome-extension://{ID}/")),
        (Family::Firefox, "a@b".to_owned()),
    ] {
        let text = Manifest::new(family, &name, program, vec![entry.clone()])
            .unwrap()
            .text();
        let accepted = verdict(family, &text).unwrap();
        assert_eq!(accepted.program, program);
        assert_eq!(accepted.entries, std::slice::from_ref(&entry));
        assert_eq!(entries(family, &text), [entry]);
        assert!(!text.contains(if family == Family::Firefox {
            "origins"
        } else {
            "extensions"
        }));
    }
}

#[test]
fn manifest_errors_match_those_of_the_browser() {
    let good = format!(
        r#"{{"name":"com.longwire.bridge","description":"d","path":"/p","type":"stdio","allowed_origins":["chrome-extension://{ID}/"]}}"#
    );
    let origin = format!("chrome-extension://{ID}/");
    verdict(Family::Chromium, &good).unwrap();
    verdict(Family::Chromium, &format!("\u{feff}// note\n/* more */ {good}")).unwrap();
    for (from, to, part) in [
        ("\"d\"", "\"\"", "description"),
        ("bridge", "other", "not \"com.longwire.bridge\""),
        ("\"/p\"", "\"p\"", "not absolute"),
        ("stdio", "tcp", "type"),
        ("]}", "],}", "not valid JSON"),
        (&origin, &origin[..origin.len() - 1], "slash"),
        (ID, "*", "wildcard"),
        (ID, "abc", "32 letters"),
        ("allowed_origins", "allowed_extensions", "allowed_origins"),
    ] {
        let fault = verdict(Family::Chromium, &good.replace(from, to)).unwrap_err();
        assert!(fault.contains(part), "{fault}");
    }
    let fault = verdict(
        Family::Firefox,
        r#"{"name":"com.longwire.bridge","description":"d","path":"/p","type":"stdio","allowed_extensions":["a@b"],"allowed_origins":[]}"#,
    );
    assert!(fault.unwrap_err().contains("unknown key `allowed_origins`"));
}

#[test]
fn absolute_paths_depend_on_the_system() {
    let text = format!(
        r#"{{"name":"n","description":"d","path":"C:\\x\\l.exe","type":"stdio","allowed_origins":["chrome-extension://{ID}/"]}}"#
    );
    assert!(judge(Family::Chromium, System::Linux, "n", Path::new("/"), &text).is_err());
    assert!(judge(Family::Chromium, System::Windows, "n", Path::new("/"), &text).is_ok());
    let relative = text.replace(r"C:\\x\\", "");
    let accepted = judge(Family::Chromium, System::Windows, "n", Path::new("/m"), &relative).unwrap();
    assert_eq!(accepted.program, Path::new("/m/l.exe"));
}
