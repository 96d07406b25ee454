//! Google Chrome, its channels, and Chromium.

use crate::browsers::entries::{dashed, key, keys, locations, own};
use crate::browsers::model::{Browser, Location};
use crate::types::{Base, Family};

/// Read by all channels, and by browsers that are built on Chromium.
pub(super) const CHROME_FOR_ALL: &[Location] = &[dashed!(Root, "etc/opt/chrome")];
pub(super) const CHROME_FOR_ALL_MAC: &[Location] = &[own!(Root, "Library/Google/Chrome")];

pub(super) const CHROME: Browser = Browser {
    name: "chrome",
    title: "Google Chrome",
    family: Family::Chromium,
    linux: locations(
        &["google-chrome", "google-chrome-stable"],
        &[own!(Config, "google-chrome")],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Google Chrome"],
        &[own!(Support, "Google/Chrome")],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &["chrome.exe"],
        &[key(Base::Local, r"Google\Chrome\User Data", r"Google\Chrome")],
    ),
    flatpak: Some("com.google.Chrome"),
    snap: None,
};

pub(super) const CHROME_BETA: Browser = Browser {
    name: "chrome-beta",
    title: "Google Chrome Beta",
    family: Family::Chromium,
    linux: locations(
        &["google-chrome-beta"],
        &[own!(Config, "google-chrome-beta")],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Google Chrome Beta"],
        &[own!(Support, "Google/Chrome Beta")],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[key(
            Base::Local,
            r"Google\Chrome Beta\User Data",
            r"Google\Chrome",
        )],
    ),
    flatpak: None,
    snap: None,
};

pub(super) const CHROME_DEV: Browser = Browser {
    name: "chrome-dev",
    title: "Google Chrome Dev",
    family: Family::Chromium,
    linux: locations(
        &["google-chrome-unstable"],
        &[own!(Config, "google-chrome-unstable")],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Google Chrome Dev"],
        &[own!(Support, "Google/Chrome Dev")],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[key(Base::Local, r"Google\Chrome Dev\User Data", r"Google\Chrome")],
    ),
    flatpak: Some("com.google.ChromeDev"),
    snap: None,
};

pub(super) const CHROME_CANARY: Browser = Browser {
    name: "chrome-canary",
    title: "Google Chrome Canary",
    family: Family::Chromium,
    linux: locations(
        &["google-chrome-canary"],
        &[own!(Config, "google-chrome-canary")],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Google Chrome Canary"],
        &[own!(Support, "Google/Chrome Canary")],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[key(Base::Local, r"Google\Chrome SxS\User Data", r"Google\Chrome")],
    ),
    flatpak: None,
    snap: None,
};

pub(super) const CHROME_FOR_TESTING: Browser = Browser {
    name: "chrome-for-testing",
    title: "Chrome for Testing",
    family: Family::Chromium,
    linux: locations(
        &["google-chrome-for-testing"],
        &[own!(Config, "google-chrome-for-testing")],
        &[dashed!(Root, "etc/opt/chrome_for_testing")],
    ),
    macos: locations(
        &["Google Chrome for Testing"],
        &[own!(Support, "Google/ChromeForTesting")],
        &[own!(Root, "Library/Google/ChromeForTesting")],
    ),
    windows: keys(
        &[],
        &[key(
            Base::Local,
            r"Google\Chrome for Testing\User Data",
            r"Google\ChromeForTesting",
        )],
    ),
    flatpak: None,
    snap: None,
};

pub(super) const CHROMIUM: Browser = Browser {
    name: "chromium",
    title: "Chromium",
    family: Family::Chromium,
    linux: locations(
        &["chromium", "chromium-browser"],
        &[own!(Config, "chromium")],
        &[dashed!(Root, "etc/chromium")],
    ),
    macos: locations(
        &["Chromium"],
        &[own!(Support, "Chromium")],
        &[own!(Root, "Library/Application Support/Chromium")],
    ),
    windows: keys(&[], &[key(Base::Local, r"Chromium\User Data", "Chromium")]),
    flatpak: Some("org.chromium.Chromium"),
    snap: Some("chromium"),
};
