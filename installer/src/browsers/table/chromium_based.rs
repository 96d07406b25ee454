//! Browsers built on Chromium by others than Google and Microsoft.
//!
//! Brave, Vivaldi and Opera read Chrome's folder for all users, and have none of their own.

use crate::browsers::entries::{NONE, folder, key, keys, locations, own};
use crate::browsers::model::Browser;
use crate::types::{Base, Family};

use super::chrome::{CHROME_FOR_ALL, CHROME_FOR_ALL_MAC};

pub(super) const BRAVE: Browser = Browser {
    name: "brave",
    title: "Brave",
    family: Family::Chromium,
    linux: locations(
        &[
            "brave-browser",
            "brave",
            "brave-browser-stable",
            "brave-browser-beta",
            "brave-browser-nightly",
        ],
        &[
            own!(Config, "BraveSoftware/Brave-Browser"),
            own!(Config, "BraveSoftware/Brave-Browser-Beta"),
            own!(Config, "BraveSoftware/Brave-Browser-Nightly"),
        ],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Brave Browser", "Brave Browser Beta", "Brave Browser Nightly"],
        &[
            own!(Support, "BraveSoftware/Brave-Browser"),
            own!(Support, "BraveSoftware/Brave-Browser-Beta"),
            own!(Support, "BraveSoftware/Brave-Browser-Nightly"),
        ],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &["brave.exe"],
        &[
            key(
                Base::Local,
                r"BraveSoftware\Brave-Browser\User Data",
                r"BraveSoftware\Brave-Browser",
            ),
            key(
                Base::Local,
                r"BraveSoftware\Brave-Browser\User Data",
                r"Google\Chrome",
            ),
        ],
    ),
    flatpak: Some("com.brave.Browser"),
    snap: Some("brave"),
};

pub(super) const VIVALDI: Browser = Browser {
    name: "vivaldi",
    title: "Vivaldi",
    family: Family::Chromium,
    linux: locations(
        &["vivaldi", "vivaldi-stable", "vivaldi-snapshot"],
        &[own!(Config, "vivaldi"), own!(Config, "vivaldi-snapshot")],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Vivaldi", "Vivaldi Snapshot"],
        &[own!(Support, "Vivaldi"), own!(Support, "Vivaldi Snapshot")],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &["vivaldi.exe"],
        &[
            key(Base::Local, r"Vivaldi\User Data", "Vivaldi"),
            key(Base::Local, r"Vivaldi\User Data", r"Google\Chrome"),
        ],
    ),
    flatpak: Some("com.vivaldi.Vivaldi"),
    snap: Some("vivaldi"),
};

// Opera reads Chrome's folder, whatever its own profile.
pub(super) const OPERA: Browser = Browser {
    name: "opera",
    title: "Opera",
    family: Family::Chromium,
    linux: locations(
        &[
            "opera",
            "opera-stable",
            "opera-beta",
            "opera-developer",
            "opera-gx",
        ],
        &[
            folder(Base::Config, "opera", "google-chrome/NativeMessagingHosts"),
            folder(Base::Config, "opera-beta", "google-chrome/NativeMessagingHosts"),
            folder(
                Base::Config,
                "opera-developer",
                "google-chrome/NativeMessagingHosts",
            ),
            folder(Base::Config, "opera-gx", "google-chrome/NativeMessagingHosts"),
        ],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Opera", "Opera Beta", "Opera Developer", "Opera GX"],
        &[
            folder(
                Base::Support,
                "com.operasoftware.Opera",
                "Google/Chrome/NativeMessagingHosts",
            ),
            own!(Support, "com.operasoftware.Opera"),
            folder(
                Base::Support,
                "com.operasoftware.OperaGX",
                "Google/Chrome/NativeMessagingHosts",
            ),
            own!(Support, "com.operasoftware.OperaGX"),
            own!(Support, "com.operasoftware.OperaNext"),
            own!(Support, "com.operasoftware.OperaDeveloper"),
        ],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &["opera.exe"],
        &[
            key(Base::Roaming, r"Opera Software\Opera Stable", r"Google\Chrome"),
            key(Base::Roaming, r"Opera Software\Opera GX Stable", r"Google\Chrome"),
            key(Base::Roaming, r"Opera Software\Opera Stable", "Opera Software"),
        ],
    ),
    flatpak: Some("com.opera.Opera"),
    snap: Some("opera"),
};

// Arc's and Yandex's paths are from reports; they were not verified.
pub(super) const ARC: Browser = Browser {
    name: "arc",
    title: "Arc",
    family: Family::Chromium,
    linux: NONE,
    macos: locations(
        &["Arc"],
        &[folder(Base::Support, "Arc", "Arc/User Data/NativeMessagingHosts")],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[key(
            Base::Local,
            r"Packages\TheBrowserCompany.Arc_ttt1ap7aakyb4",
            r"Google\Chrome",
        )],
    ),
    flatpak: None,
    snap: None,
};

pub(super) const YANDEX: Browser = Browser {
    name: "yandex",
    title: "Yandex Browser",
    family: Family::Chromium,
    linux: locations(
        &["yandex-browser", "yandex-browser-stable", "yandex-browser-beta"],
        &[
            own!(Config, "yandex-browser"),
            own!(Config, "yandex-browser-beta"),
        ],
        CHROME_FOR_ALL,
    ),
    macos: locations(
        &["Yandex"],
        &[own!(Support, "Yandex/YandexBrowser")],
        CHROME_FOR_ALL_MAC,
    ),
    windows: keys(
        &[],
        &[
            key(Base::Local, r"Yandex\YandexBrowser\User Data", "Yandex"),
            key(Base::Local, r"Yandex\YandexBrowser\User Data", r"Google\Chrome"),
        ],
    ),
    flatpak: Some("ru.yandex.Browser"),
    snap: None,
};
