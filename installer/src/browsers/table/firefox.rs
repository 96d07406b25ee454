//! Firefox, and the programs built on it.

use crate::browsers::entries::{base_folder, dashed, folder, key, keys, locations, own};
use crate::browsers::model::{Browser, Location, ManifestSource};
use crate::types::{Base, Family};

// Folders that several of them share.
const MOZILLA_FOR_ALL: &[Location] = &[
    dashed!(Root, "usr/lib/mozilla"),
    dashed!(Root, "usr/lib64/mozilla"),
];
const MOZILLA_FOR_ALL_MAC: &[Location] = &[own!(Root, "Library/Application Support/Mozilla")];

const MOZILLA_HOSTS: &str = ".mozilla/native-messaging-hosts";

pub(super) const FIREFOX: Browser = Browser {
    name: "firefox",
    title: "Firefox",
    family: Family::Firefox,
    linux: locations(
        &["firefox", "firefox-esr", "firefox-developer-edition"],
        &[
            folder(Base::Home, ".mozilla", MOZILLA_HOSTS),
            // Newer profiles lie under XDG; manifests are still read here.
            Location {
                sign: base_folder(Base::Config, "mozilla/firefox"),
                hosts: ManifestSource::Folder(base_folder(Base::Home, MOZILLA_HOSTS)),
            },
        ],
        MOZILLA_FOR_ALL,
    ),
    macos: locations(
        &["Firefox", "Firefox Developer Edition", "Firefox Nightly"],
        &[
            folder(Base::Support, "Firefox", "Mozilla/NativeMessagingHosts"),
            own!(Support, "Mozilla"),
        ],
        MOZILLA_FOR_ALL_MAC,
    ),
    windows: keys(
        &["firefox.exe"],
        &[key(Base::Roaming, r"Mozilla\Firefox", "Mozilla")],
    ),
    flatpak: Some("org.mozilla.firefox"),
    snap: Some("firefox"),
};

pub(super) const LIBREWOLF: Browser = Browser {
    name: "librewolf",
    title: "LibreWolf",
    family: Family::Firefox,
    linux: locations(
        &["librewolf"],
        &[dashed!(Home, ".librewolf")],
        &[dashed!(Root, "usr/lib/librewolf")],
    ),
    macos: locations(&["LibreWolf"], &[own!(Support, "LibreWolf")], MOZILLA_FOR_ALL_MAC),
    windows: keys(&["librewolf.exe"], &[key(Base::Roaming, "librewolf", "Mozilla")]),
    flatpak: Some("io.gitlab.librewolf-community"),
    snap: None,
};

pub(super) const WATERFOX: Browser = Browser {
    name: "waterfox",
    title: "Waterfox",
    family: Family::Firefox,
    linux: locations(&["waterfox"], &[dashed!(Home, ".waterfox")], MOZILLA_FOR_ALL),
    macos: locations(&["Waterfox"], &[own!(Support, "Waterfox")], MOZILLA_FOR_ALL_MAC),
    windows: keys(
        &["waterfox.exe"],
        &[
            key(Base::Roaming, "Waterfox", "Mozilla"),
            key(Base::Roaming, "Waterfox", "Waterfox"),
        ],
    ),
    flatpak: Some("net.waterfox.waterfox"),
    snap: None,
};

// Floorp and Zen keep Firefox's folder.
pub(super) const FLOORP: Browser = Browser {
    name: "floorp",
    title: "Floorp",
    family: Family::Firefox,
    linux: locations(
        &["floorp"],
        &[folder(Base::Home, ".floorp", MOZILLA_HOSTS)],
        MOZILLA_FOR_ALL,
    ),
    macos: locations(
        &["Floorp"],
        &[folder(Base::Support, "Floorp", "Mozilla/NativeMessagingHosts")],
        MOZILLA_FOR_ALL_MAC,
    ),
    windows: keys(&["floorp.exe"], &[key(Base::Roaming, "Floorp", "Mozilla")]),
    flatpak: Some("one.ablaze.floorp"),
    snap: None,
};

pub(super) const ZEN: Browser = Browser {
    name: "zen",
    title: "Zen",
    family: Family::Firefox,
    linux: locations(
        &["zen", "zen-browser"],
        &[folder(Base::Home, ".zen", MOZILLA_HOSTS)],
        MOZILLA_FOR_ALL,
    ),
    macos: locations(
        &["Zen", "Zen Browser"],
        &[folder(Base::Support, "zen", "Mozilla/NativeMessagingHosts")],
        MOZILLA_FOR_ALL_MAC,
    ),
    windows: keys(&["zen.exe"], &[key(Base::Roaming, "zen", "Mozilla")]),
    flatpak: Some("app.zen_browser.zen"),
    snap: None,
};

pub(super) const THUNDERBIRD: Browser = Browser {
    name: "thunderbird",
    title: "Thunderbird",
    family: Family::Firefox,
    linux: locations(
        &["thunderbird"],
        &[
            dashed!(Home, ".thunderbird"),
            folder(Base::Home, ".thunderbird", MOZILLA_HOSTS),
        ],
        MOZILLA_FOR_ALL,
    ),
    macos: locations(
        &["Thunderbird"],
        &[
            own!(Support, "Thunderbird"),
            folder(Base::Support, "Thunderbird", "Mozilla/NativeMessagingHosts"),
        ],
        MOZILLA_FOR_ALL_MAC,
    ),
    windows: keys(
        &["thunderbird.exe"],
        &[
            key(Base::Roaming, "Thunderbird", "Mozilla"),
            key(Base::Roaming, "Thunderbird", "Thunderbird"),
        ],
    ),
    flatpak: Some("org.mozilla.Thunderbird"),
    snap: Some("thunderbird"),
};
