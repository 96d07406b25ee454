//! Keeps a host small: releases the pages of the program that only its start needed.
//!
//! A host is a small part of a program that is three programs, but the loader touches much of it, and the kernel maps
//! sixteen pages where one is touched. A released page is loaded again when it is needed. Only Linux is supported;
//! elsewhere, and wherever it fails, the host is larger and otherwise the same.

/// To be called when the host begins to wait for frames.
#[cfg(target_os = "linux")]
pub(super) fn release_startup_pages() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    for (from, to) in maps.lines().filter_map(constant_file_mapping) {
        forget(from, to - from);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn release_startup_pages() {}

/// First and last address of a mapping that shows a file and was never written to.
#[cfg(target_os = "linux")]
fn constant_file_mapping(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let access = fields.next()?;
    let offset = usize::from_str_radix(fields.next()?, 16).ok()?;
    let is_file = fields.nth(2)?.starts_with('/');
    // Code, or the headers and relocations at a file's start. Other constants may have been written by the loader
    // before they were sealed.
    let is_constant = access == "r-xp" || (access == "r--p" && offset == 0);
    let at = |hex| usize::from_str_radix(hex, 16).ok();
    (is_constant && is_file).then_some((at(from)?, at(to)?))
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "madvise takes an address")]
fn forget(from: usize, length: usize) {
    // SAFETY: the range is a whole private mapping of a file that is never writable, so a page that is dropped comes
    // back from the file with the same content.
    let _ = unsafe {
        rustix::mm::madvise(
            std::ptr::with_exposed_provenance_mut(from),
            length,
            rustix::mm::Advice::LinuxDontNeed,
        )
    };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::constant_file_mapping;

    #[test]
    fn only_read_only_file_mappings_are_released() {
        let code = "55d0c0a04000-55d0c0ecb000 r-xp 00203000 fe:00 581 /usr/lib/long wire";
        assert_eq!(
            constant_file_mapping(code),
            Some((0x55d0_c0a0_4000, 0x55d0_c0ec_b000))
        );
        assert!(
            constant_file_mapping("7f4f65cd6000-7f4f65cfc000 r--p 00000000 fe:00 326 /lib/libc.so.6")
                .is_some()
        );
        for other in [
            "55d0c0ecb000-55d0c0f1a000 r--p 006c9000 fe:00 581 /usr/lib/longwire",
            "55d0c0f1a000-55d0c0f1c000 rw-p 00718000 fe:00 581 /usr/lib/longwire",
            "7ffd0a1f0000-7ffd0a1f2000 r-xp 00000000 00:00 0 [vdso]",
            "7f4f65ffd000-7f4f65fff000 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(constant_file_mapping(other), None, "{other}");
        }
    }
}
