//! An HTML page where something else was expected, such as a captive portal or a proxy's error. Reported by its title.

/// Characters of a title that are reported.
const MAX_TITLE_CHARS: usize = 120;

/// What to say of a body that is a page; `None` for what is none.
pub fn described(text: &str) -> Option<String> {
    let start: String = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .chars()
        .take(15)
        .collect::<String>()
        .to_ascii_lowercase();
    let is_page = ["<!doctype html", "<html", "<head", "<body", "<title"]
        .iter()
        .any(|tag| start.starts_with(tag));
    is_page.then(|| match title(text) {
        Some(title) => format!("an HTML page titled `{title}`"),
        None => "an HTML page without a title".to_owned(),
    })
}

/// The title; HAProxy's pages have a heading only.
fn title(text: &str) -> Option<String> {
    element(text, "<title").or_else(|| element(text, "<h1"))
}

/// The text of the first element of this kind.
fn element(text: &str, tag: &str) -> Option<String> {
    // Only letters of ASCII change, so that places stay what they are.
    let lower = text.to_ascii_lowercase();
    let open = lower.find(tag)?;
    let start = open + lower[open..].find('>')? + 1;
    let end = lower[start..]
        .find("</")
        .map_or(text.len(), |length| start + length);
    let title_words = text[start..end].split_whitespace().take(MAX_TITLE_CHARS);
    let title = title_words.collect::<Vec<_>>().join(" ");
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ];
    let title = entities
        .iter()
        .fold(title, |title, (entity, char)| title.replace(entity, char));
    let title: String = title
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_TITLE_CHARS)
        .collect();
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_html_page_is_described_by_its_title() {
        for (text, expected) in [
            (
                "<html>\r\n<head><TITLE lang=en>\n 502  Bad &amp; Gateway\n</TITLE></head>",
                Some("an HTML page titled `502 Bad & Gateway`"),
            ),
            (
                "\u{feff} <!DOCTYPE HTML><p>",
                Some("an HTML page without a title"),
            ),
            (
                "<html><body><h1>503 Service Unavailable</h1>\nNo server is available",
                Some("an HTML page titled `503 Service Unavailable`"),
            ),
            ("<html><title>cut of", Some("an HTML page titled `cut of`")),
            ("{\"html\":\"<html>\"}", None),
            ("<?xml version=\"1.0\"?>", None),
            ("", None),
        ] {
            assert_eq!(described(text).as_deref(), expected, "{text}");
        }
    }
}
