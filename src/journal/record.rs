//! One record as bytes: length, checksum, kind, number, data.
//!
//! It reads and writes memory only, and does not know what a kind means.
//!
//! ```text
//! u32 LE  length of what follows the checksum (9 + data)
//! u32 LE  CRC-32 of what follows
//! u8      kind
//! u64 LE  seq
//! bytes   data
//! ```

use bytes::Bytes;

use crate::core::journal::RawRecord;

/// Bytes before the data.
pub(super) const OVERHEAD: usize = 17;
/// Bytes of kind and number.
const FIXED_BYTES: usize = 9;

/// The size of a record in bytes, once written.
pub(super) const fn size(record: &RawRecord) -> usize {
    OVERHEAD + record.len()
}

/// Appends a record to `out`. `false`, and nothing appended, when its data exceeds what a length can say.
pub(super) fn encode(out: &mut Vec<u8>, record: &RawRecord) -> bool {
    let Ok(length) = u32::try_from(FIXED_BYTES + record.len()) else {
        return false;
    };
    let seq = record.seq.to_le_bytes();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[record.kind]);
    sum.update(&seq);
    sum.update(&record.data);
    sum.update(&record.content);
    out.reserve(size(record));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&sum.finalize().to_le_bytes());
    out.push(record.kind);
    out.extend_from_slice(&seq);
    out.extend_from_slice(&record.data);
    out.extend_from_slice(&record.content);
    true
}

/// What stands at the head of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScannedRecord {
    /// A good record, and its size in bytes.
    Record(RawRecord, usize),
    /// Nothing at all.
    End,
    /// A record that was begun: the bytes end before it does, or are zeros to the end. A crash does this.
    Cut,
    /// A record whose checksum is wrong, with more behind it. No interrupted append does this.
    Bad,
}

/// Reads the record at the head of `bytes`. Zeros are not a record.
pub(super) fn decode(bytes: &[u8]) -> ScannedRecord {
    if bytes.is_empty() {
        return ScannedRecord::End;
    }
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return ScannedRecord::Cut;
    };
    let Some((sum, rest)) = rest.split_first_chunk::<4>() else {
        return ScannedRecord::Cut;
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length < FIXED_BYTES {
        return cut_or_bad(bytes, 1);
    }
    let Some(body) = rest.get(..length) else {
        return ScannedRecord::Cut;
    };
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return cut_or_bad(bytes, 8 + length);
    }
    let Some(((kind, seq), data)) = body.split_first().and_then(|(kind, rest)| {
        rest.split_first_chunk::<8>()
            .map(|(seq, data)| ((*kind, *seq), data))
    }) else {
        return ScannedRecord::Bad;
    };
    let record = RawRecord {
        kind,
        seq: u64::from_le_bytes(seq),
        data: Bytes::copy_from_slice(data),
        content: Bytes::new(),
    };
    ScannedRecord::Record(record, 8 + length)
}

/// After a power cut a file may have its length but not yet its content: zeros from within this record, which
/// ends at `end`, up to the end of all.
fn cut_or_bad(bytes: &[u8], end: usize) -> ScannedRecord {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    if zeros > bytes.len() - end {
        ScannedRecord::Cut
    } else {
        ScannedRecord::Bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw_record(seq: u64, data: &'static [u8]) -> RawRecord {
        RawRecord {
            kind: 3,
            seq,
            data: Bytes::from_static(data),
            content: Bytes::new(),
        }
    }

    #[test]
    fn separate_content_is_written_after_the_data() {
        let (mut whole, mut apart) = (Vec::new(), Vec::new());
        assert!(encode(&mut whole, &raw_record(7, b"hello")));
        let mut record = raw_record(7, b"he");
        record.content = Bytes::from_static(b"llo");
        assert!(encode(&mut apart, &record));
        assert_eq!(apart, whole);
        assert_eq!(size(&record), whole.len());
    }

    #[test]
    fn records_round_trip() {
        let mut bytes = Vec::new();
        assert!(encode(&mut bytes, &raw_record(7, b"hello")));
        assert!(encode(&mut bytes, &raw_record(8, b"")));
        let ScannedRecord::Record(first, size) = decode(&bytes) else {
            panic!("no record")
        };
        assert_eq!((first, size), (raw_record(7, b"hello"), OVERHEAD + 5));
        assert_eq!(
            decode(&bytes[size..]),
            ScannedRecord::Record(raw_record(8, b""), OVERHEAD)
        );
        assert_eq!(decode(&[]), ScannedRecord::End);
    }

    #[test]
    fn every_truncation_is_detected() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &raw_record(7, b"hello"));
        for end in 1..bytes.len() {
            assert_eq!(decode(&bytes[..end]), ScannedRecord::Cut, "cut at {end}");
        }
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let mut good = Vec::new();
        encode(&mut good, &raw_record(7, b"hello"));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(decode(&bytes), ScannedRecord::Bad | ScannedRecord::Cut),
                "bit {bit} went unnoticed"
            );
        }
    }

    #[test]
    fn zeros_are_not_a_record() {
        assert_eq!(decode(&[0; 64]), ScannedRecord::Cut);
        let mut half = Vec::new();
        encode(&mut half, &raw_record(7, b"hello"));
        half.truncate(12);
        half.resize(4096, 0);
        assert_eq!(
            decode(&half),
            ScannedRecord::Cut,
            "the rest of the file never reached the disk"
        );
        half.push(1);
        assert_eq!(decode(&half), ScannedRecord::Bad);
    }
}
