//! The kinds of values and how they read.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

/// A value that a setting can have.
pub trait Setting: Sized {
    /// What a refusal says beside the name, to follow "is not": `a port from 0 to 65535`.
    const EXPECTS: &'static str;

    /// The value, from text without white space around it; `None` when the text is none.
    fn parse(text: &str) -> Option<Self>;

    /// The text for the log at the start; a kind whose text may hold more than people should read leaves that out.
    #[must_use]
    fn shown(text: &str) -> String {
        text.to_owned()
    }
}

impl Setting for String {
    const EXPECTS: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl Setting for PathBuf {
    const EXPECTS: &'static str = "a path";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }
}

impl Setting for bool {
    const EXPECTS: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for SocketAddr {
    const EXPECTS: &'static str = "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for Url {
    const EXPECTS: &'static str = "an absolute http or https URL with a host";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    }

    /// Without user, password, query and fragment.
    fn shown(text: &str) -> String {
        let Ok(url) = Self::parse(text) else { return String::new() };
        format!("{}{}", url.origin().ascii_serialization(), url.path())
    }
}

macro_rules! whole_numbers {
    ($($number:ty: $expects:literal),* $(,)?) => {$(
        impl Setting for $number {
            const EXPECTS: &'static str = $expects;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

whole_numbers! {
    u16: "a whole number from 0 to 65535",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number, 0 or above",
    usize: "a whole number, 0 or above",
    NonZeroU32: "a whole number from 1 to 4294967295",
    NonZeroUsize: "a whole number, 1 or above",
}

/// How the text of one setting becomes its value, and what of it may be shown.
#[derive(Debug)]
pub(super) struct Reader<T> {
    pub(super) expects: String,
    pub(super) secret: bool,
    parse: fn(&str) -> Option<T>,
    shown: fn(&str) -> String,
}

impl<T> Reader<T> {
    pub(super) fn parse(&self, text: &str) -> Option<T> {
        (self.parse)(if self.secret { text } else { text.trim() })
    }

    pub(super) fn shown(&self, text: &str) -> String {
        (self.shown)(text.trim())
    }
}

impl<T: Setting> Reader<T> {
    pub(super) fn of_one() -> Self {
        Self { expects: T::EXPECTS.to_owned(), secret: false, parse: T::parse, shown: T::shown }
    }
}

impl<T: Setting> Reader<Vec<T>> {
    pub(super) fn of_list() -> Self {
        Self {
            expects: format!("a list separated by commas, each item {}", T::EXPECTS),
            secret: false,
            parse: |text| text.split(',').map(|item| T::parse(item.trim())).collect(),
            shown: |text| text.split(',').map(|item| T::shown(item.trim())).collect::<Vec<_>>().join(","),
        }
    }
}

impl Reader<SecretString> {
    pub(super) fn of_secret() -> Self {
        Self {
            expects: "a secret".to_owned(),
            secret: true,
            parse: |text| Some(SecretString::from(text)),
            shown: |_| "redacted".to_owned(),
        }
    }
}

impl Reader<Duration> {
    pub(super) fn of_seconds() -> Self {
        Self::of_duration("seconds", |text| text.parse().ok().map(Duration::from_secs))
    }

    pub(super) fn of_millis() -> Self {
        Self::of_duration("milliseconds", |text| text.parse().ok().map(Duration::from_millis))
    }

    fn of_duration(unit: &str, parse: fn(&str) -> Option<Duration>) -> Self {
        Self { expects: format!("a whole number of {unit}"), secret: false, parse, shown: str::to_owned }
    }
}
