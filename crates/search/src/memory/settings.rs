//! The one setting that changes what the twin does.

use serde_json::Value;

/// Whether these settings block writes; `None` if they do not speak of it. Null is the default, which is no block.
pub(super) fn write_block(settings: &Value) -> Option<bool> {
    spoken_of(settings, &["index", "blocks", "write"])
        .or_else(|| spoken_of(settings, &["blocks", "write"]))
        .map(|value| *value == true || *value == "true")
}

/// The engine takes `{"a":{"b":1}}`, `{"a.b":1}` and every mixture.
fn spoken_of<'a>(settings: &'a Value, path: &[&str]) -> Option<&'a Value> {
    (1..=path.len()).find_map(|taken| {
        let (key, rest) = path.split_at_checked(taken)?;
        let value = settings.get(key.join("."))?;
        if rest.is_empty() { Some(value) } else { spoken_of(value, rest) }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::write_block;

    #[test]
    fn a_write_block_is_seen_however_it_is_written() {
        for settings in [
            json!({"index": {"blocks": {"write": true}}}),
            json!({"index.blocks.write": true}),
            json!({"index": {"blocks.write": "true"}}),
            json!({"blocks": {"write": true}}),
        ] {
            assert_eq!(write_block(&settings), Some(true), "{settings}");
        }
        assert_eq!(write_block(&json!({"index": {"blocks": {"write": null}}})), Some(false));
        assert_eq!(write_block(&json!({"index": {"number_of_replicas": 1}})), None);
    }
}
