//! Named members of a JSON object, without a tree of values.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::number;

/// A member of an object; an absent one is null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) name: &'static str,
    /// Never the literal `null`.
    pub(super) value: Option<&'a RawValue>,
}

/// A member whose value cannot be what it should be.
pub(super) struct Undecodable(pub(super) &'static str);

/// The members with these names, in this order. Of a member that stands there twice the last one counts.
///
/// # Errors
/// Of category `Data` if `json` does not begin as an object; then the rest has not been looked at. Else not JSON.
pub(super) fn members<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> Result<[Member<'a>; N], serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_map(Members(names))?;
    deserializer.end()?;
    Ok(members)
}

struct Members<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<N> {
    type Value = [Member<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = self.0.map(|name| Member { name, value: None });
        while let Some(place) = map.next_key_seed(Name(&self.0))? {
            match place.and_then(|place| members.get_mut(place)) {
                Some(member) => member.value = Some(map.next_value()?).filter(|raw: &&RawValue| raw.get() != "null"),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// Reads a member's name as its place among the wanted ones.
struct Name<'a>(&'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == name))
    }
}

/// A value that is neither an object nor an array nor null.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(&'a str),
}

impl<'a> Member<'a> {
    fn scalar(self) -> Result<Option<Scalar<'a>>, Undecodable> {
        let Some(json) = self.value.map(RawValue::get) else { return Ok(None) };
        let scalar = match json.as_bytes() {
            [b'"', ..] => serde_json::from_str(json).ok().map(|text: String| Scalar::Text(text.into())),
            [b't' | b'f', ..] => Some(Scalar::Text(json.into())),
            [b'{' | b'[', ..] => None,
            _ => Some(Scalar::Number(json)),
        };
        scalar.map(Some).ok_or(Undecodable(self.name))
    }

    /// Text; a number or a boolean is its own text.
    pub(super) fn text(self) -> Result<Option<String>, Undecodable> {
        Ok(self.scalar()?.map(|scalar| match scalar {
            Scalar::Text(text) => text.into_owned(),
            Scalar::Number(text) => text.to_owned(),
        }))
    }

    /// An integer, also as text with blanks around it; the fraction of a number is cut off. Blank text is null.
    pub(super) fn integer(self) -> Result<Option<i64>, Undecodable> {
        let integer = match self.scalar()? {
            None => return Ok(None),
            Some(Scalar::Number(text)) => number::truncated(text),
            Some(Scalar::Text(text)) => match text.trim() {
                "" => return Ok(None),
                text => text.parse().ok(),
            },
        };
        integer.map(Some).ok_or(Undecodable(self.name))
    }

    /// A number that fits 32 bits, also as text with blanks around it. Blank text is null.
    pub(super) fn float(self) -> Result<Option<f32>, Undecodable> {
        let text = match self.scalar()? {
            None => return Ok(None),
            Some(Scalar::Number(text)) => text.into(),
            Some(Scalar::Text(text)) if text.trim().is_empty() => return Ok(None),
            Some(Scalar::Text(text)) => text,
        };
        // "nan" and "inf" parse too, and a number may be too large
        let float = text.trim().parse().ok().filter(|number: &f32| number.is_finite());
        float.map(Some).ok_or(Undecodable(self.name))
    }
}
