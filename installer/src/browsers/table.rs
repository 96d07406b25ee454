//! The table: which browser looks where for host manifests, on which system, for one user or for all.
//!
//! It is data only; `entries` has its constructors.

use super::entries::{NONE, base_folder, dashed, folder, key, keys, locations, own};
use super::model::{Browser, Location, ManifestSource};
use crate::types::{Base, Family};

// Folders that several browsers share.
const CHROME_FOR_ALL: &[Location] = &[dashed!(Root, "etc/opt/chrome")];
const CHROME_FOR_ALL_MAC: &[Location] = &[own!(Root, "Library/Google/Chrome")];
const EDGE_FOR_ALL: &[Location] = &[dashed!(Root, "etc/opt/edge")];
const EDGE_FOR_ALL_MAC: &[Location] = &[own!(Root, "Library/Microsoft/Edge")];
const MOZILLA_FOR_ALL: &[Location] = &[
    dashed!(Root, "usr/lib/mozilla"),
    dashed!(Root, "usr/lib64/mozilla"),
];
const MOZILLA_FOR_ALL_MAC: &[Location] = &[own!(Root, "Library/Application Support/Mozilla")];

const MOZILLA_HOSTS: &str = ".mozilla/native-messaging-hosts";

/// Every browser Longwire knows.
pub const BROWSERS: &[Browser] = &[
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    // There is no Edge Canary for Linux.
    Browser {
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
    },
    // Brave, Vivaldi and Opera read Chrome's folder for all users, and have none of their own.
    Browser {
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
    },
    Browser {
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
    },
    // Opera reads Chrome's folder, whatever its own profile.
    Browser {
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
    },
    // Arc's and Yandex's paths are from reports; they were not verified.
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
    // Floorp and Zen keep Firefox's folder.
    Browser {
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
    },
    Browser {
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
    },
    Browser {
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
    },
];
