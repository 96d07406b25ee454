//! The kind of a program by its first bytes: for which machine, or with which interpreter.
//!
//! It is pure; it reads no file and runs nothing.

/// The bytes that are needed.
pub(super) const HEAD_BYTES: usize = 512;

/// A kind of program file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProgramKind {
    /// A binary for these machines, as Rust calls them; `?` for one not known here.
    Binary {
        system: &'static str,
        machines: Vec<&'static str>,
    },
    /// A script, and the program that is to read it.
    Script { interpreter: String },
    /// Nothing that a system runs.
    Unknown,
}

impl ProgramKind {
    /// Reads the first bytes of a file.
    pub(super) fn of(head: &[u8]) -> Self {
        if let Some(rest) = head.strip_prefix(b"#!") {
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let interpreter = line.split_whitespace().next().unwrap_or_default().to_owned();
            return Self::Script { interpreter };
        }
        match head {
            [0x7f, b'E', b'L', b'F', _, order, ..] if head.len() >= 20 => {
                let machine = match *order {
                    1 => little_endian(&head[18..20]),
                    _ => big_endian(&head[18..20]),
                };
                binary("linux", &[elf(machine)])
            }
            // One machine, either width, little-endian.
            [0xce | 0xcf, 0xfa, 0xed, 0xfe, a, b, c, d, ..] => {
                binary("macos", &[mach(little_endian(&[*a, *b, *c, *d]))])
            }
            // Several machines in one file, big-endian.
            [0xca, 0xfe, 0xba, 0xbe, ..] if head.len() >= 8 => {
                let count = big_endian(&head[4..8]).min(8) as usize;
                let machines: Vec<_> = head[8..]
                    .chunks_exact(20)
                    .take(count)
                    .map(|entry| mach(big_endian(&entry[..4])))
                    .collect();
                binary("macos", &machines)
            }
            [b'M', b'Z', ..] => portable(head),
            _ => Self::Unknown,
        }
    }

    /// Whether a machine of this kind runs it; scripts depend on their interpreter.
    pub(super) fn runs_on(&self, system: &str, machine: &str) -> bool {
        let Self::Binary { system: of, machines } = self else {
            return matches!(self, Self::Script { .. });
        };
        let fits = |one: &str| {
            one == machine
                || one == "?"
                // Old programs on newer machines: by the processor itself, or by Rosetta and its like.
                || (machine == "x86_64" && one == "x86")
                || (machine == "aarch64" && one != "arm" && system != "linux")
        };
        *of == system && machines.iter().any(|one| fits(one))
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Binary { system, machines } => format!("a {system} program for {}", machines.join(", ")),
            Self::Script { interpreter } => format!("a script for {interpreter}"),
            Self::Unknown => "not a program".to_owned(),
        }
    }
}

fn binary(system: &'static str, machines: &[&'static str]) -> ProgramKind {
    ProgramKind::Binary {
        system,
        machines: machines.to_vec(),
    }
}

/// Byte 60 of a Windows program is the offset of its machine.
fn portable(head: &[u8]) -> ProgramKind {
    let machine = head.get(60..64).and_then(|at| {
        let at = little_endian(at) as usize;
        head.get(at..at + 6)
            .filter(|header| header.starts_with(b"PE\0\0"))
            .map(|header| match little_endian(&header[4..6]) {
                0x8664 => "x86_64",
                0xaa64 => "aarch64",
                0x14c => "x86",
                _ => "?",
            })
    });
    binary("windows", &[machine.unwrap_or("?")])
}

const fn elf(machine: u32) -> &'static str {
    match machine {
        0x3e => "x86_64",
        0xb7 => "aarch64",
        0x03 => "x86",
        0x28 => "arm",
        0xf3 => "riscv64",
        _ => "?",
    }
}

const fn mach(machine: u32) -> &'static str {
    match machine {
        0x0100_0007 => "x86_64",
        0x0100_000c => "aarch64",
        _ => "?",
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, append_byte)
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, append_byte)
}

fn append_byte(number: u32, byte: &u8) -> u32 {
    (number << 8) | u32::from(*byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf_head(machine: u8) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(20, 0);
        head[18] = machine;
        head
    }

    #[test]
    fn a_binary_runs_only_on_its_own_machine_type() {
        let kind = ProgramKind::of(&elf_head(0xb7));
        assert!(kind.runs_on("linux", "aarch64"));
        assert!(!kind.runs_on("linux", "x86_64"), "{}", kind.describe());
        assert!(!kind.runs_on("macos", "aarch64"));
        assert!(ProgramKind::of(&elf_head(0x03)).runs_on("linux", "x86_64"));
        assert!(!ProgramKind::of(&elf_head(0x3e)).runs_on("linux", "aarch64"));
    }

    #[test]
    fn universal_binaries_contain_several_machines() {
        let mut head = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2];
        for machine in [[1, 0, 0, 7], [1, 0, 0, 12]] {
            head.extend(machine);
            head.extend([0; 16]);
        }
        let kind = ProgramKind::of(&head);
        assert_eq!(kind, binary("macos", &["x86_64", "aarch64"]));
        assert!(kind.runs_on("macos", "aarch64") && !kind.runs_on("linux", "aarch64"));
    }

    #[test]
    fn the_machine_of_a_windows_program_is_read_from_its_pe_header() {
        let mut head = b"MZ".to_vec();
        head.resize(128, 0);
        head[60] = 96;
        head[96..102].copy_from_slice(b"PE\0\0\x64\xaa");
        assert_eq!(ProgramKind::of(&head), binary("windows", &["aarch64"]));
        assert_eq!(ProgramKind::of(b"MZ"), binary("windows", &["?"]));
    }

    #[test]
    fn scripts_have_an_interpreter_and_plain_text_is_not_a_program() {
        let kind = ProgramKind::of(b"#! /usr/bin/env python3\nprint()");
        assert_eq!(
            kind,
            ProgramKind::Script {
                interpreter: "/usr/bin/env".into()
            }
        );
        for nothing in [&b""[..], b"hello", b"\x7fELF"] {
            assert_eq!(ProgramKind::of(nothing), ProgramKind::Unknown);
        }
    }
}
