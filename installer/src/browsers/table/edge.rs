//! Microsoft Edge and its channels.

use crate::browsers::entries::{NONE, dashed, key, keys, locations, own};
use crate::browsers::model::{Browser, Location};
use crate::types::{Base, Family};

// All channels share one folder for all users.
const EDGE_FOR_ALL: &[Location] = &[dashed!(Root, "etc/opt/edge")];
const EDGE_FOR_ALL_MAC: &[Location] = &[own!(Root, "Library/Microsoft/Edge")];

pub(super) const EDGE: Browser = Browser {
    name: "edge",
    title: "Microsoft Edge",
    family: Family::Chromium,
    linux: locations(
        &["microsoft-edge", "microsoft-edge-stable"],
        &[own!(Config, "microsoft-edge")],
        EDGE_FOR_ALL,
    ),
    macos: locations(
        &["Microsoft Edge"],
        &[own!(Support, "Microsoft Edge")],
        EDGE_FOR_ALL_MAC,
    ),
    windows: keys(
        &["msedge.exe"],
        &[key(Base::Local, r"Microsoft\Edge\User Data", r"Microsoft\Edge")],
    ),
    flatpak: Some("com.microsoft.Edge"),
    snap: None,
};

pub(super) const EDGE_BETA: Browser = Browser {
    name: "edge-beta",
    title: "Microsoft Edge Beta",
    family: Family::Chromium,
    linux: locations(
        &["microsoft-edge-beta"],
        &[own!(Config, "microsoft-edge-beta")],
        EDGE_FOR_ALL,
    ),
    macos: locations(
        &["Microsoft Edge Beta"],
        &[own!(Support, "Microsoft Edge Beta")],
        EDGE_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[key(
            Base::Local,
            r"Microsoft\Edge Beta\User Data",
            r"Microsoft\Edge",
        )],
    ),
    flatpak: None,
    snap: None,
};

pub(super) const EDGE_DEV: Browser = Browser {
    name: "edge-dev",
    title: "Microsoft Edge Dev",
    family: Family::Chromium,
    linux: locations(
        &["microsoft-edge-dev"],
        &[own!(Config, "microsoft-edge-dev")],
        EDGE_FOR_ALL,
    ),
    macos: locations(
        &["Microsoft Edge Dev"],
        &[own!(Support, "Microsoft Edge Dev")],
        EDGE_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[key(
            Base::Local,
            r"Microsoft\Edge Dev\User Data",
            r"Microsoft\Edge",
        )],
    ),
    flatpak: None,
    snap: None,
};

// There is no Edge Canary for Linux.
pub(super) const EDGE_CANARY: Browser = Browser {
    name: "edge-canary",
    title: "Microsoft Edge Canary",
    family: Family::Chromium,
    linux: NONE,
    macos: locations(
        &["Microsoft Edge Canary"],
        &[own!(Support, "Microsoft Edge Canary")],
        EDGE_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[key(
            Base::Local,
            r"Microsoft\Edge SxS\User Data",
            r"Microsoft\Edge",
        )],
    ),
    flatpak: None,
    snap: None,
};
