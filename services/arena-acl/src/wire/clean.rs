//! The text of a record without what JSONB cannot store (docs/spec/arena-acl.md 2.4).

use std::borrow::Cow;

/// How many arrays and objects may lie in each other: `serde_json`'s own limit, which its raw values do not keep.
const MAX_DEPTH: usize = 127;

/// Arrays and objects lie too deep in each other; such a record counts as broken JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nesting is deeper than {MAX_DEPTH}")]
pub struct TooDeep;

/// The record as text: invalid UTF-8 is U+FFFD, literal NUL bytes are gone, and inside JSON strings `\u0000` is gone
/// and the escape of a lone surrogate is U+FFFD. Twice is the same as once.
///
/// A record that needs none of this is borrowed. What is broken in another way stays broken: nothing else is touched.
///
/// # Errors
/// [`TooDeep`].
pub fn clean(record: &[u8]) -> Result<Cow<'_, str>, TooDeep> {
    let text = match String::from_utf8_lossy(record) {
        text if !text.contains('\0') => text, // before escapes are looked at: a NUL may stand inside one
        text => Cow::Owned(text.replace('\0', "")),
    };
    let cleaned = Scan::of(&text)?;
    Ok(cleaned.map_or(text, Cow::Owned))
}

/// What to do with an escape.
enum Escape {
    /// It stays, with this many bytes.
    Keep(usize),
    /// `\u0000` goes.
    Drop,
    /// A lone surrogate becomes U+FFFD.
    Replace,
}

/// One `\uXXXX`, in bytes.
const UNIT: usize = 6;

struct Scan<'a> {
    text: &'a str,
    /// Everything before this byte is in `out` or was left out.
    copied: usize,
    out: String,
}

impl<'a> Scan<'a> {
    /// The text with its escapes mended; `None` when there was nothing to mend.
    fn of(text: &'a str) -> Result<Option<String>, TooDeep> {
        let mut scan = Self { text, copied: 0, out: String::new() };
        let bytes = text.as_bytes();
        let (mut at, mut depth, mut in_string) = (0, 0_usize, false);
        while let Some(byte) = bytes.get(at) {
            let mut step = 1;
            match (in_string, byte) {
                (_, b'"') => in_string = !in_string,
                (true, b'\\') => step = scan.escape(at),
                (false, b'{' | b'[') if depth == MAX_DEPTH => return Err(TooDeep),
                (false, b'{' | b'[') => depth += 1,
                (false, b'}' | b']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += step;
        }
        Ok(scan.finish())
    }

    /// Handles the escape at byte `at` of the text and says how long it is.
    fn escape(&mut self, at: usize) -> usize {
        match self.judge(at) {
            Escape::Keep(length) => return length,
            Escape::Drop => self.copy_up_to(at),
            Escape::Replace => {
                self.copy_up_to(at);
                self.out.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.copied = at + UNIT;
        UNIT
    }

    fn judge(&self, at: usize) -> Escape {
        match self.unit(at) {
            Some(0) => Escape::Drop,
            Some(0xD800..0xDC00) if matches!(self.unit(at + UNIT), Some(0xDC00..0xE000)) => Escape::Keep(2 * UNIT),
            Some(0xD800..0xE000) => Escape::Replace,
            _ => Escape::Keep(2), // the second byte may be a backslash or a quote
        }
    }

    /// The UTF-16 unit that `\uXXXX` at byte `at` stands for.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + UNIT)?.strip_prefix("\\u")?;
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit()); // the parser below takes a sign too
        hexadecimal.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    }

    fn copy_up_to(&mut self, end: usize) {
        self.out.push_str(self.text.get(self.copied..end).unwrap_or_default()); // both lie at an ASCII byte
    }

    fn finish(mut self) -> Option<String> {
        if self.copied == 0 {
            return None; // an escape never ends at byte 0, so nothing was left out
        }
        self.copy_up_to(self.text.len());
        Some(self.out)
    }
}

#[cfg(test)]
mod tests;
