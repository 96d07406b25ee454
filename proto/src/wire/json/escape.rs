//! The inside of JSON strings, written and skipped: characters that stand for themselves go many at once.
//!
//! serde_json goes byte by byte, which is a quarter of what it takes to pass a message on.

/// Bytes that are compared at once where strings are long.
const BLOCK: usize = 64;
const WORD: usize = size_of::<u64>();
const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = EACH_BYTE * 0x80;

/// How many bytes at the beginning of a string's inside stand for themselves: no quote, no backslash, no control character.
pub(super) fn plain_prefix(inside: &[u8]) -> usize {
    // Keys and most values end within the first words.
    let (first, rest) = inside.split_at(inside.len().min(2 * WORD));
    let plain = plain_words(first);
    if plain < first.len() {
        return plain;
    }
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let plain = plain + blocks.iter().take_while(|block| is_plain(block)).count() * BLOCK;
    plain + plain_words(inside.get(plain..).unwrap_or_default())
}

/// In a form that the compiler turns into comparisons of 16 bytes each.
fn is_plain(block: &[u8; BLOCK]) -> bool {
    !block.iter().fold(false, |found, byte| found | is_special(*byte))
}

const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// The same as `plain_prefix`, a word at a time.
fn plain_words(inside: &[u8]) -> usize {
    let (words, end) = inside.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(word);
        if special != 0 {
            return index * WORD + special.trailing_zeros() as usize / 8;
        }
    }
    inside.len() - end.len() + end.iter().take_while(|byte| !is_special(**byte)).count()
}

/// The high bit of the first byte that is special, and perhaps of later ones; 0 if none is: a subtraction borrows from a byte
/// only where the byte before it is special.
const fn special_bytes(word: &[u8; WORD]) -> u64 {
    let word = u64::from_le_bytes(*word);
    let quotes = (word ^ (EACH_BYTE * b'"' as u64)).wrapping_sub(EACH_BYTE);
    let backslashes = (word ^ (EACH_BYTE * b'\\' as u64)).wrapping_sub(EACH_BYTE);
    let controls = word.wrapping_sub(EACH_BYTE * 0x20);
    (quotes | backslashes | controls) & !word & HIGH_BITS
}

/// Appends UTF-8 as a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    write_inside(out, text);
    out.push(b'"');
}

/// Appends UTF-8 as a part of a JSON string, without quotes around it.
pub(crate) fn write_inside(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else {
            return;
        };
        write_escaped(out, *byte);
        rest = after;
    }
}

fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let [high, low] = [byte >> 4, byte & 0xf].map(|digit| HEX[usize::from(digit)]);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_is_escaped_as_by_serde_json_at_any_position() {
        for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{ffff}', '\u{1f600}']) {
            for before in 0..2 * BLOCK {
                for after in [0, 1, BLOCK] {
                    let text = format!("{}{character}{}", "x".repeat(before), "y".repeat(after));
                    assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
                }
            }
        }
        assert_eq!(written(""), "\"\"");
    }

    #[test]
    fn the_plain_prefix_ends_at_the_first_special_byte() {
        for special in [b'"', b'\\', b'\n', 0, 0x1f] {
            for before in 0..3 * BLOCK {
                let mut text = vec![b'a'; before];
                text.push(special);
                text.extend([b'"'; BLOCK]);
                assert_eq!(plain_prefix(&text), before);
            }
        }
        assert_eq!(plain_prefix(&[0x7f, 0x80, 0xff, b' ']), 4);
    }
}
