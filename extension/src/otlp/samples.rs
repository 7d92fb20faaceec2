//! Writes messages in protobuf, for the tests of this module.

/// Writes a message with these fields, of which each is bytes or a message of its own.
pub(super) fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in fields {
        push(&mut out, u64::from(number << 3 | 2));
        push(&mut out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
    out
}

/// Writes a field with a number as protobuf's varint.
pub(super) fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out, u64::from(number << 3));
    push(&mut out, value);
    out
}

/// Writes a field with a number of eight bytes.
pub(super) fn fixed(number: u32, bits: u64) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out, u64::from(number << 3 | 1));
    out.extend_from_slice(&bits.to_le_bytes());
    out
}

fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
}
