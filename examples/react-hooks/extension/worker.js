// Opens the page when the extension is installed. The connection is the page's own.
chrome.runtime.onInstalled.addListener(() => chrome.tabs.create({ url: "panel.html" }));
